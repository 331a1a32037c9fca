# SPDX-License-Identifier: Apache-2.0
"""The browser reconnects by itself; what it missed comes after, or it is told that it is lost."""

from concurrent.futures import ThreadPoolExecutor

from playwright.sync_api import expect

from conftest import OpenPage
from faulty_proxy import FaultyProxy
from support import Martlet, topic_events, wait_until

CUTS = 5


def test_every_event_is_shown_once_and_in_order_however_often_connections_are_cut(
    server: Martlet, proxy: FaultyProxy, open_page: OpenPage
) -> None:
    page = open_page(proxy.port)
    stream = page.locator("#stream-topic")
    published: list[tuple[str, str]] = []

    def publish(count: int) -> None:
        for _ in range(count):
            data = f"event {len(published) + 1}"
            published.append((server.publish("demo", data), data))

    for cut in range(CUTS):
        before = len(published)
        with ThreadPoolExecutor(1) as publisher:
            burst = publisher.submit(publish, 8)
            wait_until(lambda: burst.done() or len(published) > before + 2, "events are on their way")
            proxy.refuse()
            assert proxy.cut(reset=cut % 2 == 0) >= 3
            burst.result()
        expect(stream).to_have_attribute("data-state", "reconnecting")
        publish(8)
        proxy.accept()
        publish(2)
        expect(stream).to_have_attribute("data-reconnects", str(cut + 1))
        expect(page.locator("body")).to_have_attribute("data-state", "open")  # all streams are back

    publish(1)
    wait_until(lambda: topic_events(page)[-1:] == published[-1:], "the last event is shown")
    assert topic_events(page) == published
    expect(page.locator("#gaps")).to_have_text("0")
    expect(page.locator("#topic-events li.gap")).to_have_count(0)


def test_a_restart_without_history_is_shown_as_a_gap(server: Martlet, open_page: OpenPage) -> None:
    page = open_page(server.port)
    stream = page.locator("#stream-topic")
    before = server.publish("demo", "before")
    wait_until(lambda: topic_events(page) == [(before, "before")], "the first event is shown")

    server.stop()
    expect(stream).to_have_attribute("data-state", "reconnecting")
    server.start()
    expect(stream).to_have_attribute("data-gaps", "1")
    expect(stream.locator(".note")).to_contain_text("History lost: the server restarted")
    expect(page.locator("#gaps")).not_to_have_text("0")
    expect(page.locator("#topic-events li").first).to_have_class("gap")

    after = server.publish("demo", "after")
    wait_until(lambda: topic_events(page)[1:] == [(after, "after")], "the event after the restart is shown")
    assert before != after
    expect(stream).to_have_attribute("data-gaps", "1")
    expect(stream).to_have_attribute("data-state", "open")
