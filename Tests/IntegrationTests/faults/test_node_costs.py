# SPDX-License-Identifier: Apache-2.0
"""What an event costs Redis does not depend on how many subscribers there are: added once, read once by each node."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from cut_all import cut_all
from nodes import running_nodes
from redis_log import RedisServer
from scale import scale, seeded
from subscribers import Herd
from support import Martlet

NODES = 3
EVENTS = 100
PACE = 0.1
SUBSCRIBERS = [30, scale("SUBSCRIBERS", 3000)]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as redis:
        yield redis


class Calls:
    """How often Redis runs each command meanwhile."""

    def __init__(self, redis: RedisServer) -> None:
        self._redis = redis

    def __enter__(self) -> Self:
        self._before, self._start = self._redis.calls(), time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.counts = self._redis.calls() - self._before
        self.counts.pop("info", None)
        seconds = time.monotonic() - self._start
        # Once a second each node waits anew and tidies up, which runs no command more than twice.
        self.regular = NODES * 2 * (int(seconds) + 1)
        print(f"--- {seconds:.1f} s, {self.counts.most_common()}")


def test_redis_does_the_same_for_few_subscribers_and_for_many(redis: RedisServer, tmp_path: Path) -> None:
    with running_nodes(tmp_path, NODES, redis) as nodes:
        for each in nodes:
            each.publish("others", "opens its connections")
        few, many = [calls_for(redis, nodes, subscribers) for subscribers in SUBSCRIBERS]
        for calls in (few, many):
            assert calls.counts["xadd"] == EVENTS
            assert calls.counts["xread"] <= EVENTS * NODES + calls.regular
        for command, count in many.counts.items():
            assert count <= few.counts[command] + many.regular, command


def calls_for(redis: RedisServer, nodes: list[Martlet], subscribers: int) -> Calls:
    """What it takes that so many subscribers get all events. They come and go for nothing."""
    with ExitStack() as stack:
        with Calls(redis) as coming:
            herds = [stack.enter_context(Herd(each.port, subscribers // NODES, seeded(), PACE)) for each in nodes]
        with Calls(redis) as delivering:
            for number in range(EVENTS):
                nodes[number % NODES].publish("numbers", str(number))
            for herd in herds:
                herd.wait_for(EVENTS - 1)
        assert all(list(received.numbers) == list(range(EVENTS)) for herd in herds for received in herd.received)
        with Calls(redis) as coming_back:
            for each, herd in zip(nodes, herds):
                cut_all(each.port)
                herd.wait_until(lambda subscriber: subscriber.cuts, "all streams are cut")
                herd.wait_until_open()
        for calls in (coming, coming_back):
            assert all(count <= calls.regular for count in calls.counts.values())
        return delivering
