# SPDX-License-Identifier: Apache-2.0
"""Nodes that share a stream of a real redis-server."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from streams import data, gap, last_id, opened, stream
from support import HOST, Curl, Martlet, free_port, is_ready, martlet, program, request, sample, wait_until
from tokens import Key

# The same for every node; short, so that tests need not wait long.
OPTIONS = ["--publish-timeout", "300ms", "--heartbeat", "500ms"]


class Redis:
    """A redis-server on loopback. What was acknowledged survives it."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory, self.port = directory / "redis", free_port()
        self.directory.mkdir()
        self.command = [
            program("redis-server"), "--port", str(self.port), "--bind", HOST, "--dir", str(self.directory),
            "--save", "", "--appendonly", "yes", "--appendfsync", "always", *options,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    def cli(self, *words: str) -> str:
        command = [program("redis-cli"), "-h", HOST, "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers() -> bool:
            try:
                return self.cli("PING") == "PONG"
            except subprocess.CalledProcessError:
                return False

        wait_until(answers, "redis-server answers")

    def kill(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def start_node(tmp_path: Path, redis: Redis) -> Iterator[Callable[..., Martlet]]:
    """Starts a node, and does not wait until it is ready where `waits` is false."""
    with ExitStack() as stack:
        def start(*options: str, waits: bool = True) -> Martlet:
            directory = tmp_path / f"node-{time.monotonic_ns()}"
            directory.mkdir()
            node = Martlet(directory, "--log", redis.url, *OPTIONS, *options)
            if waits:
                return stack.enter_context(node)
            node.spawn()
            stack.push(node)
            return node

        yield start


@pytest.fixture(autouse=True, scope="module")
def built_with_redis() -> None:
    """Fails, and says how to build it, where the command has no support for Redis."""
    answer = subprocess.run(
        [martlet(), "serve", "--port", "0", "--log", "redis://h", "--read-only", "--demo"], capture_output=True, text=True)
    assert "demo publishes" in answer.stderr, f"build with --traits Redis: {answer.stderr}"


def test_what_is_published_on_one_node_is_delivered_on_another(
    redis: Redis, start_node: Callable[..., Martlet]
) -> None:
    a, b = start_node(), start_node()
    with stream(b, "orders/42") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        ids = [a.publish("orders/42", f"event {number}") for number in range(100)]
        wait_until(lambda: len(data(curl)) == 100, "all events")
        assert data(curl) == [f"event {number}" for number in range(100)]
        assert last_id(curl) == ids[-1]
    assert redis.cli("XLEN", "martlet") == "100"
    assert sample(b.port, "martlet_log_reachable") == 1
    assert sample(b.port, "martlet_log_lag_seconds") == 0


def test_a_client_goes_on_at_another_node(redis: Redis, start_node: Callable[..., Martlet]) -> None:
    a, b = start_node(), start_node()
    ids = [a.publish("news", f"{number}") for number in range(20)]
    for node in [b, a]:
        with stream(node, "news", "-H", f"Last-Event-ID: {ids[9]}") as curl:
            wait_until(lambda: len(data(curl)) >= 10, "the rest")
            assert data(curl) == [f"{number}" for number in range(10, 20)]
    # While events come, each node has some clients, which change over to the other again and again.
    seen: list[str] = []
    place = ids[-1]
    for turn in range(6):
        publisher, subscriber = (a, b) if turn % 2 else (b, a)
        new = [f"turn {turn}.{number}" for number in range(10)]
        for text in new[:5]:
            publisher.publish("news", text)
        with stream(subscriber, "news", "-H", f"Last-Event-ID: {place}") as curl:
            for text in new[5:]:
                publisher.publish("news", text)
            wait_until(lambda: data(curl)[-1:] == new[-1:], "the newest")
            seen += data(curl)
            assert gap(curl) is None
            place = last_id(curl)
    assert seen == [f"turn {turn}.{number}" for turn in range(6) for number in range(10)]


def test_others_add_to_the_stream(redis: Redis, start_node: Callable[..., Martlet]) -> None:
    node = start_node("--read-only")
    with stream(node, "orders/42") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        id = redis.cli("XADD", "martlet", "*", "topic", "orders/42", "data", "shipped")
        redis.cli("XADD", "martlet", "*", "no", "event")
        redis.cli("XADD", "martlet", "*", "topic", "orders/42", "data", "delivered", "type", "update")
        wait_until(lambda: len(data(curl)) == 2, "both events")
        assert data(curl) == ["shipped", "delivered"]
        assert "event: update" in curl.lines
        assert any(line.startswith("id: ") and line.endswith("-" + id) for line in curl.lines)
    assert sample(node.port, "martlet_log_entries_skipped_total") == 1
    status, text = request(node.port, "POST", "/events/orders/42", "no")
    assert status == 403 and "Publishing is turned off here" in text
    assert request(node.port, "POST", "/.well-known/mercure", "topic=a&data=b")[0] == 403


def test_nodes_live_without_the_server_for_a_while(redis: Redis, start_node: Callable[..., Martlet]) -> None:
    a, b = start_node(), start_node()
    with stream(a, "news") as one, stream(b, "news") as other:
        wait_until(lambda: opened(one) and opened(other), "the streams are open")
        published = [f"before {number}" for number in range(5)]
        for text in published:
            a.publish("news", text)
        redis.kill()
        for node in [a, b]:
            wait_until(lambda: sample(node.port, "martlet_log_reachable") == 0, "the node has noticed")
            answer = subprocess.run(
                [program("curl"), "-si", "--noproxy", "*", "-d", "no", f"http://{HOST}:{node.port}/events/news"],
                capture_output=True, text=True)
            assert answer.stdout.startswith("HTTP/1.1 503"), answer.stdout
            assert "retry-after" in answer.stdout.lower()
        # A client that is up to date may come and go meanwhile.
        wait_until(lambda: len(data(one)) == 5, "all so far")
        with stream(a, "news", "-H", f"Last-Event-ID: {last_id(one)}") as late:
            wait_until(lambda: opened(late), "a stream is opened without the server")
            redis.start()
            for node in [a, b]:
                wait_until(lambda: sample(node.port, "martlet_log_reachable") == 1, "the node has found it")
                published.append(f"after {node.port}")
                node.publish("news", published[-1])
            for curl in [one, other]:
                wait_until(lambda: len(data(curl)) >= len(published), "all events")
                assert data(curl) == published
                assert gap(curl) is None
            wait_until(lambda: len(data(late)) == 2, "what is new")
            assert data(late) == published[-2:]
        assert one.is_open() and other.is_open()
    assert sample(a.port, "martlet_log_losses_total") == 1


def test_clients_are_told_when_everything_is_gone(redis: Redis, start_node: Callable[..., Martlet]) -> None:
    a, b = start_node(), start_node()
    before = a.publish("news", "before")
    with stream(b, "news") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        redis.cli("FLUSHALL")
        wait_until(lambda: gap(curl) is not None, "the client is told")
        assert gap(curl) == "epoch"
        a.publish("news", "after")
        wait_until(lambda: data(curl)[-1:] == ["after"], "the event after it")
    for node in [a, b]:
        with stream(node, "news", "-H", f"Last-Event-ID: {before}") as late:
            wait_until(lambda: data(late)[-1:] == ["after"], "all of history")
            assert gap(late) == "epoch"


def test_who_has_missed_what_was_removed_is_told(redis: Redis, start_node: Callable[..., Martlet]) -> None:
    node = start_node("--history-events", "10")
    quiet = node.publish("quiet", "1")
    first = node.publish("news", "0")
    for number in range(1, 20):
        node.publish("news", f"{number}")
    with stream(node, "news", "-H", f"Last-Event-ID: {first}") as curl:
        wait_until(lambda: data(curl)[-1:] == ["19"], "what is left")
        assert gap(curl) == "trimmed"
        assert data(curl)[1:] == [f"{number}" for number in range(10, 20)]
    with stream(node, "quiet", "-H", f"Last-Event-ID: {quiet}") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        assert gap(curl) is None
    assert redis.cli("XLEN", "martlet") == "10"


def test_a_node_waits_for_the_server_and_is_not_ready(redis: Redis, start_node: Callable[..., Martlet]) -> None:
    redis.kill()
    node = start_node(waits=False)

    def status(path: str) -> int:
        try:
            return request(node.port, "GET", path)[0]
        except OSError:
            return 0

    wait_until(lambda: status("/health/live") == 200, "the node listens")
    assert status("/health/ready") == 503
    answer, text = request(node.port, "POST", "/events/news", "no")
    assert answer == 503, text
    redis.start()
    wait_until(lambda: is_ready(node.port), "the node is ready")
    node.publish("news", "yes")
    assert "cannot be reached" in node.log.read_text()


def test_a_node_that_waits_for_the_server_can_be_stopped(redis: Redis, start_node: Callable[..., Martlet]) -> None:
    redis.kill()
    node = start_node(waits=False)
    wait_until(lambda: "Martlet listens" in node.log.read_text(), "the node listens")
    before = time.monotonic()
    node.stop()
    assert time.monotonic() - before < 8, "it has waited for the grace period"


def test_every_node_knows_who_is_subscribed_on_all(
    redis: Redis, start_node: Callable[..., Martlet], tmp_path: Path
) -> None:
    hub = "/.well-known/mercure"
    watched = f"{hub}/subscriptions{{/topic}}{{/subscriber}}"
    key = Key.make("ES256")
    file = tmp_path / "key.pem"
    file.write_text(key.public_text)
    keys = [f"--{role}-key=file:{file}" for role in ["publisher", "subscriber"]]
    keys += [f"--{role}-alg=ES256" for role in ["publisher", "subscriber"]]
    nodes = [start_node("--subscriptions", "--anonymous", *keys) for _ in range(3)]
    authorization = f"Authorization: Bearer {key.token(publish=['*'], subscribe=[watched], payload={'name': 'Ada'})}"
    headers = dict([authorization.split(": ", 1)])

    def topics(node: Martlet) -> list[str]:
        status, text = request(node.port, "GET", f"{hub}/subscriptions", headers=headers)
        assert status == 200, text
        return sorted(item["topic"] for item in json.loads(text)["subscriptions"])

    def told(curl: Curl) -> list[tuple[str, bool]]:
        documents = [json.loads(text) for text in data(curl)]
        return [(item["topic"], item["active"]) for item in documents if item["topic"] != watched]

    def is_published() -> bool:
        form = {"Content-Type": "application/x-www-form-urlencoded"} | headers
        return request(stops.port, "POST", hub, "topic=b&data=still+there", form)[0] == 200

    stays, dies, stops = nodes
    with Curl(stays.port, f"{hub}?topic={quote(watched)}", "-H", authorization) as watcher:
        with Curl(dies.port, f"{hub}?topic=a"), Curl(stops.port, f"{hub}?topic=b") as b:
            for node in nodes:
                wait_until(lambda: topics(node) == sorted([watched, "a", "b"]), "everybody is known everywhere")
            assert sorted(told(watcher)) == [("a", True), ("b", True)]
            # A server that is away disturbs nobody, and is told everything again.
            redis.kill()
            redis.start()
            dies.kill()
            wait_until(is_published, "the server is found")
            wait_until(lambda: data(b)[-1:] == ["still there"], "an event")
            wait_until(lambda: topics(stays) == sorted([watched, "b"]), "who was on the node that died is gone")
            stops.stop()
            wait_until(lambda: topics(stays) == [watched], "who was on the node that stopped is gone")
    assert told(watcher)[-1] == ("b", False) and ("a", False) in told(watcher)
    assert redis.cli("SCARD", "martlet:nodes") == "1"


def test_no_password_is_logged(redis: Redis, start_node: Callable[..., Martlet], tmp_path: Path) -> None:
    redis.cli("CONFIG", "SET", "requirepass", "hidden-word")
    node = Martlet(
        tmp_path, "--log-level", "debug",
        environment={"MARTLET_LOG": f"redis://:hidden-word@{HOST}:{redis.port}/0?stream=other"})
    with node:
        node.publish("news", "1")
    assert "hidden-word" not in node.log.read_text()
    wrong = Martlet(tmp_path, "--log", f"redis://:wrong-word@{HOST}:{redis.port}")
    wrong.spawn()
    try:
        wait_until(lambda: "WRONGPASS" in wrong.log.read_text(), "the reason is logged")
        assert "wrong-word" not in wrong.log.read_text()
        assert "Others can see the password" in wrong.log.read_text()
    finally:
        wrong.stop()
