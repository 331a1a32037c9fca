# SPDX-License-Identifier: Apache-2.0
"""The proxies of deploy/ pass events on live, over HTTP/2 to the client, and hide that a node behind them ends."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from deployed_proxies import PROXIES, DeployedProxy
from nodes import node
from redis_log import RedisServer
from support import DEADLINE, Curl, Martlet, wait_until
from tokens import SECRET, Key

TOKEN = Key.make("HS256").token(publish=["*"])
KEYS = {"MARTLET_PUBLISHER_KEY": SECRET, "MARTLET_SUBSCRIBER_KEY": SECRET}


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Martlet]]:
    with RedisServer(tmp_path) as log:
        nodes = [node(tmp_path, f"node-{number}", log, "--anonymous", "--grace", "500ms") for number in range(2)]
        for each in nodes:
            each.environment |= KEYS
        with nodes[0], nodes[1]:
            yield nodes


@pytest.fixture(params=PROXIES)
def proxy(request: pytest.FixtureRequest, nodes: list[Martlet], tmp_path: Path) -> Iterator[DeployedProxy]:
    with DeployedProxy(tmp_path, request.param, [node.port for node in nodes]) as proxy:
        yield proxy


def publish(url: str, data: str, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.post(f"{url}/events/news", content=data, headers=headers, timeout=DEADLINE, **options)


def test_events_pass_live_over_http_2(proxy: DeployedProxy) -> None:
    path = f"{proxy.url}/events/news"
    with Curl(proxy.port, "/health/live", "--next", "-sSN", "-i", "--http2", "--cacert", str(proxy.ca), path) as curl:
        wait_until(lambda: any(line.startswith("id:") for line in curl.lines), "the stream has started")
        assert "HTTP/2 200" in [line.strip() for line in curl.lines]
        for data in ("first", "second"):
            answer = publish(proxy.url, data, verify=proxy.trust)
            assert answer.status_code == 200, answer.text
            wait_until(lambda: f"data: {data}" in curl.lines, f"the {data} event is printed")
        assert curl.is_open()


def test_answers_of_the_hub_pass(proxy: DeployedProxy) -> None:
    refused = httpx.post(f"{proxy.url}/events/news", content="x", verify=proxy.trust)
    assert refused.status_code == 401 and refused.json()["status"] == 401
    topics = "&".join(f"topic=https://example.com/a/rather/long/topic/for/a/stream/{number}" for number in range(999))
    with httpx.stream("GET", f"{proxy.url}/events/news?{topics}", verify=proxy.trust, timeout=DEADLINE) as stream:
        assert stream.status_code == 200
    assert publish(proxy.url, "x" * 900_000, verify=proxy.trust).status_code == 200


LISTEN = """() => {
    window.received = [];
    window.source = new EventSource("/events/news");
    source.onmessage = event => received.push(event.data);
    source.addEventListener("gap", event => received.push(event.data));
}"""


def test_an_event_source_goes_on_when_nodes_end(
    proxy: DeployedProxy, nodes: list[Martlet], chromium: Browser
) -> None:
    context = chromium.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"{proxy.url}/health/live")
    page.evaluate(LISTEN)
    wait_until(lambda: page.evaluate("source.readyState") == 1, "the stream is open")
    sent: list[str] = []

    def pass_on(count: int, through: str) -> None:
        for _ in range(count):
            sent.append(str(len(sent)))
            answer = publish(through, sent[-1])
            assert answer.status_code == 200, answer.text
        wait_until(lambda: page.evaluate("received.length") >= len(sent), "all events have come")

    pass_on(10, f"http://127.0.0.1:{nodes[0].port}")
    for other, ending in [(1, 0), (0, 1)]:
        nodes[ending].kill()
        pass_on(10, f"http://127.0.0.1:{nodes[other].port}")
        nodes[ending].start()
    for each in nodes:
        each.kill()
    wait_until(lambda: page.evaluate("source.readyState") == 0, "the page knows that the stream has ended")
    with pytest.raises(httpx.TransportError):
        publish(proxy.url, "nowhere", verify=proxy.trust)
    for each in nodes:
        each.start()
    wait_until(lambda: page.evaluate("source.readyState") != 2, "the page has not given up")
    pass_on(10, f"http://127.0.0.1:{nodes[0].port}")
    assert page.evaluate("received") == sent
    context.close()
