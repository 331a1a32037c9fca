# SPDX-License-Identifier: Apache-2.0
"""Clients go on at another node, also at one that is behind; where the log has lost something, they are told, once."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from faulty_proxy import FaultyProxy
from nodes import node, running_nodes
from publisher import Publisher
from redis_log import RedisServer
from scale import scale, seeded
from subscribers import Herd, Subscriber
from support import Curl, sample, wait_until
from verdict import check

SUBSCRIBERS = scale("SUBSCRIBERS", 50)
ROUNDS = 5
PACE = 0.05


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as redis:
        yield redis


def move(herd: Herd, proxy: FaultyProxy, port: int) -> None:
    """Has all come back at another port. Returns when they are cut off."""
    cuts = [len(subscriber.cuts) for subscriber in herd.subscribers]
    proxy.target = port
    assert proxy.cut() == len(herd.subscribers)
    for subscriber, before in zip(herd.subscribers, cuts):
        wait_until(lambda: len(subscriber.cuts) > before, "a stream is cut", herd.DEADLINE)


def finish(herd: Herd, publisher: Publisher) -> None:
    herd.wait_for(publisher.finish())
    check(herd.received, [publisher.sent])


def test_a_node_that_does_not_hear_from_the_log_goes_on_with_who_is_ahead(redis: RedisServer, tmp_path: Path) -> None:
    with (
        FaultyProxy(redis.port) as link,
        node(tmp_path, "ahead", redis) as ahead,
        node(tmp_path, "behind", redis, through=link.port) as behind,
        FaultyProxy(ahead.port) as proxy,
        Herd(proxy.port, SUBSCRIBERS, seeded(), PACE) as herd,
        Publisher(ahead.port) as publisher,
    ):
        publisher.let_publish(20)
        link.cut()
        wait_until(lambda: sample(behind.port, "martlet_log_losses_total") > 0, "it has noticed")
        wait_until(lambda: sample(behind.port, "martlet_log_reachable") == 1, "it is connected again")
        link.hold()  # what follows the log; where history is read new connections are made
        publisher.let_publish(20)
        herd.wait_for(publisher.sent.acknowledged[-1])
        move(herd, proxy, behind.port)
        herd.wait_until_open()
        link.refuse()  # so that it stays behind, whatever it tries
        deliveries = herd.deliveries
        publisher.let_publish(20)
        assert herd.deliveries == deliveries
        link.accept()
        link.flow()
        finish(herd, publisher)
        assert all(len(subscriber.cuts) == 1 and not subscriber.ends for subscriber in herd.subscribers)


def test_a_node_that_stood_still_goes_on_with_who_is_ahead(redis: RedisServer, tmp_path: Path) -> None:
    with (
        running_nodes(tmp_path, 2, redis) as (ahead, behind),
        FaultyProxy(ahead.port) as proxy,
        Herd(proxy.port, SUBSCRIBERS, seeded(), PACE) as herd,
        Publisher(ahead.port) as publisher,
    ):
        for _ in range(ROUNDS):
            with behind.frozen():
                publisher.let_publish(20)
                herd.wait_for(publisher.sent.acknowledged[-1])
                move(herd, proxy, behind.port)
                publisher.let_publish(20)
            herd.wait_until_open()
            publisher.let_publish(5)
            move(herd, proxy, ahead.port)
            herd.wait_until_open()
        finish(herd, publisher)


def test_who_is_ahead_of_a_node_stays_when_the_log_is_away(redis: RedisServer, tmp_path: Path) -> None:
    with (
        FaultyProxy(redis.port) as link,
        node(tmp_path, "ahead", redis) as ahead,
        node(tmp_path, "behind", redis, "--publish-timeout", "100ms", through=link.port) as behind,
        FaultyProxy(ahead.port) as proxy,
        Herd(proxy.port, SUBSCRIBERS, seeded(), PACE) as herd,
        Publisher(ahead.port) as publisher,
    ):
        publisher.let_publish(20)
        link.refuse()
        link.cut()
        publisher.let_publish(20)
        herd.wait_for(publisher.sent.acknowledged[-1])
        move(herd, proxy, behind.port)
        herd.wait_until(lambda subscriber: subscriber.sent_away > 1, "all are told to come again")
        link.accept()
        herd.wait_until_open()
        finish(herd, publisher)


class Story:
    """Two nodes with subscribers whose log loses something that all have received, and goes on."""

    def __init__(self, redis: RedisServer, directory: Path) -> None:
        self._redis, self._directory = redis, directory
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._nodes = stack.enter_context(running_nodes(self._directory, 2, self._redis))
            self._herds = [stack.enter_context(Herd(each.port, 10, seeded())) for each in self._nodes]
            *_, self.kept = self._publish(range(5))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait_until(self, condition: Callable[[Subscriber], object], what: str) -> None:
        for herd in self._herds:
            herd.wait_until(condition, what)

    def lose(self, loss: "Loss") -> None:
        loss(self._redis, self._publish_what_is_lost)

    def go_on(self) -> None:
        """Publishes more. Everybody has to receive it, after what is lost, on the connection he has."""
        self._publish(range(10, 15))
        for subscriber in self._subscribers:
            assert list(subscriber.received.numbers) == list(range(15))
            assert not subscriber.cuts and not subscriber.ends

    def restart_nodes(self) -> None:
        for each in self._nodes:
            each.kill()
            each.start()

    def reasons(self) -> list[str]:
        """Of which gaps everybody was told."""
        found = [[json.loads(gap)["reason"] for gap in subscriber.received.gaps] for subscriber in self._subscribers]
        assert all(each == found[0] for each in found)
        return found[0]

    def reasons_when_resumed(self, id: str) -> list[str]:
        """Of which gaps who comes back is told, on any node."""
        found = []
        for each in self._nodes:
            with resumed(each.port, id) as curl:
                wait_until(lambda: "data: 14" in curl.lines, "the newest event is there")
                found.append(reasons(curl))
                assert curl.lines.count("data: 4") == curl.lines.count("data: 0")  # from the start, or not at all
        assert all(each == found[0] for each in found)
        return found[0]

    @property
    def _subscribers(self) -> list[Subscriber]:
        return [subscriber for herd in self._herds for subscriber in herd.subscribers]

    def _publish(self, numbers: range) -> list[str]:
        """Publishes on all nodes by turns. Returns the ids when all have received the events."""
        ids = [self._nodes[number % 2].publish("numbers", str(number)) for number in numbers]
        for herd in self._herds:
            herd.wait_for(numbers[-1])
        return ids

    def _publish_what_is_lost(self) -> None:
        *_, self.lost, self.newest_lost = self._publish(range(5, 10))


# What the log may lose of what is published.

Loss = Callable[[RedisServer, Callable[[], None]], None]


def flushed(redis: RedisServer, publish: Callable[[], None]) -> None:
    publish()
    redis.client.flushall()


def wiped_while_away(redis: RedisServer, publish: Callable[[], None]) -> None:
    publish()
    redis.kill()
    shutil.rmtree(redis.folder)
    redis.folder.mkdir()
    redis.start()


def rolled_back(redis: RedisServer, publish: Callable[[], None]) -> None:
    """As when the power fails and the disk has not kept what it said it had."""
    (file,) = redis.folder.glob("appendonlydir/*.incr.aof")
    size = file.stat().st_size
    publish()
    redis.kill()
    os.truncate(file, size)
    redis.start()


@pytest.mark.parametrize("publishes_at_once", [True, False], ids=["publishing at once", "when it is noticed"])
@pytest.mark.parametrize("loss", [flushed, wiped_while_away])
def test_everybody_is_told_of_a_log_that_has_begun_anew(
    redis: RedisServer, tmp_path: Path, loss: Loss, publishes_at_once: bool
) -> None:
    with Story(redis, tmp_path) as story:
        story.lose(loss)
        if not publishes_at_once:
            story.wait_until(lambda subscriber: subscriber.received.gaps, "it is told of the gap")
        story.go_on()
        assert story.reasons() == ["epoch"]
        assert story.reasons_when_resumed(story.kept) == ["epoch"]
        assert story.reasons_when_resumed(story.lost) == ["epoch"]


def test_who_comes_back_to_a_log_that_was_rolled_back_is_told_so(redis: RedisServer, tmp_path: Path) -> None:
    with Story(redis, tmp_path) as story:
        story.lose(rolled_back)
        story.go_on()
        assert story.reasons() == []  # who stayed has missed nothing
        for lost in (story.lost, story.newest_lost):
            assert story.reasons_when_resumed(lost) == ["rolled-back"]
        story.restart_nodes()  # they had what was lost in memory
        for id in (story.kept, story.lost, story.newest_lost):
            assert story.reasons_when_resumed(id) == ["rolled-back"]


def resumed(port: int, id: str, path: str = "/events/numbers") -> Curl:
    return Curl(port, path, "-H", f"Last-Event-ID: {id}")


def reasons(curl: Curl) -> list[str]:
    """Why there were gaps."""
    data = [line.removeprefix("data: ") for line in curl.lines if '"reason"' in line]
    assert len(data) == curl.lines.count("event: gap")
    return [json.loads(each)["reason"] for each in data]


def test_who_resumes_before_what_was_removed_is_told_so_on_any_node(redis: RedisServer, tmp_path: Path) -> None:
    with running_nodes(tmp_path, 2, redis, "--history-events", "5", "--heartbeat", "100ms") as nodes:
        quiet = nodes[0].publish("quiet", "first")
        ids = [nodes[number % 2].publish("numbers", str(number)) for number in range(20)]
        for each in nodes:
            with resumed(each.port, ids[10]) as curl:
                wait_until(lambda: "data: 19" in curl.lines, "what is left is there")
                assert reasons(curl) == ["trimmed"]
                data = [line for line in curl.lines if line.startswith("data: ") and "reason" not in line]
                assert data == [f"data: {number}" for number in range(15, 20)]
            with resumed(each.port, ids[14]) as curl:
                wait_until(lambda: "data: 19" in curl.lines, "what is left is there")
                assert reasons(curl) == []
            with resumed(each.port, quiet, "/events/quiet") as curl:
                wait_until(lambda: f"id: {ids[-1]}" in curl.lines, "a heartbeat has moved its id")
                assert reasons(curl) == []
