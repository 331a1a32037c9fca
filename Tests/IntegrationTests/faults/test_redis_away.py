# SPDX-License-Identifier: Apache-2.0
"""While Redis is away publishers are told to come again, and those who listen notice nothing."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from faulty_proxy import FaultyProxy
from nodes import node
from publisher import Publisher
from redis_log import RedisServer
from scale import seeded
from subscribers import Herd
from support import DEADLINE, HOST, Curl, Martlet, is_ready, request, sample, wait_until
from verdict import check

QUICK = ["--heartbeat", "100ms", "--publish-timeout", "100ms"]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as redis:
        yield redis


@pytest.fixture
def server(redis: RedisServer, tmp_path: Path) -> Martlet:
    """Not started yet."""
    return node(tmp_path, "node", redis, *QUICK)


def answers(port: int) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return request(port, "GET", "/health/live")[0] == 200
    return False


def assert_publishing_is_refused(port: int) -> None:
    connection = http.client.HTTPConnection(HOST, port, timeout=DEADLINE)
    connection.request("POST", "/events/numbers", b"0")
    response = connection.getresponse()
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0
    assert response.headers.get_content_type() == "application/problem+json"
    connection.close()


def test_a_node_that_starts_without_redis_is_ready_when_it_comes(redis: RedisServer, server: Martlet) -> None:
    redis.kill()
    server.spawn()
    wait_until(lambda: answers(server.port), "it listens")
    assert request(server.port, "GET", "/health/ready")[0] == 503
    assert_publishing_is_refused(server.port)
    redis.start()
    wait_until(lambda: is_ready(server.port), "it is ready")
    with Curl(server.port, "/events/numbers?lastEventID=earliest") as curl:
        server.publish("numbers", "1")
        wait_until(lambda: "data: 1" in curl.lines, "the event is printed")
        assert [line for line in curl.lines if line.startswith("data:")] == ["data: 1"]
    server.stop()


def test_a_node_that_waits_for_redis_can_be_stopped(redis: RedisServer, server: Martlet) -> None:
    redis.kill()
    server.spawn()
    wait_until(lambda: answers(server.port), "it listens")
    server.stop()
    redis.start()


@contextmanager
def killed(redis: RedisServer) -> Iterator[None]:
    redis.kill()
    yield
    redis.start()


@pytest.mark.parametrize(("away", "times"), [(killed, 3), (RedisServer.frozen, 1)])
def test_streams_stay_open_while_redis_is_away_and_go_on(
    redis: RedisServer, server: Martlet, away: Callable[[RedisServer], AbstractContextManager[None]], times: int
) -> None:
    with (
        server,
        Curl(server.port, "/events/heartbeats") as curl,
        Herd(server.port, 20, seeded()) as herd,
        Publisher(server.port, interval=0.001) as publisher,
    ):
        for _ in range(times):
            publisher.let_publish(20)
            with away(redis):
                wait_until(lambda: sample(server.port, "martlet_log_reachable") == 0, "it has noticed")
                assert_publishing_is_refused(server.port)
                lines = len(curl.lines)
                wait_until(lambda: len(curl.lines) > lines + 5, "heartbeats come")
                assert is_ready(server.port)  # it serves those who listen
            publisher.let_publish(20)
            assert sample(server.port, "martlet_log_reachable") == 1
        assert publisher.refusals[503] + publisher.unanswered > 0
        herd.wait_for(publisher.finish())
        check(herd.received, [publisher.sent])
        assert list(herd.received[0].numbers) == redis.numbers()
        assert not any(subscriber.cuts or subscriber.ends for subscriber in herd.subscribers)
        assert curl.is_open()


def test_clients_come_back_to_a_node_that_was_restarted_without_redis(redis: RedisServer, server: Martlet) -> None:
    with server, Herd(server.port, 20, seeded(), pace=0.05) as herd:
        server.publish("numbers", "1")
        herd.wait_for(1)
        redis.kill()
        server.kill()
        server.spawn()
        herd.wait_until(lambda subscriber: subscriber.sent_away > 1, "all are told to come again")
        redis.start()
        herd.wait_until_open()
        server.publish("numbers", "2")
        herd.wait_for(2)
        assert all(list(received.numbers) == [1, 2] and not received.gaps for received in herd.received)


def test_what_reaches_redis_late_is_not_added_again(redis: RedisServer, tmp_path: Path) -> None:
    # Longer than a node waits for the answer to a command, so that it sends the command again on another connection.
    with (
        FaultyProxy(redis.port) as link,
        node(tmp_path, "node", redis, "--publish-timeout", "30s", through=link.port) as server,
    ):
        server.publish("numbers", "1")
        link.hold()
        server.publish("numbers", "2")
        server.publish("numbers", "3")
        assert redis.numbers() == [1, 2, 3]
        connections = len(redis.client.client_list())
        link.flow()
        wait_until(lambda: len(redis.client.client_list()) < connections, "the first command has come")
        server.publish("numbers", "4")
        assert redis.numbers() == [1, 2, 3, 4]
