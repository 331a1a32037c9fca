# SPDX-License-Identifier: Apache-2.0
"""What the `EventSource` of a browser makes of a stream, with nothing around it."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect

from conftest import OpenPage
from faulty_proxy import FaultyProxy
from support import DEADLINE, HOST, Martlet, topic_events, wait_until
from tricky_events import TYPES, Received, publish_all

in_every_browser = pytest.mark.parametrize("browser", ["chromium", "firefox"], indirect=True)

SUBSCRIBE = """([path, types]) => {
    window.seen = [];
    window.opened = 0;
    window.source = new EventSource(path);
    source.onopen = () => { opened += 1; };
    for (const type of types) source.addEventListener(type, (e) => seen.push([e.lastEventId, e.type, e.data]));
}"""


@contextmanager
def subscribed(browser: Browser, port: int, topic: str) -> Iterator[Page]:
    """A page without scripts of its own, with `source` and the events that it got as `seen`."""
    with browser.new_context() as context:
        context.set_default_timeout(DEADLINE * 1000)
        page = context.new_page()
        page.goto(f"http://{HOST}:{port}/health/live")
        page.evaluate(SUBSCRIBE, [f"/events/{topic}", [*TYPES, "gap"]])
        page.wait_for_function("opened === 1")
        yield page


def seen(page: Page) -> list[Received]:
    return [(id, type, data) for id, type, data in page.evaluate("seen")]


@in_every_browser
def test_events_arrive_as_they_were_published(server: Martlet, browser: Browser) -> None:
    with subscribed(browser, server.port, "demo") as page:
        published = publish_all(server.publish, "demo")
        page.wait_for_function("count => seen.length >= count", arg=len(published))
        assert seen(page) == published


@in_every_browser
def test_every_event_arrives_once_and_in_order_across_cuts_and_a_crash(
    start_server: Callable[..., Martlet], browser: Browser, tmp_path: Path
) -> None:
    server = start_server("--log", f"sqlite:{tmp_path / 'hub.db'}")
    published: list[Received] = []

    def publish(count: int) -> None:
        for _ in range(count):
            data = f"event {len(published) + 1}"
            published.append((server.publish("demo", data, "?retry=200"), "message", data))

    with FaultyProxy(server.port) as proxy, subscribed(browser, proxy.port, "demo") as page:
        with ThreadPoolExecutor(1) as publisher:
            burst = publisher.submit(publish, 30)
            page.wait_for_function("seen.length > 2")
            assert proxy.cut() >= 1
            burst.result()
        page.wait_for_function("opened === 2")
        publish(10)
        page.wait_for_function("id => seen.some(event => event[0] === id)", arg=published[-5][0])
        server.kill()
        server.start()
        publish(5)
        page.wait_for_function("id => seen.some(event => event[0] === id)", arg=published[-1][0])
        assert seen(page) == published
        assert page.evaluate("opened") == 3


@in_every_browser
def test_204_ends_the_stream_for_good(server: Martlet, browser: Browser) -> None:
    asked_after: list[str | None] = []

    class NothingMore(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/events/"):
                asked_after.append(self.headers["Last-Event-ID"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with FaultyProxy(server.port) as proxy, subscribed(browser, proxy.port, "demo") as page:
        last = server.publish("demo", "last", "?retry=200")
        page.wait_for_function("seen.length === 1")
        proxy.refuse()
        proxy.cut()
        with HTTPServer((HOST, proxy.port), NothingMore) as successor:
            Thread(target=successor.serve_forever, daemon=True).start()
            page.wait_for_function("source.readyState === EventSource.CLOSED")
            successor.shutdown()
        assert asked_after == [last]
        assert seen(page) == [(last, "message", "last")]


@pytest.mark.parametrize("browser", ["firefox"], indirect=True)
def test_the_demo_page_works_in_other_browsers(
    start_server: Callable[..., Martlet], open_page: OpenPage, console: list[str]
) -> None:
    server = start_server("--demo")
    page = open_page(server.port)
    page.fill("#publish-type", "greeting")
    page.fill("#publish-data", "two\nlines")
    page.click("#publish button")
    expect(page.locator("#topic-events li[data-type=greeting]")).to_have_count(1)
    id = server.publish("demo", "third")
    wait_until(lambda: topic_events(page)[-1:] == [(id, "third")], "an event that others publish is shown")
    expect(page.locator("#ticks li").nth(1)).to_be_visible()
    for chart in ("cpu", "memory", "load"):
        expect(page.locator(f"#{chart} path.line").first).to_have_attribute("d", re.compile("L"))
    expect(page.locator("#gaps")).to_have_text("0")
    assert console == []
