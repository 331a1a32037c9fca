# SPDX-License-Identifier: Apache-2.0
"""What curl has read of a stream."""

import json
from urllib.parse import quote

from support import Curl, Martlet


def stream(node: Martlet, topic: str, *options: str, query: str = "") -> Curl:
    return Curl(node.port, f"/events/{quote(topic)}{query}", *options)


def resumed(node: Martlet, topic: str, id: str, query: str = "") -> Curl:
    """The stream of a client that returns with the id that it saw last."""
    return stream(node, topic, "-H", f"Last-Event-ID: {id}", query=query)


def data(curl: Curl) -> list[str]:
    return [line.removeprefix("data: ") for line in curl.lines if line.startswith("data: ")]


def ids(curl: Curl) -> list[str]:
    return [line.removeprefix("id: ") for line in curl.lines if line.startswith("id: ")]


def last_id(curl: Curl) -> str:
    return ids(curl)[-1]


def opened(curl: Curl) -> bool:
    return any(line.startswith("id: ") for line in curl.lines)


def gaps(curl: Curl) -> list[str]:
    """The reasons of the gaps that a client received."""
    found = []
    lines = list(curl.lines)
    for index, line in enumerate(lines):
        if line == "event: gap":
            around = lines[max(0, index - 2):index + 3]
            text = next((text for text in around if text.startswith("data: {")), None)
            found += [json.loads(text.removeprefix("data: "))["reason"]] if text else []
    return found


def gap(curl: Curl) -> str | None:
    """The reason of the first gap that a client received."""
    return next(iter(gaps(curl)), None)


def events(curl: Curl) -> list[str]:
    """The data of the events, without gaps."""
    return [text for text in data(curl) if not text.startswith('{"reason"')]
