# SPDX-License-Identifier: Apache-2.0
"""SIGHUP reads the settings again, and drops no stream."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import Curl, Martlet, request, wait_until
from tokens import Key


def hang_up(server: Martlet, expected: str, count: int = 1) -> None:
    """Sends SIGHUP and waits until the log says what came of it."""
    assert server.process is not None
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.log.read_text().count(expected) >= count, expected)


def status(server: Martlet, token: str) -> int:
    return request(server.port, "GET", "/state/a", headers={"Authorization": f"Bearer {token}"})[0]


def test_a_key_is_replaced_while_streams_go_on(start_server: Callable[..., Martlet], tmp_path: Path) -> None:
    old, new = Key("HS256", "old key " * 8), Key("HS256", "new key " * 8)
    path = tmp_path / "hub.json"

    def write(**settings: Any) -> None:
        path.write_text(json.dumps({"publisher-key": old.private_text} | settings))

    write(**{"subscriber-key": old.private_text})
    server = start_server("--config", str(path))
    before, after = old.token(subscribe=["*"], publish=["*"]), new.token(subscribe=["*"])
    assert status(server, before) == 200
    assert status(server, after) == 401
    with Curl(server.port, "/events/a", "-H", f"Authorization: Bearer {before}") as curl:
        wait_until(lambda: curl.lines, "the stream is open")
        write(**{"subscriber-key": new.private_text, "log-level": "debug"})
        hang_up(server, "The settings were read again")
        assert status(server, before) == 401
        assert status(server, after) == 200

        # Not one of them changes where one cannot.
        write(**{"subscriber-key": old.private_text, "window-bytes": "1MiB"})
        hang_up(server, "window-bytes: cannot change")
        assert status(server, before) == 401
        path.write_text("{")
        hang_up(server, "The settings stay as they were", 2)
        assert status(server, after) == 200

        headers = {"Authorization": f"Bearer {before}"}
        assert request(server.port, "POST", "/events/a", "still here", headers)[0] == 200
        wait_until(lambda: "data: still here" in curl.lines, "the stream goes on")
    text = server.log.read_text()
    assert "new key" not in text and "old key" not in text
