# SPDX-License-Identifier: Apache-2.0
"""Events arrive live through nginx as it comes, and for clients that speak HTTP/1.0 as nginx does."""

import http.client
import re
import socket
import time

import pytest

from conftest import OpenPage
from support import DEADLINE, HOST, Curl, Martlet, Nginx, topic_events, wait_until

FRAME_LINE = re.compile(rb"(|:.*|(id|event|data|retry):( .*)?)\n")


def test_events_reach_the_page_live_through_nginx(server: Martlet, nginx: Nginx, open_page: OpenPage) -> None:
    page = open_page(nginx.port)
    for data in ("first", "second"):
        id = server.publish("demo", data)
        wait_until(lambda: topic_events(page)[-1:] == [(id, data)], f"the {data} event is shown")
    assert page.locator("#stream-topic").get_attribute("data-reconnects") == "0"


@pytest.mark.parametrize("options", [[], ["-0"]], ids=["http-1.1", "http-1.0"])
@pytest.mark.parametrize("through", ["nginx", "nothing"])
def test_events_reach_curl_live(server: Martlet, nginx: Nginx, through: str, options: list[str]) -> None:
    port = nginx.port if through == "nginx" else server.port
    with Curl(port, "/events/demo", *options) as curl:
        wait_until(lambda: any(line.startswith("id:") for line in curl.lines), "the stream has started")
        for data in ("first", "second"):
            id = server.publish("demo", data)
            wait_until(lambda: {f"id: {id}", f"data: {data}"} <= set(curl.lines), f"the {data} event is printed")
        assert curl.is_open()


def test_http_1_0_gets_raw_frames(server: Martlet) -> None:
    with socket.create_connection((HOST, server.port), timeout=DEADLINE) as connection:
        connection.sendall(b"GET /events/demo HTTP/1.0\r\n\r\n")
        with connection.makefile("rb") as answer:
            assert answer.readline().split()[1] == b"200"
            headers = http.client.parse_headers(answer)
            assert headers.get_content_type() == "text/event-stream"
            assert headers["Transfer-Encoding"] is None
            assert headers["Connection"].lower() == "close"

            lines: list[bytes] = []
            end = time.monotonic() + DEADLINE

            def read_block_with(part: bytes) -> None:
                while not any(part in line for line in lines) or lines[-1] != b"\n":
                    assert time.monotonic() < end, lines
                    lines.append(answer.readline())
                    assert FRAME_LINE.fullmatch(lines[-1]), lines

            read_block_with(b"id: ")
            id = server.publish("demo", "one\ntwo")
            read_block_with(b"data: two")
            block = b"".join(lines).split(b"\n\n")[-2].split(b"\n")
            assert sorted(block) == sorted([f"id: {id}".encode(), b"data: one", b"data: two"])
