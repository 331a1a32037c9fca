# SPDX-License-Identifier: Apache-2.0
"""What the hub writes to its log."""

import json
import re
import socket
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from support import HOST, Curl, Martlet, wait_until
from tokens import Key


def lines(server: Martlet) -> list[dict[str, Any]]:
    """The log, each line of which must be a JSON object."""
    return [json.loads(line) for line in server.log.read_text().splitlines()]


def access_lines(server: Martlet) -> list[dict[str, Any]]:
    return [line for line in lines(server) if line["logger"] == "martlet.access"]


def test_each_line_is_an_object_or_a_text_as_it_is_set(start_server: Callable[..., Martlet]) -> None:
    server = start_server("--log-format", "json", "--log-level", "debug")
    wait_until(lambda: any("ready" in line["message"] for line in lines(server)), "the hub is ready")
    for line in lines(server):
        assert list(line)[:4] == ["time", "level", "logger", "message"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        datetime.fromisoformat(line["time"])
    text = start_server("--log-level", "info")
    wait_until(lambda: "ready" in text.log.read_text(), "the hub is ready")
    last = text.log.read_text().splitlines()[-1]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info martlet: Martlet is ready\..* log=memory .*", last)


@pytest.mark.parametrize("format", ["text", "json"])
def test_what_clients_send_breaks_no_line(start_server: Callable[..., Martlet], format: str) -> None:
    server = start_server("--log-format", format, "--log-level", "debug", "--access-log")
    with socket.create_connection((HOST, server.port)) as connection:
        connection.sendall(b"GET /events/a%0ab\x0b\x85 HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\tb\xc2\x85\xe2\x80\xa8c\r\n\r\n")
        connection.recv(1000)
    path = "/events/a%0a%7b%22level%22:%22error%22%7d%e2%80%a8?topic=%1b%5b31m"
    with Curl(server.port, path, "-HX-Request-ID: x\tlevel=critical \x1b[31m") as curl:
        wait_until(lambda: curl.lines, "the stream has answered")
    with Curl(server.port, "/events/b%22%20c", "-HX-Request-ID: say \"x\" level=critical") as curl:
        wait_until(lambda: curl.lines, "the stream is open")
    wait_until(lambda: "Stream ended." in server.log.read_text(), "the end is logged")
    text = server.log.read_bytes().decode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", text)
    if format == "json":
        assert all(line["level"] != "critical" for line in lines(server))
    else:
        begin = r"\d{4}-\d\d-\d\dT[\d:.]+Z (trace|debug|info|notice|warning|error) martlet[\w.]*: "
        assert all(re.match(begin, line) for line in text.splitlines())


def test_a_stream_is_one_line_when_it_ends(start_server: Callable[..., Martlet]) -> None:
    server = start_server("--log-format", "json", "--log-level", "error", "--access-log")
    with Curl(server.port, "/events/a?topic=b&stream=tab", "-HX-Request-ID: r-1") as curl:
        wait_until(lambda: curl.lines, "the stream is open")
        server.publish("a", "1")
        server.publish("b", "2")
        wait_until(lambda: "data: 2" in curl.lines, "the events are printed")
        assert access_lines(server) == []
    wait_until(lambda: access_lines(server), "the end is logged")
    (line,) = access_lines(server)
    assert line["level"] == "info"
    assert line["message"] == "Stream ended."
    assert line["reason"] == "client"
    assert line["topics"] == ["a", "b"]
    assert line["events"] == 2
    assert line["bytes"] > len("data: 1data: 2")
    assert line["duration_ms"] >= 0
    assert line["address"] == HOST
    assert line["request_id"] == "r-1"
    assert "principal" not in line


def test_streams_that_end_with_the_hub_are_logged(start_server: Callable[..., Martlet]) -> None:
    server = start_server("--log-format", "json", "--access-log", "--grace", "100ms")
    with Curl(server.port, "/events/a") as curl:
        wait_until(lambda: curl.lines, "the stream is open")
        server.stop()
    assert [line["reason"] for line in access_lines(server)] == ["drained"]


def test_no_line_has_a_token_or_a_query(start_server: Callable[..., Martlet]) -> None:
    secret = "a secret of more than thirty-two bytes"
    key = Key("HS256", secret)
    token = key.token(publish=["*"], subscribe=["*"], sub="alice")
    server = start_server(
        "--log-format", "json", "--log-level", "trace", "--access-log",
        environment={"MARTLET_PUBLISHER_KEY": secret, "MARTLET_SUBSCRIBER_KEY": secret})
    query = f"/.well-known/mercure?topic=a&authorization={token}&private-thing=hidden-value"
    with Curl(server.port, query) as curl:
        wait_until(lambda: curl.lines, "the stream is open")
    with Curl(server.port, "/events/a?stream=tab", f"-HAuthorization: Bearer {token}", f"-HCookie: c={token}") as curl:
        wait_until(lambda: curl.lines, "the stream is open")
    wait_until(lambda: len(access_lines(server)) == 2, "the ends are logged")
    text = server.log.read_text()
    for hidden in (token, token.split(".")[2], secret, "hidden-value"):
        assert hidden not in text
    assert access_lines(server)[1]["principal"] == "alice"
    assert access_lines(server)[1]["stream"] == "tab"
