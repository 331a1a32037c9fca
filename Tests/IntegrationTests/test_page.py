# SPDX-License-Identifier: Apache-2.0
"""The demo page on a quiet network."""

import re
import shlex
import subprocess
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from conftest import OpenPage
from support import HOST, Martlet, topic_events, wait_until


def test_ticks_arrive_and_the_page_tells_how_to_get_samples(server: Martlet, open_page: OpenPage) -> None:
    page = open_page(server.port)
    ticks = page.locator("#ticks li")
    expect(ticks.nth(2)).to_be_visible()
    for count, tick in enumerate(reversed(ticks.all_text_contents())):
        assert re.fullmatch(rf"Time: \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{7}}Z, Count: {count} ", tick)
    for stream in ("ticks", "metrics", "topic"):
        expect(page.locator(f"#stream-{stream}")).to_have_attribute("data-state", "open")
        expect(page.locator(f"#stream-{stream}")).to_have_attribute("data-reconnects", "0")
    expect(page.locator("#demo-hint")).to_be_visible()
    expect(page.locator("#demo-hint")).to_contain_text("martlet serve --demo")
    expect(page.locator("#gaps")).to_have_text("0")


def test_charts_get_samples(start_server: Callable[..., Martlet], open_page: OpenPage) -> None:
    page = open_page(start_server("--demo").port)
    expect(page.locator("#cpu")).to_have_attribute("data-samples", re.compile("^([2-9]|1[0-9])$"))
    for chart, lines, value in [("cpu", 1, r"\d+ % of \d+ cores?"), ("memory", 1, r"[\d.]+ of [\d.]+ GiB"),
                                ("load", 3, r"[\d.]+ [\d.]+ [\d.]+")]:
        paths = page.locator(f"#{chart} path.line")
        expect(paths).to_have_count(lines)
        expect(paths.first).to_have_attribute("d", re.compile(r"^M[\d. ]+L[\d. ]+"))
        expect(page.locator(f"#{chart}-value")).to_have_text(re.compile(f"^{value}$"))
    expect(page.locator("#demo-hint")).to_be_hidden()


def test_an_event_is_published_from_the_form_and_from_the_shown_curl_line(
    server: Martlet, open_page: OpenPage
) -> None:
    page = open_page(server.port)
    markup = "<img src=x onerror=\"document.title='run'\"> it's\ntwo lines"
    page.fill("#publish-type", "greeting")
    page.fill("#publish-data", markup)
    page.click("#publish button")
    row = page.locator("#topic-events li[data-type=greeting]")
    expect(row).to_have_count(1)
    expect(page.locator("#published")).to_have_text(f"Published as {row.get_attribute('data-id')}")
    assert page.locator("#topic-events img").count() == 0

    command = shlex.split(page.locator("#curl-publish").text_content() or "")
    subprocess.run([command[0], "--silent", "--noproxy", "*", *command[1:]], check=True, timeout=20)
    expect(row).to_have_count(2)
    assert [data for _, data in topic_events(page)] == [markup, markup]
    assert page.title() != "run"


def test_the_topic_of_the_address_is_subscribed_at_once(server: Martlet, open_page: OpenPage) -> None:
    page = open_page(server.port, "/?topic=orders/42")
    expect(page.locator("#topic")).to_have_value("orders/42")
    expect(page.locator("#curl-subscribe")).to_have_text(f"curl -N 'http://{HOST}:{server.port}/events/orders/42'")
    first = server.publish("orders/42", "paid")
    wait_until(lambda: topic_events(page) == [(first, "paid")], "the event of the topic is shown")

    page.fill("#topic", "Größe 1%/a?b")
    page.click("#subscribe button")
    expect(page.locator("#stream-topic")).to_have_attribute("data-state", "open")
    server.publish("orders/42", "not for us")
    second = server.publish("Größe 1%/a?b", "other")
    wait_until(lambda: topic_events(page) == [(second, "other")], "only the event of the new topic is shown")


def test_the_list_is_bounded(server: Martlet, open_page: OpenPage) -> None:
    page = open_page(server.port)
    published = [(server.publish("demo", f"{number}"), f"{number}") for number in range(250)]
    wait_until(lambda: topic_events(page)[-1:] == published[-1:], "the last event is shown")
    assert topic_events(page) == published[-200:]


def test_strange_events_do_no_harm(server: Martlet, open_page: OpenPage) -> None:
    page = open_page(server.port)
    for data in ("", "no JSON", "5", "null", '{"load": 5}', '{"time": "2026-01-31T12:00:00Z", "cpu": "<b>"}'):
        last = server.publish("system/metrics", data)
    expect(page.locator("#stream-metrics .last-id")).to_have_text(last)
    expect(page.locator("#cpu")).to_have_attribute("data-samples", "0")
    for type in ("error", "open"):  # what EventSource itself calls its connection's events
        page.fill("#publish-type", type)
        page.click("#publish button")
        expect(page.locator(f"#topic-events li[data-type={type}]")).to_have_count(1)
    expect(page.locator("#stream-topic")).to_have_attribute("data-state", "open")
    expect(page.locator("#stream-topic")).to_have_attribute("data-reconnects", "0")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_window_and_asks_nobody_else(
    start_server: Callable[..., Martlet], open_page: OpenPage, console: list[str], width: int, scheme: str
) -> None:
    server = start_server("--demo")
    page = open_page(server.port, viewport={"width": width, "height": 740}, color_scheme=scheme)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.reload()
    expect(page.locator("#load path.line").first).to_have_attribute("d", re.compile("L"))
    server.publish("demo", "x" * 3000)
    expect(page.locator("#topic-events li[data-id]")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert {url for url in requests if not url.startswith((f"http://{HOST}:{server.port}/", "data:"))} == set()
    assert console == []
