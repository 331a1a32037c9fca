# SPDX-License-Identifier: Apache-2.0
"""Connections that break, stall or are slow, and a server that stands still: nothing is lost, nothing comes twice."""

from collections.abc import Callable

import pytest

from cut_all import cut_all
from faulty_proxy import FaultyProxy
from publisher import Publisher
from scale import scale, seeded
from subscribers import Herd
from support import Martlet, sample, wait_until
from verdict import check

SUBSCRIBERS = scale("SUBSCRIBERS", 50)
ROUNDS = 5
PACE = 0.05


def finish(herd: Herd, *publishers: Publisher) -> None:
    for number in [publisher.finish() for publisher in publishers]:
        herd.wait_for(number)
    check(herd.received, [publisher.sent for publisher in publishers])


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
def test_connections_are_cut_in_the_middle_of_events(server: Martlet, proxy: FaultyProxy, reset: bool) -> None:
    proxy.size, proxy.delay = 7, 0.001  # bytes and seconds, so that most cuts leave a part of an event
    with Herd(proxy.port, SUBSCRIBERS, seeded(), PACE) as herd, Publisher(server.port) as publisher:
        for _ in range(ROUNDS):
            publisher.let_publish(20)
            proxy.refuse()
            assert proxy.cut(reset) == SUBSCRIBERS
            publisher.let_publish(20)
            proxy.accept()
            herd.wait_until_open()
        proxy.size, proxy.delay = 65536, 0
        finish(herd, publisher)
        assert all(len(subscriber.cuts) == ROUNDS for subscriber in herd.subscribers)


def test_connections_stand_still_for_longer_than_the_window(start_server: Callable[..., Martlet]) -> None:
    server = start_server("--window-bytes", "256KiB")
    def stands_still() -> bool:
        """Whether the sockets take nothing more, while more is published than the window holds."""
        before = sample(server.port, "martlet_deliveries_total")
        publisher.let_publish(100)
        return sample(server.port, "martlet_deliveries_total") == before

    with (
        FaultyProxy(server.port) as proxy,
        Herd(proxy.port, 10, seeded(), PACE) as herd,
        Publisher(server.port, interval=0, size=16_000) as publisher,
    ):
        publisher.let_publish(20)
        proxy.stall()
        wait_until(stands_still, "nothing is delivered", Publisher.DEADLINE)
        proxy.flow()
        finish(herd, publisher)
        assert not any(subscriber.cuts for subscriber in herd.subscribers)


def test_the_kernel_ends_connections(server: Martlet) -> None:
    with Herd(server.port, SUBSCRIBERS, seeded(), PACE) as herd, Publisher(server.port, repeats=False) as publisher:
        for cut in range(ROUNDS):
            publisher.let_publish(20)
            cut_all(server.port)
            herd.wait_until(lambda subscriber: len(subscriber.cuts) > cut, "all streams are cut")
            herd.wait_until_open()
        finish(herd, publisher)


@pytest.mark.parametrize("repeats", [True, False], ids=["repeated", "not repeated"])
def test_a_server_stands_still_while_clients_come_and_go(server: Martlet, repeats: bool) -> None:
    with (
        Herd(server.port, SUBSCRIBERS, seeded(), PACE) as herd,
        Publisher(server.port, repeats=repeats, timeout=0.3) as publisher,
    ):
        for _ in range(ROUNDS):
            publisher.let_publish(20)
            unanswered = publisher.unanswered
            with server.frozen():
                cut_all(server.port)
                wait_until(lambda: publisher.unanswered > unanswered + 3, "publishes are not answered")
            herd.wait_until_open()
        finish(herd, publisher)


def test_answers_to_publishers_are_lost(server: Martlet, proxy: FaultyProxy) -> None:
    proxy.delay = 0.002  # seconds, so that a cut meets requests and answers on their way
    with (
        Herd(server.port, SUBSCRIBERS, seeded(), PACE) as herd,
        Publisher(proxy.port) as careful,
        Publisher(proxy.port, first=1_000_000, repeats=False, interval=0) as careless,
    ):
        for _ in range(10 * ROUNDS):
            careful.let_publish(2)
            proxy.cut()
        assert careful.unanswered > 0 and careless.unanswered > 0
        finish(herd, careful, careless)
        assert not careful.sent.unanswered
