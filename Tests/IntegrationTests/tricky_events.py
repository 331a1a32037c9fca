# SPDX-License-Identifier: Apache-2.0
"""Events whose text goes wrong wherever lines, fields or characters are not told apart as the HTML standard has it."""

from collections.abc import Callable
from urllib.parse import urlencode

Received = tuple[str, str, str]  # id, type, data

EVENTS: list[Received] = [
    ("", "message", "plain"),
    ("order-7/\u00e9", "changed", "one\ntwo\n\nfour\n"),
    ("", "message", "  two spaces before and one after "),
    ("", "message", ":no comment\ndata: no field\nid: 1\n:"),
    ("", "Gr\u00f6\u00dfe", "caf\u00e9 e\u0301 \u65e5\u672c\u8a9e \U0001f9a9"),
    ("", "message", "no ends of lines: \u0085 \u2028 \u2029 \v \f"),
    ("", "message", "\ufeffno byte order mark"),
    ("", "changed", "x" * 200_000),
    ("", "message", "last"),
]
TYPES = sorted({type for _, type, _ in EVENTS})


def publish_all(publish: Callable[[str, str, str], str], topic: str) -> list[Received]:
    """Publishes these events to a topic and returns them with the ids that they got."""
    published = []
    for id, type, data in EVENTS:
        fields = {"id": id} if id else {}
        if type != "message":
            fields["type"] = type
        published.append((publish(topic, data, f"?{urlencode(fields)}"), type, data))
    return published
