# SPDX-License-Identifier: Apache-2.0
"""The subscribers of the tests behave as an EventSource does."""

from collections.abc import Callable

from scale import seeded
from subscribers import Herd
from support import Martlet
from verdict import complaints


def test_a_subscriber_gives_up_on_any_answer_but_200(server: Martlet) -> None:
    with Herd(server.port, 1, seeded(), path="/nothing") as herd:
        assert complaints(herd.received, []) == ["subscriber 0 has given up: status 404"]


def test_a_subscriber_comes_back_with_its_last_id_and_hears_of_a_gap(start_server: Callable[..., Martlet]) -> None:
    server = start_server("--heartbeat", "100ms")
    with Herd(server.port, 1, seeded(), pace=0.05) as herd:
        (subscriber,) = herd.subscribers
        begin = subscriber.last_id
        last = server.publish("others", "1")
        herd.wait_until(lambda _: subscriber.last_id == last, "a heartbeat has moved its id")
        assert last != begin
        server.kill()
        server.start()
        herd.wait_until(lambda _: subscriber.received.gaps, "it is told of the gap")
        herd.wait_until_open()
        assert '"reason":"epoch"' in subscriber.received.gaps[0] and len(subscriber.received.gaps) == 1
        assert len(subscriber.cuts) == 1
