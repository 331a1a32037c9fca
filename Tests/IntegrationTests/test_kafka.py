# SPDX-License-Identifier: Apache-2.0
"""Nodes that share a topic of Kafka: librdkafka's mock brokers, and Tansu, which is another implementation."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import pytest
from httpx_sse import connect_sse

from kafka_support import (
    MockCluster, Record, Tansu, admin, consume, kcat_consume, kcat_produce, newer_librdkafka, produce,
)
from secure_proxy import Authority, SecureProxy
from streams import data, events, gap, gaps, ids, last_id, opened, resumed, stream
from support import DEADLINE, HOST, Curl, Martlet, is_ready, martlet, program, request, sample, wait_until

# The same for every node; short, so that tests need not wait long.
OPTIONS = ["--publish-timeout", "500ms", "--heartbeat", "500ms"]
TOPIC = "martlet"
StartNode = Callable[..., Martlet]


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[MockCluster]:
    """One mock broker with the topic."""
    with MockCluster(tmp_path, martlet=1) as cluster:
        yield cluster


@pytest.fixture
def tansu(tmp_path: Path) -> Iterator[Tansu]:
    """A broker with the topic."""
    with Tansu(tmp_path) as broker:
        broker.create_topic(TOPIC)
        yield broker


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[StartNode]:
    """Starts a node, and does not wait until it is ready if `waits` is false."""
    with ExitStack() as stack:
        def start(log: str, *options: str, waits: bool = True, environment: dict[str, str] | None = None) -> Martlet:
            directory = tmp_path / f"node-{time.monotonic_ns()}"
            directory.mkdir()
            node = Martlet(directory, *OPTIONS, *options, environment={"MARTLET_LOG": log} | (environment or {}))
            if waits:
                return stack.enter_context(node)
            node.spawn()
            stack.push(node)
            return node

        yield start


@pytest.fixture(autouse=True, scope="module")
def built_with_kafka() -> None:
    """Fails, and says how to build it, if the command has no support for Kafka."""
    answer = refusal("--log", "kafka://h/t", "--read-only", "--demo")
    assert "demo publishes" in answer, f"build with --traits Kafka: {answer}"


def refusal(*options: str) -> str:
    """What the command prints when it does not start."""
    command = [martlet(), "serve", "--port", "0", *options]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert answer.returncode != 0
    return answer.stdout + answer.stderr


def address(servers: str, *settings: str, topic: str = TOPIC, login: str = "") -> str:
    """Where a log is. These brokers do not wake a fetch that waits, so it waits briefly."""
    query = "&".join([*settings, "fetch.wait.max.ms=5", "reconnect.backoff.max.ms=100"])
    return f"kafka://{login}{servers}/{topic}?{query}"


def record(topic: str | None, value: str | bytes | None, **headers: str | bytes) -> Record:
    """A record of another program. `x_id` is the header `martlet-id`."""
    return Record(
        value.encode() if isinstance(value, str) else value,
        None if topic is None else topic.encode(),
        tuple(
            (f"martlet-{name.removeprefix('x_')}", text.encode() if isinstance(text, str) else text)
            for name, text in headers.items()))


def post(node: Martlet, topic: str, text: str, key: str) -> tuple[int, str]:
    return request(node.port, "POST", f"/events/{quote(topic)}", text, {"Idempotency-Key": key})


def values(node: Martlet, topic: str) -> dict[str, str]:
    """The current value of each key of a topic."""
    code, text = request(node.port, "GET", f"/state/{topic}")
    assert code == 200, text
    return {key: value["data"] for key, value in json.loads(text)["values"].items()}


def status(node: Martlet, path: str) -> int:
    """The status of an answer; 0 if there is none yet."""
    try:
        return request(node.port, "GET", path)[0]
    except OSError:
        return 0


@pytest.mark.parametrize("broker", ["mock", "tansu"])
def test_what_is_published_on_one_node_is_delivered_on_another(
    start_node: StartNode, request: pytest.FixtureRequest, broker: str
) -> None:
    servers = request.getfixturevalue(broker).servers
    environment = newer_librdkafka() if broker == "tansu" else {}
    a, b = [start_node(address(servers), environment=environment) for _ in range(2)]
    with stream(b, "orders/42") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        published = [a.publish("orders/42", f"event {number}") for number in range(100)]
        wait_until(lambda: len(data(curl)) >= 100, "all events")
        assert data(curl) == [f"event {number}" for number in range(100)]
        wait_until(lambda: last_id(curl) == published[-1], "the id that the publisher was given")
    assert [record.offset for record in consume(servers, TOPIC, 100)] == list(range(100))
    assert sample(b.port, "martlet_log_reachable") == 1
    assert sample(b.port, "martlet_log_lag_seconds") == 0
    assert sample(b.port, "martlet_log_losses_total") == 0
    assert sample(b.port, "martlet_log_entries_skipped_total") == 0


def test_a_client_goes_on_at_another_node(mock: MockCluster, start_node: StartNode) -> None:
    a, b = start_node(address(mock.servers)), start_node(address(mock.servers))
    published = [a.publish("news", f"{number}") for number in range(20)]
    for node in [b, a]:
        with resumed(node, "news", published[9]) as curl:
            wait_until(lambda: len(data(curl)) >= 10, "the rest")
            assert data(curl) == [f"{number}" for number in range(10, 20)]
    # While events come, a client changes from one node to the other again and again.
    seen: list[str] = []
    place = published[-1]
    for turn in range(6):
        publisher, subscriber = (a, b) if turn % 2 else (b, a)
        new = [f"turn {turn}.{number}" for number in range(10)]
        for text in new[:5]:
            publisher.publish("news", text)
        with resumed(subscriber, "news", place) as curl:
            for text in new[5:]:
                publisher.publish("news", text)
            wait_until(lambda: data(curl)[-1:] == new[-1:], "the newest")
            seen += data(curl)
            assert gap(curl) is None
            place = last_id(curl)
    assert seen == [f"turn {turn}.{number}" for turn in range(6) for number in range(10)]


def test_several_events_of_one_publish_resume_in_between(mock: MockCluster, start_node: StartNode) -> None:
    a, b = start_node(address(mock.servers)), start_node(address(mock.servers))
    lines = "".join(json.dumps({"topic": "news", "data": f"{number}"}) + "\n" for number in range(5))
    code, text = request(a.port, "POST", "/events", lines, {"Content-Type": "application/x-ndjson"})
    assert code == 200, text
    published = text.split()
    a.publish("news", "5")
    assert len(consume(mock.servers, TOPIC, 2)) == 2  # each publish is one record
    for number, id in enumerate(published):
        with resumed(b, "news", id) as curl:
            wait_until(lambda: data(curl)[-1:] == ["5"], "the rest")
            assert data(curl) == [f"{number}" for number in range(number + 1, 6)]
            assert gap(curl) is None


def test_a_key_that_is_used_on_two_nodes_at_once_counts_once(mock: MockCluster, start_node: StartNode) -> None:
    nodes = [start_node(address(mock.servers)) for _ in range(2)]
    with stream(nodes[0], "news") as one, stream(nodes[1], "news") as other, ThreadPoolExecutor(2) as pool:
        wait_until(lambda: opened(one) and opened(other), "the streams are open")
        for number in range(30):
            text = f"{number}"
            answers = list(pool.map(lambda node: post(node, "news", text, text), nodes))
            assert [code for code, _ in answers] == [200, 200]
            assert answers[0] == answers[1], "each publisher gets the id of the event that counts"
        for curl in [one, other]:
            wait_until(lambda: data(curl)[-1:] == ["29"], "all events")
            assert data(curl) == [f"{number}" for number in range(30)]
    assert post(nodes[0], "news", "another", "7")[0] == 422


def test_a_browser_like_client_receives_what_other_programs_produce(tansu: Tansu, start_node: StartNode) -> None:
    servers = tansu.servers
    node = start_node(address(servers), "--read-only", environment=newer_librdkafka())
    url = f"http://{HOST}:{node.port}/events/orders/42"
    with (
        httpx.Client(timeout=DEADLINE, trust_env=False) as client,
        connect_sse(client, "GET", f"{url}?topic=everything") as source,
    ):
        received = (event for event in source.iter_sse() if event.event != "message" or event.data)
        kcat_produce(servers, TOPIC, ["shipped", "delivered"], "orders/42", {"martlet-type": "update", "trace": "7"})
        produce(
            servers, TOPIC,
            record("orders/42", "with an id", x_kind="event", x_id="order-7/é", x_retry="1234"),
            record("other", "by an additional topic", x_alternate="everything"),
            record("orders/42", "two\nlines\r\n: and more"),
            record("orders/42", "once", x_once="key-1"),
            record("orders/42", "once", x_once="key-1"),
            # None of these is an event.
            record("orders/42", b"\xff\xfe"),
            record(None, "without a key"),
            record("", "with an empty key"),
            record("orders/42", "of a kind that comes later", x_kind="closed"),
            record("orders/42", "not a number", x_retry="soon"),
            record("orders/42", "an id of no use", x_id="two\nlines"),
            record("orders/42", "a type that is not text", x_type=b"\xff"),
            record("orders/42", "a reserved type", x_type="gap"),
            record("orders/42", "hidden", x_private="1"),
            record("orders/42", "last"),
        )
        found = [next(received) for _ in range(7)]
    assert [(event.event, event.data) for event in found] == [
        ("update", "shipped"), ("update", "delivered"), ("message", "with an id"),
        ("message", "by an additional topic"), ("message", "two\nlines\n: and more"), ("message", "once"),
        ("message", "last"),
    ]
    assert (found[2].id, found[2].retry) == ("order-7/é", 1234)
    assert sample(node.port, "martlet_log_entries_skipped_total") == 8
    assert "skipped" in node.log.read_text()
    with resumed(node, "orders/42", "order-7/é", "?topic=everything") as curl:
        wait_until(lambda: data(curl)[-1:] == ["last"], "what follows the id")
        assert data(curl)[0] == "by an additional topic"
        assert gap(curl) is None
    # A tombstone is an event without data: browsers take its id, and dispatch nothing.
    with stream(node, "orders/42") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        before = last_id(curl)
        produce(servers, TOPIC, record("orders/42", None))
        wait_until(lambda: last_id(curl) != before, "the id of the tombstone")
        assert [text for text in data(curl) if text] == []


def test_other_programs_can_read_what_is_published(mock: MockCluster, start_node: StartNode) -> None:
    node = start_node(address(mock.servers))
    hub = "/.well-known/mercure"
    node.publish("orders/42", "plain")
    form = urlencode([
        ("topic", "orders/42"), ("topic", "everything"), ("data", "shipped\nté"), ("id", "order-7/é"),
        ("type", "update"), ("retry", "1500"), ("private", "on"),
    ])
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": "once only"}
    code, text = request(node.port, "POST", hub, form, headers)
    assert code == 200, text
    lines = '{"topic":"a","data":"one"}\n{"topic":"b","data":"two\\nlines","type":"update"}\n'
    code, text = request(node.port, "POST", "/events", lines, {"Content-Type": "application/x-ndjson"})
    assert code == 200, text
    plain, full, several = consume(mock.servers, TOPIC, 3)
    assert (plain.key, plain.value) == (b"orders/42", b"plain")
    instance, number = dict(plain.headers)["martlet-from"].decode().rsplit("-", 1)
    assert plain.headers == (("martlet-kind", b"event"), ("martlet-from", f"{instance}-{number}".encode()))
    assert instance and number == "1"
    assert (full.key, full.value) == (b"orders/42", "shipped\nté".encode())
    assert dict(full.headers) == {
        "martlet-kind": b"event", "martlet-alternate": b"everything", "martlet-id": "order-7/é".encode(),
        "martlet-type": b"update", "martlet-retry": b"1500", "martlet-private": b"1",
        "martlet-once": b"\nonce only",  # behind the name of the principal, which is empty without keys
        "martlet-from": f"{instance}-2".encode(),
    }
    assert several.key == b"a" and dict(several.headers)["martlet-kind"] == b"events"
    assert several.value == b"topic 1\na\ndata 3\none\n\ntopic 1\nb\ndata 9\ntwo\nlines\ntype 6\nupdate\n\n"
    assert abs(plain.timestamp / 1000 - time.time()) < 60
    printed = kcat_consume(mock.servers, TOPIC, 1, format="%k|%s|%o|%h\\n")
    assert printed == [f"orders/42|plain|0|martlet-kind=event,martlet-from={instance}-1"]


def test_any_topic_is_streamed_as_it_is(mock: MockCluster, start_node: StartNode) -> None:
    mock.topic("raw-topic")
    log = address(mock.servers, "map=raw", "encoding=base64", topic="raw-topic")
    node = start_node(log, "--read-only")
    with stream(node, "raw-topic", query="?topic=sensor/1") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        produce(
            mock.servers, "raw-topic", b"\x00\x01\xff", Record(b"\xfb\xff", b"sensor/1"), Record(b"", b"sensor/1"),
            Record(b"a", b"sensor/2"), Record(b"\xff", b"\xff"), Record(b"end", b"sensor/1"))
        wait_until(lambda: data(curl)[-1:] == ["ZW5k"], "the last record")
        assert [text for text in data(curl) if text] == ["AAH/", "+/8=", "ZW5k"]
    assert sample(node.port, "martlet_log_entries_skipped_total") == 1  # a key that is not text
    code, text = request(node.port, "POST", "/events/sensor/1", "no")
    assert code == 403 and "Publishing is turned off here" in text


def test_a_node_waits_for_its_topic(tmp_path: Path, start_node: StartNode) -> None:
    with Tansu(tmp_path) as broker:
        options = ["--publish-timeout", "5s"]  # a new producer of this library needs up to a second
        node = start_node(address(broker.servers), *options, waits=False, environment=newer_librdkafka())
        wait_until(lambda: status(node, "/health/live") == 200, "the node listens")
        wait_until(lambda: "topic martlet does not exist. Create it" in node.log.read_text(), "the reason is logged")
        assert status(node, "/health/ready") == 503
        code, text = request(node.port, "POST", "/events/news", "no")
        assert code == 503, text
        broker.create_topic(TOPIC)
        wait_until(lambda: is_ready(node.port), "the node is ready")
        with stream(node, "news") as curl:
            wait_until(lambda: opened(curl), "the stream is open")
            node.publish("news", "yes")
            wait_until(lambda: data(curl) == ["yes"], "the event")
        node.stop()


def test_a_node_that_waits_for_the_brokers_can_be_stopped(mock: MockCluster, start_node: StartNode) -> None:
    mock.down()
    node = start_node(address(mock.servers), waits=False)
    wait_until(lambda: "Martlet listens" in node.log.read_text(), "the node listens")
    assert status(node, "/health/ready") == 503
    before = time.monotonic()
    node.stop()
    assert time.monotonic() - before < 8, "it has waited for the grace period"


def test_several_partitions_are_refused_unless_they_are_wanted(mock: MockCluster, start_node: StartNode) -> None:
    mock.topic("wide", 3)
    answer = refusal("--log", address(mock.servers, topic="wide"))
    assert "topic wide has 3 partitions" in answer and "?partitions=many" in answer
    log = address(mock.servers, "partitions=many", topic="wide")
    a, b = start_node(log), start_node(log)
    topics = [f"room/{number}" for number in range(6)]
    expected: dict[str, list[str]] = {topic: [] for topic in topics}

    def publish(count: int) -> None:
        for number in range(count):
            for topic in topics:
                node = a if number % 2 else b
                expected[topic].append(f"{topic} {len(expected[topic])}")
                node.publish(topic, expected[topic][-1])

    def by_topic(texts: list[str]) -> dict[str, list[str]]:
        return {topic: [text for text in texts if text.split()[0] == topic] for topic in topics}

    query = "?" + "&".join(f"topic={quote(topic)}" for topic in topics[1:])
    seen: list[str] = []
    with stream(a, topics[0], query=query) as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        publish(5)
        wait_until(lambda: len(data(curl)) >= 30, "all events")
        seen += data(curl)
        place = last_id(curl)
    assert {record.partition for part in range(3) for record in consume(mock.servers, "wide", 1, part)} == {0, 1, 2}
    for turn in range(4):
        with resumed(b if turn % 2 else a, topics[0], place, query) as curl:
            publish(2)
            wait_until(lambda: len(data(curl)) >= 12, "what is new")
            assert gap(curl) is None
            seen += data(curl)
            place = last_id(curl)
    assert by_topic(seen) == expected
    # An id of one publish says where in its partition, and nothing of the others.
    id = a.publish(topics[0], "own")
    with resumed(b, topics[0], id) as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        b.publish(topics[0], "next")
        wait_until(lambda: data(curl) == ["next"], "what is new")
    with resumed(b, topics[0], id, query) as curl:
        wait_until(lambda: gap(curl) == "ambiguous", "the gap")


LOGIN = "stream-user:pass%20w%2Frd%3Ahidden@"
USER, PASSWORD = "stream-user", "pass w/rd:hidden"


def secured(servers: str, authority: Authority, login: str = LOGIN) -> str:
    settings = ["security.protocol=sasl_ssl", "sasl.mechanisms=PLAIN", f"ssl.ca.location={authority.ca}"]
    return address(servers, *settings, "debug=conf,security,broker", login=login)


def test_nodes_use_tls_and_log_in(mock: MockCluster, start_node: StartNode, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with SecureProxy(mock.servers, authority.server(), USER, PASSWORD) as proxy:
        node = start_node(secured(proxy.servers, authority), "--log-level", "debug")
        id = node.publish("news", "1")
        with stream(node, "news", query="?since=1h") as curl:
            wait_until(lambda: data(curl) == ["1"], "the event")
            assert id in ids(curl)
        node.stop()
        assert proxy.authenticated > 0 and proxy.refused == 0
    log = node.log.read_text()
    assert "The Kafka client says something" in log
    for text in ["hidden", "w/rd", "w%2Frd"]:
        assert text not in log


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("password", "Invalid username or password"),
        ("authority", "certificate verify failed"),
        ("host", "certificate verify failed"),
    ])
def test_a_node_says_why_the_brokers_are_not_trusted_or_refuse_it(
    mock: MockCluster, start_node: StartNode, tmp_path: Path, fault: str, reason: str
) -> None:
    authority = Authority(tmp_path)
    trusted = Authority(tmp_path, "others") if fault == "authority" else authority
    server = authority.server("elsewhere.example") if fault == "host" else authority.server()
    password = "another" if fault == "password" else PASSWORD
    with SecureProxy(mock.servers, server, USER, password) as proxy:
        node = start_node(secured(proxy.servers, trusted), "--log-level", "debug", waits=False)

        def messages() -> str:
            lines = node.log.read_text().splitlines()
            return "\n".join(line for line in lines if "The log cannot be reached" in line)

        wait_until(lambda: reason in messages(), "the reason is logged")
        assert status(node, "/health/ready") == 503
        node.stop()
        assert proxy.authenticated == 0
    assert "hidden" not in node.log.read_text()
    # It is not logged again and again.
    assert messages().count("\n") < 10


def test_no_secret_is_printed_when_a_setting_is_refused(tmp_path: Path) -> None:
    queries = [
        "security.protocol=hidden", "sasl.mechanisms=hidden", "no.such.setting=hidden", "socket.timeout.ms=hidden",
        "acks=hidden", "debug=hidden", "nodot=hidden", "ssl.key.pem=hidden", "security.protocol=ssl&ssl.ca.pem=hidden",
        "security.protocol=ssl&ssl.certificate.pem=hidden",
        "ssl.keystore.location=%2Fhidden&ssl.keystore.password=hidden",
        "security.protocol=ssl&ssl.key.password=hidden&ssl.key.location=/none",
        "security.protocol=ssl&ssl.key.pem=-----BEGIN%20PRIVATE%20KEY-----hidden",
    ]
    with ExitStack() as stack:
        processes = []
        for number, query in enumerate(queries):
            (directory := tmp_path / f"{number}").mkdir()
            node = Martlet(directory, environment={"MARTLET_LOG": f"kafka://u:hidden@{HOST}:1/t?{query}"})
            processes.append(process := node.spawn())
            stack.callback(process.wait)
            stack.callback(process.kill)
        logs = [tmp_path / f"{number}/martlet.log" for number in range(len(queries))]
        for process, log, query in zip(processes, logs, queries):
            wait_until(lambda: process.poll() is not None or "Martlet listens" in log.read_text(), query)
    for log, query in zip(logs, queries):
        assert "hidden" not in log.read_text(), query
        assert "LOG" in log.read_text().upper(), query


def test_a_password_on_the_command_line_is_warned_of(start_node: StartNode, mock: MockCluster, tmp_path: Path) -> None:
    with Martlet(tmp_path, "--log", address(mock.servers, login="u:hidden@")) as node:
        node.publish("news", "1")
    assert "Others can see the password" in node.log.read_text()
    assert "hidden" not in node.log.read_text()


def test_nodes_live_without_the_brokers_for_a_while(mock: MockCluster, start_node: StartNode) -> None:
    a, b = start_node(address(mock.servers)), start_node(address(mock.servers))
    with stream(a, "news") as one, stream(b, "news") as other:
        wait_until(lambda: opened(one) and opened(other), "the streams are open")
        published = [f"before {number}" for number in range(5)]
        for text in published:
            a.publish("news", text)
        # What is accepted need not have been read.
        wait_until(lambda: len(data(one)) == len(data(other)) == 5, "all so far")
        mock.down()
        for node in [a, b]:
            began = time.monotonic()
            answer = subprocess.run(
                [program("curl"), "-si", "--noproxy", "*", "-d", "no", f"http://{HOST}:{node.port}/events/news"],
                capture_output=True, text=True)
            assert answer.stdout.startswith("HTTP/1.1 503"), answer.stdout
            assert "retry-after" in answer.stdout.lower()
            assert time.monotonic() - began < 3
            wait_until(lambda: sample(node.port, "martlet_log_reachable") == 0, "the node has noticed")
            assert is_ready(node.port)
            assert sample(node.port, "martlet_log_losses_total") == 1
        # A client that is up to date may come and go meanwhile.
        with resumed(a, "news", last_id(one)) as late:
            wait_until(lambda: opened(late), "a stream is opened without the brokers")
            mock.up()
            for node in [a, b]:
                wait_until(lambda: sample(node.port, "martlet_log_reachable") == 1, "the node has found them")
                published.append(f"after {node.port}")
                node.publish("news", published[-1])
            for curl in [one, other]:
                wait_until(lambda: len(data(curl)) >= len(published), "all events")
                assert data(curl) == published
                assert gap(curl) is None
            wait_until(lambda: len(data(late)) == 2, "what is new")
            assert data(late) == published[-2:]
        assert one.is_open() and other.is_open()


def test_a_publish_that_failed_does_not_end_publishing(mock: MockCluster, start_node: StartNode) -> None:
    node = start_node(address(mock.servers))
    produce_request, not_the_leader = 0, 6
    mock.errors(produce_request, *[not_the_leader] * 200)
    for number in range(4):  # for longer than a publish waits
        assert post(node, "news", f"{number}", f"key {number}")[0] == 503
    wait_until(lambda: sample(node.port, "martlet_log_losses_total") > 0, "the node has noticed")
    mock.clear(produce_request)
    # Nothing else is published meanwhile that could tell the node that the brokers answer.
    wait_until(lambda: post(node, "news", "last", "last")[0] == 200, "publishing works again")
    wait_until(lambda: sample(node.port, "martlet_log_reachable") == 1, "the node knows it")


def test_nothing_is_lost_or_repeated_when_leaders_change(tmp_path: Path, start_node: StartNode) -> None:
    with MockCluster(tmp_path, 3, martlet=1) as cluster:
        a, b = start_node(address(cluster.servers)), start_node(address(cluster.servers))
        expected: list[str] = []
        with stream(a, "news") as one, stream(b, "news") as other:
            wait_until(lambda: opened(one) and opened(other), "the streams are open")

            def publish(count: int) -> None:
                for _ in range(count):
                    text = f"{len(expected)}"
                    node = b if len(expected) % 2 else a
                    wait_until(lambda: post(node, "news", text, f"key {text}")[0] == 200, f"{text} is accepted")
                    expected.append(text)

            for leader in [1, 2, 3, 1]:
                cluster.leader(TOPIC, 0, leader)
                publish(10)
            cluster.down(1)
            cluster.leader(TOPIC, 0, 2)
            publish(10)
            cluster.leader(TOPIC, 0, -1)
            assert post(a, "news", "later", "key of later")[0] == 503
            cluster.up(1)
            cluster.leader(TOPIC, 0, 3)
            publish(10)
            for curl in [one, other]:
                wait_until(lambda: data(curl)[-1:] == expected[-1:], "all events")
                assert [text for text in data(curl) if text != "later"] == expected
                assert data(curl).count("later") <= 1  # nothing is known of what was answered with 503
                assert gap(curl) is None


@pytest.mark.parametrize("count", [0, 3, 12], ids=["empty", "shorter", "longer"])
def test_clients_receive_a_gap_when_another_log_is_there(tmp_path: Path, start_node: StartNode, count: int) -> None:
    (tmp_path / "new").mkdir()
    with (
        MockCluster(tmp_path, martlet=1) as old, MockCluster(tmp_path / "new", martlet=1) as new,
        SecureProxy(old.servers) as proxy,
    ):
        a, b = start_node(address(proxy.servers)), start_node(address(proxy.servers))
        before = [a.publish("news", f"old {number}") for number in range(6)]
        if count:
            produce(new.servers, TOPIC, *(record("news", f"new {number}") for number in range(count)))
        with resumed(a, "news", before[-1]) as one, resumed(b, "news", before[0]) as other:
            wait_until(lambda: opened(one) and len(data(other)) == 5, "the streams are open")
            proxy.refuse()
            proxy.target = new.servers
            proxy.accept()
            for curl in [one, other]:
                wait_until(lambda: gap(curl) is not None, "the gap")
            wait_until(lambda: post(a, "news", "after", "after")[0] == 200, "publishing works again")
            expected = [f"new {number}" for number in range(count)] + ["after"]
            for curl in [one, other]:
                wait_until(lambda: events(curl)[-1:] == ["after"], "the event after it")
                assert gaps(curl) == ["epoch"]
            assert events(one) == expected
            assert events(other) == [f"old {number}" for number in range(1, 6)] + expected
        for node in [a, b]:
            for id in [before[0], before[-1]]:
                with resumed(node, "news", id) as late:
                    wait_until(lambda: events(late)[-1:] == ["after"], "all of history")
                    assert gaps(late) == ["epoch"]
                    assert events(late) == expected
        # A node that was not there sees the same.
        node = start_node(address(proxy.servers))
        with resumed(node, "news", before[2]) as late:
            wait_until(lambda: events(late)[-1:] == ["after"], "all of history")
            assert gaps(late) == ["epoch"]


@pytest.mark.parametrize("count", [0, 12], ids=["empty", "longer"])
def test_clients_receive_a_gap_when_a_broker_has_lost_everything(
    tansu: Tansu, start_node: StartNode, count: int
) -> None:
    with SecureProxy(tansu.servers) as proxy:
        a, b = start_node(address(proxy.servers)), start_node(address(proxy.servers))
        before = [a.publish("news", f"old {number}") for number in range(6)]
        with resumed(a, "news", before[-1]) as one, resumed(b, "news", before[-1]) as other:
            wait_until(lambda: opened(one) and opened(other), "the streams are open")
            proxy.refuse()  # so that no client makes the topic
            tansu.kill()
            tansu.start()
            tansu.create_topic(TOPIC)
            if count:
                produce(tansu.servers, TOPIC, *(record("news", f"new {number}") for number in range(count)))
            proxy.accept()
            for curl in [one, other]:
                wait_until(lambda: gap(curl) == "epoch", "the gap")
            wait_until(lambda: post(a, "news", "after", "after")[0] == 200, "publishing works again")
            expected = [f"new {number}" for number in range(count)] + ["after"]
            for curl in [one, other]:
                wait_until(lambda: events(curl)[-1:] == ["after"], "the event after it")
                assert gaps(curl) == ["epoch"]
                assert events(curl) == expected
        for node in [a, b]:
            with resumed(node, "news", before[0]) as late:
                wait_until(lambda: events(late)[-1:] == ["after"], "all of history")
                assert gaps(late) == ["epoch"]
                assert events(late) == expected


def test_a_broker_that_stands_still_delays_events_and_loses_none(tansu: Tansu, start_node: StartNode) -> None:
    a, b = [start_node(address(tansu.servers), environment=newer_librdkafka()) for _ in range(2)]
    with stream(a, "news") as one, stream(b, "news") as other:
        wait_until(lambda: opened(one) and opened(other), "the streams are open")
        a.publish("news", "before")
        wait_until(lambda: data(one) == data(other) == ["before"], "the event")
        with tansu.frozen():
            end = time.monotonic() + 3
            while time.monotonic() < end:
                assert post(b, "news", "meanwhile", "meanwhile")[0] == 503
        wait_until(lambda: post(a, "news", "meanwhile", "meanwhile")[0] == 200, "publishing works again")
        wait_until(lambda: post(b, "news", "after", "after")[0] == 200, "it works on both")
        for curl in [one, other]:
            wait_until(lambda: data(curl)[-1:] == ["after"], "the newest")
            assert data(curl) == ["before", "meanwhile", "after"]
            assert gap(curl) is None and curl.is_open()


def test_a_client_receives_a_gap_if_the_brokers_removed_what_it_missed(
    mock: MockCluster, start_node: StartNode
) -> None:
    small = ["--history-events", "100", "--history-bytes", "64KiB"]
    a = start_node(address(mock.servers), *small)
    quiet = a.publish("quiet", "1")
    first = a.publish("news", "first")
    text = "x" * 100_000
    with stream(a, "news") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        for start in range(0, 70, 10):  # in steps, so that the node reads all of them
            produce(mock.servers, TOPIC, *(record("news", f"{number} {text}") for number in range(start, start + 10)))
            wait_until(lambda: len(events(curl)) >= start + 10, "the node has read them")
    newest = a.publish("news", "newest")
    b = start_node(address(mock.servers), *small)
    for node in [a, b]:
        with resumed(node, "news", first) as curl:
            wait_until(lambda: data(curl)[-1:] == ["newest"], "what is left")
            assert gaps(curl) == ["trimmed"]
            numbers = [int(event.split()[0]) for event in events(curl)[:-1]]
            assert numbers[0] > 0 and numbers == list(range(numbers[0], 70))
            place = ids(curl)[-3]
        with resumed(node, "news", place) as curl:
            wait_until(lambda: data(curl)[-1:] == ["newest"], "the rest")
            assert gap(curl) is None
        with resumed(node, "news", newest) as curl:
            wait_until(lambda: opened(curl), "the stream is open")
            assert gap(curl) is None
    # The node that has seen the records knows that none of them was of this topic.
    with resumed(a, "quiet", quiet) as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        assert gap(curl) is None


def test_a_hub_that_is_restarted_knows_the_ids_from_before(mock: MockCluster, start_node: StartNode) -> None:
    node = start_node(address(mock.servers))
    published = [node.publish("news", f"{number}") for number in range(5)]
    node.publish("news", "5", "?id=order-5")
    key = post(node, "news", "6", "key")
    assert key[0] == 200
    node.publish("news", "7")
    for restart in [node.kill, node.stop]:
        restart()
        node.start()
        for id, count in [(published[0], 7), (published[4], 3), ("order-5", 2)]:
            with resumed(node, "news", id) as curl:
                wait_until(lambda: data(curl)[-1:] == ["7"], "the newest")
                assert data(curl) == [f"{number}" for number in range(8)][-count:]
                assert gap(curl) is None
        assert post(node, "news", "6", "key") == key
        assert post(node, "news", "other", "key")[0] == 422
    assert len(consume(mock.servers, TOPIC, 8)) == 8


def test_the_brokers_decide_how_long_history_lasts(mock: MockCluster) -> None:
    answer = refusal("--log", address(mock.servers), "--history-age", "1h")
    assert "history-age: the brokers decide" in answer


def test_other_settings_than_those_of_the_client_library_are_refused() -> None:
    for query, reason in [
        ("group.id=a", "group.id"), ("acks=1", "log"), ("enable.idempotence=false", "enable.idempotence"),
        ("no.such=1", "no.such"), ("auto.offset.reset=latest", "auto.offset.reset"), ("partitions=2", "log"),
    ]:
        assert reason in refusal("--log", f"kafka://{HOST}:1/t?{query}")


@pytest.mark.parametrize("broker", ["mock", "tansu"])
def test_what_outlives_history_survives_restarts(
    start_node: StartNode, request: pytest.FixtureRequest, broker: str
) -> None:
    servers = request.getfixturevalue(broker).servers
    environment = newer_librdkafka() if broker == "tansu" else {}
    short = ["--history-events", "3"]
    node = start_node(address(servers), *short, environment=environment)
    wait_until(lambda: post(node, "noise", "first", "first")[0] == 200, "the producer is connected")
    node.publish("sensors/1", "old", "?key=temperature")
    node.publish("sensors/1", "21", "?key=temperature")
    node.publish("sensors/1", "removed", "?key=pressure")
    node.publish("sensors/1", "", "?key=pressure")
    node.publish("chat/42", "bye", "?close=1")
    for restart in [node.kill, node.stop]:
        produce(servers, TOPIC, *(record("noise", f"{number}") for number in range(1100)))
        restart()
        node.start()
        assert values(node, "sensors/1") == {"temperature": "21"}
        assert post(node, "chat/42", "late", "late")[0] == 409
    other = start_node(address(servers), "--read-only", *short, environment=environment)
    assert values(other, "sensors/1") == {"temperature": "21"}
    without = start_node(address(servers, "state="), *short, environment=environment)
    assert values(without, "sensors/1") == {}
    wait_until(lambda: post(without, "noise", "second", "second")[0] == 200, "the producer is connected")
    assert without.publish("chat/42", "open again")
    if broker == "tansu":
        assert "The state topic was created." in node.log.read_text()
        assert "martlet.state" in admin(servers).list_topics(timeout=DEADLINE).topics


def test_a_node_that_only_reads_works_without_a_state_topic(tansu: Tansu, start_node: StartNode) -> None:
    node = start_node(address(tansu.servers), "--read-only", environment=newer_librdkafka())
    assert node.log.read_text().count("There is no state topic") == 1
    assert "martlet.state" not in admin(tansu.servers).list_topics(timeout=DEADLINE).topics
