# SPDX-License-Identifier: Apache-2.0
"""Nodes that share a topic of the Service Bus double, or an exchange of RabbitMQ."""

import datetime
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.amqp import AmqpAnnotatedMessage
from azure.servicebus.exceptions import ServiceBusError
from proton import Timeout

from bus_support import (
    EXCHANGE, TOPIC, BusNode, address, message, rabbit_address, receive, sdk, send, subscription,
)
from faulty_proxy import FaultyProxy
from rabbit import RabbitMQ
from secure_proxy import Authority
from service_bus import ServiceBus
from streams import data, gap, gaps, ids, last_id, opened, resumed, stream
from support import DEADLINE, HOST, Curl, Martlet, is_ready, martlet, plain_environment, request, sample, wait_until

FIRST_OF_A, FIRST_OF_B = 100, 7_000_000_000
SHORT = 2.5  # seconds that a lock lasts, where a test waits for its end
A, B = subscription("a"), subscription("b")


Nodes = Callable[..., BusNode]


@pytest.fixture
def bus() -> Iterator[ServiceBus]:
    """A topic with the subscriptions of two nodes, whose sequence numbers differ."""
    with ServiceBus() as bus:
        bus.create_topic(TOPIC)
        bus.create_subscription(TOPIC, "a", first_sequence=FIRST_OF_A)
        bus.create_subscription(TOPIC, "b", first_sequence=FIRST_OF_B)
        yield bus


@pytest.fixture
def short_locks() -> Iterator[ServiceBus]:
    with ServiceBus() as bus:
        bus.create_topic(TOPIC)
        for name in "ab":
            bus.create_subscription(TOPIC, name, lock_duration=SHORT, max_delivery_count=1000)
        yield bus


@pytest.fixture(scope="module")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    with RabbitMQ(tmp_path_factory.mktemp("rabbit"), f"{EXCHANGE}.a", f"{EXCHANGE}.b") as rabbit:
        yield rabbit


@pytest.fixture
def rabbit(rabbit_server: RabbitMQ) -> RabbitMQ:
    """RabbitMQ with empty queues."""
    connection = rabbit_server.connect()
    for name in "ab":
        receiver = connection.create_receiver(f"/amq/queue/{EXCHANGE}.{name}", credit=100)
        while True:
            try:
                receiver.receive(timeout=0.2)
            except Timeout:
                break
            receiver.accept()
    connection.close()
    return rabbit_server


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Callable[..., BusNode]]:
    """Starts a node at an address, and does not wait until it is ready if `waits` is false."""
    with ExitStack() as stack:
        def start(name: str, log: str, *options: str, waits: bool = True) -> BusNode:
            node = BusNode(tmp_path, name, log, *options)
            if waits:
                return stack.enter_context(node)
            node.spawn()
            stack.push(node)
            return node

        yield start


@pytest.fixture(params=["double", "rabbit"])
def log(request: pytest.FixtureRequest) -> str:
    """The address of a broker with places for the nodes a and b."""
    if request.param == "rabbit":
        return rabbit_address(request.getfixturevalue("rabbit"))
    return address(request.getfixturevalue("bus"))


@pytest.fixture(autouse=True, scope="module")
def built_with_service_bus() -> None:
    """Fails, and says how to build it, if the command has no support for Service Bus."""
    answer = refusal("amqp://h/t", "--read-only", "--demo")
    assert "demo publishes" in answer, f"build with --traits ServiceBus: {answer}"


def refusal(log: str, *options: str, code: int = 2) -> str:
    """What the command prints when it does not start."""
    command = [martlet(), "serve", "--port", "0", "--node", "a", "--store", "sqlite:none/none.db", *options]
    answer = subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE, env=plain_environment() | {"MARTLET_LOG": log})
    assert answer.returncode == code, answer.stderr
    return answer.stdout + answer.stderr


def history(node: Martlet, topic: str, count: int) -> list[str]:
    """The data of all events of a topic, once there are so many."""
    with stream(node, topic, query="?lastEventID=earliest") as curl:
        wait_until(lambda: len(data(curl)) >= count, "all of history")
        assert gap(curl) is None
        return data(curl)


def post(node: Martlet, topic: str, text: str, key: str) -> tuple[int, str]:
    return request(node.port, "POST", f"/events/{quote(topic)}", text, {"Idempotency-Key": key})


def publish_until_accepted(node: Martlet, topic: str, text: str) -> str:
    """Publishes with the text as the key, again and again. Returns the id."""
    answers: list[tuple[int, str]] = [(0, "")]

    def is_accepted() -> bool:
        answers.append(post(node, topic, text, text))
        assert answers[-1][0] in (200, 503), answers[-1]
        return answers[-1][0] == 200

    wait_until(is_accepted, f"{text} is accepted")
    return answers[-1][1].strip()


def numbers(range: range) -> list[str]:
    return [f"{number}" for number in range]


def wait_for(curl: Curl, expected: list[str]) -> None:
    """Waits for the last of these events, and all have come once, in their order, without a gap."""
    wait_until(lambda: data(curl)[-1:] == expected[-1:], "the newest event")
    assert data(curl) == expected
    assert gap(curl) is None and curl.is_open()


class Traveller:
    """A client that goes from one node to the other, with the id of the last event that it has read as a whole."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.seen: list[str] = []
        self._before: list[str] = []

    @contextmanager
    def at(self, node: Martlet, topic: str) -> Iterator[None]:
        self._before = list(self.seen)
        with resumed(node, topic, self.place) as self._curl:
            yield
            self.look()
        found = [line.removeprefix("id: ") for line in self._whole if line.startswith("id: ")]
        self.place = [self.place, *found][-1]

    def look(self) -> int:
        """How many events it has seen so far."""
        self._whole = "\n".join(list(self._curl.lines)).rpartition("\n\n")[0].split("\n")
        assert "event: gap" not in self._whole
        new = [line.removeprefix("data: ") for line in self._whole if line.startswith("data: ")]
        self.seen = self._before + new
        return len(self.seen)


# Two nodes.

def test_what_is_published_on_one_node_is_delivered_on_both(log: str, nodes: Nodes) -> None:
    a, b = nodes("a", log), nodes("b", log)
    with stream(a, "orders/42") as one, stream(b, "orders/42") as other:
        wait_until(lambda: opened(one) and opened(other), "the streams are open")
        published = [a.publish("orders/42", f"event {number}") for number in range(100)]
        for curl in [one, other]:
            wait_for(curl, [f"event {number}" for number in range(100)])
            assert [id.partition("_")[0] for id in ids(curl) if id in published or "-" in id][-1] == published[-1]
    assert sample(b.port, "martlet_log_reachable") == 1
    assert sample(b.port, "martlet_log_lag_seconds") == 0
    assert sample(b.port, "martlet_log_losses_total") == 0
    assert sample(b.port, "martlet_log_entries_skipped_total") == 0


def test_a_publish_is_sent_and_delivered_at_once(log: str, nodes: Nodes) -> None:
    a, b = nodes("a", log), nodes("b", log)
    times: list[float] = []
    with stream(b, "news") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        for number in range(20):
            before = time.monotonic()
            a.publish("news", f"{number}")
            wait_until(lambda: len(data(curl)) > number, "the event")
            times.append(time.monotonic() - before)
    assert statistics.median(times) < 0.09


def test_a_client_goes_on_at_another_node(log: str, nodes: Nodes) -> None:
    a, b = nodes("a", log), nodes("b", log)
    published = [a.publish("news", f"{number}") for number in range(20)]
    for node in [b, a]:
        with resumed(node, "news", published[9]) as curl:
            wait_for(curl, numbers(range(10, 20)))
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
            assert gap(curl) is None
            seen += data(curl)
            place = last_id(curl)
    assert seen == [f"turn {turn}.{number}" for turn in range(6) for number in range(10)]


def test_several_events_of_one_publish_resume_in_between(bus: ServiceBus, nodes: Nodes) -> None:
    a, b = nodes("a", address(bus)), nodes("b", address(bus))
    lines = "".join(json.dumps({"topic": "news", "data": f"{number}"}) + "\n" for number in range(5))
    code, text = request(a.port, "POST", "/events", lines, {"Content-Type": "application/x-ndjson"})
    assert code == 200, text
    published = text.split()
    a.publish("news", "5")
    assert bus.counts(TOPIC).sent == 2, "each publish is one message"
    for node in [a, b]:
        for number, id in enumerate(published):
            with resumed(node, "news", id) as curl:
                wait_for(curl, numbers(range(number + 1, 6)))


def test_a_key_publishes_once_whichever_node_gets_the_retry(bus: ServiceBus, nodes: Nodes) -> None:
    a, b = nodes("a", address(bus)), nodes("b", address(bus))
    first = post(a, "news", "0", "key 0")
    assert first[0] == 200
    assert history(b, "news", 1) == ["0"]
    for node in [b, a]:
        assert post(node, "news", "0", "key 0") == first
        assert post(node, "news", "other", "key 0")[0] == 422
    assert bus.counts(TOPIC).sent == 1, "no node publishes what it has"
    with stream(a, "news") as one, stream(b, "news") as other, ThreadPoolExecutor(2) as pool:
        wait_until(lambda: opened(one) and opened(other), "the streams are open")
        for number in range(1, 21):
            answers = list(pool.map(lambda node: post(node, "news", f"{number}", f"key {number}"), [a, b]))
            assert [code for code, _ in answers] == [200, 200]
            assert answers[0] == answers[1], "each publisher gets the id of the event that counts"
        for curl in [one, other]:
            wait_for(curl, numbers(range(1, 21)))
    b.kill()
    b.start()
    assert post(b, "news", "7", "key 7")[0] == 200
    assert history(b, "news", 21) == numbers(range(21))


def test_a_key_that_is_used_on_two_nodes_at_once_names_one_event(bus: ServiceBus, nodes: Nodes) -> None:
    """Also if the two messages arrive in different orders: each id leads to the event on each node."""
    pair = [nodes(name, address(bus)) for name in "ab"]
    for name in [A, B]:
        bus.delay(name, 0.1)
    with ThreadPoolExecutor(2) as pool:
        for number in range(8):
            text = f"{number}"
            answers = list(pool.map(lambda node: post(node, "news", text, text), pair))
            assert [code for code, _ in answers] == [200, 200]
            for node in pair:
                assert history(node, "news", number + 1) == numbers(range(number + 1))
                for _, id in answers:
                    with resumed(node, "news", id.strip()) as curl:
                        wait_until(lambda: opened(curl), "the stream is open")
                        assert data(curl) == []


def test_the_broker_may_drop_repeats_as_well(nodes: Nodes) -> None:
    with ServiceBus() as bus:
        bus.create_topic(TOPIC, duplicate_window=600)
        bus.create_subscription(TOPIC, "a")
        a = nodes("a", address(bus))
        bus.lose_acceptances()
        assert post(a, "news", "0", "key")[0] == 200
        assert bus.counts(TOPIC).duplicates == 1
        a.publish("news", "1")
        assert history(a, "news", 2) == ["0", "1"]


def test_history_survives_restarts(log: str, nodes: Nodes) -> None:
    a, b = nodes("a", log), nodes("b", log)
    published = [a.publish("news", f"{number}") for number in range(5)]
    a.publish("news", "5", "?id=order-5")
    key = post(a, "news", "6", "key")
    assert key[0] == 200
    b.publish("news", "7")
    for node in [a, b]:
        assert history(node, "news", 8) == numbers(range(8))
        for restart in [node.kill, node.stop]:
            restart()
            node.start()
            for id, count in [(published[0], 7), (published[4], 3), ("order-5", 2), ("earliest", 8)]:
                with resumed(node, "news", id) as curl:
                    wait_for(curl, numbers(range(8 - count, 8)))
            with stream(node, "news", query="?since=1h") as curl:
                wait_for(curl, numbers(range(8)))
            assert post(node, "news", "6", "key") == key
            assert post(node, "news", "other", "key")[0] == 422


def test_a_client_receives_a_gap_from_a_node_that_is_new(bus: ServiceBus, nodes: Nodes) -> None:
    a, b = nodes("a", address(bus)), nodes("b", address(bus))
    old = [a.publish("news", f"{number}") for number in range(3)]
    assert history(b, "news", 3) == numbers(range(3))
    b.stop()
    b.lose_store()
    b.start()
    a.publish("news", "3")
    with resumed(b, "news", old[1]) as curl:
        wait_until(lambda: "3" in data(curl), "what the node has")
        assert gaps(curl) == ["unknown"]
        assert data(curl)[-1] == "3" and "2" not in data(curl)


def test_a_node_that_only_reads_never_opens_a_link_to_the_topic(bus: ServiceBus, nodes: Nodes) -> None:
    a, b = nodes("a", address(bus), "--read-only"), nodes("b", address(bus))
    b.publish("news", "0")
    assert history(a, "news", 1) == ["0"]
    code, text = request(a.port, "POST", "/events/news", "no")
    assert code == 403 and "Publishing is turned off here" in text
    assert bus.counts(TOPIC).attached == 1, "only the other node has one"


def test_clients_move_between_nodes_with_different_orders(bus: ServiceBus, nodes: Nodes) -> None:
    a, b = nodes("a", address(bus)), nodes("b", address(bus))
    expected: dict[str, list[str]] = {"a": [], "b": []}
    travellers = [Traveller(a.publish("news", "start")) for _ in range(4)]

    def publish(node: BusNode) -> None:
        for _ in range(10):
            expected[node.name].append(f"{node.name} {len(expected[node.name])}")
            node.publish("news", expected[node.name][-1])

    bus.delay(A, 0.05)
    bus.delay(B, 0.05)
    with ThreadPoolExecutor(2) as pool:
        for turn in range(8):
            with ExitStack() as stack:
                for number, each in enumerate(travellers):
                    stack.enter_context(each.at([a, b][(turn + number) % 2], "news"))
                list(pool.map(publish, [a, b]))
                if turn == 7:
                    for number, each in enumerate(travellers):  # they have seen what was started before them, or not
                        wait_until(lambda: each.look() >= 160 + 3 - number, "all events")
    orders = [history(node, "news", 164) for node in [a, b]]
    assert orders[0] != orders[1], "the nodes have the same order: this test shows nothing"
    for each in travellers:
        assert {name: [text for text in each.seen if text.startswith(name)] for name in "ab"} == expected


def test_an_event_costs_one_send_and_one_delivery_for_each_node(bus: ServiceBus, nodes: Nodes) -> None:
    a, b = nodes("a", address(bus)), nodes("b", address(bus))

    def cost(subscribers: int) -> list[int]:
        """What the broker does for 20 events."""
        def done() -> list[int]:
            topic, *each = [bus.counts(name) for name in [TOPIC, A, B]]
            deliveries = [count for one in each for count in [one.delivered, one.settled]]
            return [topic.sends, topic.attached, *deliveries, *[one.attached for one in each]]

        with ExitStack() as stack:
            curls = [
                stack.enter_context(stream(node, "news")) for node in [a, b] for _ in range(subscribers)]
            wait_until(lambda: all(map(opened, curls)), "the streams are open")
            before = done()
            for number in range(20):
                a.publish("news", f"{number}")
            for curl in curls:
                wait_for(curl, numbers(range(20)))
            wait_until(lambda: bus.waiting(A) + bus.waiting(B) == 0, "all is settled")
            return [after - before for after, before in zip(done(), before)]

    a.publish("news", "opens the link")
    for node in [a, b]:
        history(node, "news", 1)
    assert cost(1) == cost(15) == [20, 0, 20, 20, 20, 20, 0, 0]


# Other programs.

def test_any_sdk_can_publish(bus: ServiceBus, nodes: Nodes) -> None:
    a, b = nodes("a", address(bus)), nodes("b", address(bus))
    with stream(a, TOPIC, query="?topic=orders/42&topic=everything") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=0.5)
        with sdk(bus) as client, client.get_topic_sender(TOPIC) as sender:
            for each in [
                ServiceBusMessage("by the name of the topic", message_id="m1"),
                ServiceBusMessage("typed", subject="update", message_id="m2"),
                message("for a topic", "orders/42", "m3", type="shipped", retry=1234, trace=None),
                message("with an id", "orders/42", "m4", x_id="order-7/é"),
                message("an additional topic", "other", "m5", alternates="more\neverything"),
                ServiceBusMessage(b"bytes \xc3\xa9", message_id="m6", session_id="s", content_type="text/plain"),
                AmqpAnnotatedMessage(value_body={"state": "shipped", "count": 3}),
                AmqpAnnotatedMessage(value_body="text as a value"),
                AmqpAnnotatedMessage(sequence_body=[["one", 2, True, None]]),
                message("two\nlines", "orders/42", "m7"),
                message("once", "orders/42", "m8", once="k"), message("once", "orders/42", "m9", once="k"),
            ]:
                sender.send_messages(each)
            sender.send_messages([ServiceBusMessage(f"batch {number}", message_id=f"b{number}") for number in range(3)])
            sender.send_messages(ServiceBusMessage("scheduled", message_id="m10", scheduled_enqueue_time_utc=soon))
            sender.send_messages(message("last but one", "orders/42", "m11"))
        wait_until(lambda: "data: scheduled" in curl.lines, "the last")
        lines = [line for line in curl.lines if line.startswith(("data", "event", "retry"))]
    assert lines[1:] == [
        "data: by the name of the topic", "event: update", "data: typed", "event: shipped", "retry: 1234",
        "data: for a topic", "data: with an id", "data: an additional topic", "data: bytes é",
        'data: {"state":"shipped","count":3}', "data: text as a value", 'data: ["one",2,true,null]', "data: two",
        "data: lines", "data: once", "data: batch 0", "data: batch 1", "data: batch 2", "data: last but one",
        "data: scheduled",
    ]
    assert sample(a.port, "martlet_log_entries_skipped_total") == 0
    # The message id names the message on all nodes.
    with resumed(b, "orders/42", "order-7/é") as curl:
        wait_until(lambda: data(curl)[-1:] == ["last but one"], "what follows the id")
        assert data(curl) == ["two", "lines", "once", "last but one"] and gap(curl) is None


def test_clients_move_between_messages_of_other_programs(bus: ServiceBus, nodes: Nodes) -> None:
    a, b = nodes("a", address(bus)), nodes("b", address(bus))
    seen: list[str] = []
    place = a.publish("news", "start")
    for turn in range(4):
        with resumed([a, b][turn % 2], "news", place) as curl:
            new = numbers(range(turn * 5, turn * 5 + 5))
            send(bus, *[message(text, "news", f"m{text}") for text in new])
            wait_until(lambda: data(curl)[-1:] == new[-1:], "the newest")
            assert gap(curl) is None
            seen += data(curl)
            place = last_id(curl)
    assert seen == numbers(range(20))


def test_what_is_no_event_is_skipped_counted_and_settled(bus: ServiceBus, nodes: Nodes) -> None:
    node = nodes("a", address(bus))
    wrong = [
        message(b"\xff\xfe", "news"), message("of a kind that comes later", "news", kind="closed"),
        message("not a number", "news", retry="soon"), message("an id of no use", "news", x_id="two\nlines"),
        message("a reserved type", "news", type="gap"), message("an empty topic", ""), message("", "news", kind="events"),
        message("an empty key", "news", once=""),
        message("an id that belongs to another message", "news", x_id=node.publish("news", "first")),
    ]
    send(bus, *wrong, message("last", "news"))
    assert history(node, "news", 2) == ["first", "last"]
    assert sample(node.port, "martlet_log_entries_skipped_total") == len(wrong)
    assert "Messages were skipped because they are no events" in node.log.read_text()
    wait_until(lambda: bus.waiting(A) == 0, "all is settled")


def test_bytes_are_events_with_base64(bus: ServiceBus, nodes: Nodes) -> None:
    node = nodes("a", address(bus, "encoding=base64"))
    send(bus, message(b"\x00\x01\xff", "news"), message(b"\xfb\xff", "news"))
    assert history(node, "news", 2) == ["AAH/", "+/8="]


def test_any_sdk_can_read_what_is_published(bus: ServiceBus, nodes: Nodes) -> None:
    node = nodes("a", address(bus))
    first = node.publish("orders/42", "plain")
    form = urlencode([
        ("topic", "orders/42"), ("topic", "everything"), ("topic", "more"), ("data", "shipped\nté"),
        ("id", "order-7/é"), ("type", "update"), ("retry", "1500"), ("private", "on"),
    ])
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": "once only"}
    assert request(node.port, "POST", "/.well-known/mercure", form, headers)[0] == 200
    lines = '{"topic":"a","data":"one"}\n{"topic":"b","data":"two\\nlines","type":"update"}\n'
    assert request(node.port, "POST", "/events", lines, {"Content-Type": "application/x-ndjson"})[0] == 200
    plain, full, several = receive(bus, "b", 3)
    hub = first.partition("-")[0]

    def properties(message: ServiceBusMessage) -> dict[str, str]:
        found = message.application_properties or {}
        return {str(name, "utf-8") if isinstance(name, bytes) else name:
                str(value, "utf-8") if isinstance(value, bytes) else str(value) for name, value in found.items()}

    assert (str(plain), plain.message_id, plain.subject) == ("plain", first, None)
    assert properties(plain) == {"martlet-kind": "event", "martlet-topic": "orders/42", "martlet-from": first}
    assert (str(full), full.subject) == ("shipped\nté", "update")
    assert full.message_id.startswith("once-")
    assert properties(full) == {
        "martlet-kind": "event", "martlet-topic": "orders/42", "martlet-alternates": "everything\nmore",
        "martlet-id": "order-7/é", "martlet-type": "update", "martlet-retry": "1500", "martlet-private": "1",
        "martlet-once": "\nonce only",  # behind the name of the principal, which is empty without keys
        "martlet-from": f"{hub}-2",
    }
    assert properties(several) == {"martlet-kind": "events", "martlet-from": f"{hub}-3"}
    assert str(several) == "topic 1\na\ndata 3\none\n\ntopic 1\nb\ndata 9\ntwo\nlines\ntype 6\nupdate\n\n"


# Signing in.

def test_a_connection_string_signs_in_with_tokens_and_gets_new_ones(bus: ServiceBus, nodes: Nodes) -> None:
    a, b = [nodes(name, f"{bus.connection_string};EntityPath={TOPIC}", "--log-level", "debug") for name in "ab"]
    with stream(b, "news") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        for turn in range(3):
            for number in range(turn * 5, turn * 5 + 5):
                publish_until_accepted(a, "news", f"{number}")
            before = bus.tokens
            bus.end_tokens()
            # Those that listen sign in again at once, and those that publish when they publish.
            wait_until(lambda: bus.tokens >= before + 2, "both nodes have a new token")
        publish_until_accepted(a, "news", "15")
        wait_for(curl, numbers(range(16)))
    assert set(bus.logins) == {"ANONYMOUS"}
    for node in [a, b]:
        wait_until(lambda: is_ready(node.port), "the node is ready")
        assert bus.key not in node.log.read_text() and "SharedAccessSignature" not in node.log.read_text()


def test_a_key_is_sent_as_it_is_without_tokens(bus: ServiceBus, nodes: Nodes) -> None:
    nodes("a", address(bus)).publish("news", "0")
    assert set(bus.logins) == {"PLAIN"} and bus.tokens == 0


@pytest.mark.parametrize("auth", ["auth=plain", "auth=token"])
def test_a_wrong_key_ends_the_start_with_an_error(bus: ServiceBus, nodes: Nodes, auth: str) -> None:
    node = nodes("a", address(bus, auth, key="hidden+key/="), "--log-level", "debug", waits=False)
    code = ends(node)
    text = node.log.read_text()
    assert code == 1 and "refuses the credentials" in text
    for secret in ["hidden", bus.key, quote(bus.key, safe=""), "SharedAccessSignature"]:
        assert secret not in text


@pytest.mark.parametrize(("name", "topic"), [("missing", TOPIC), ("a", "missing")])
def test_a_missing_subscription_or_topic_ends_the_start_with_an_error(
    bus: ServiceBus, nodes: Nodes, name: str, topic: str
) -> None:
    node = nodes(name, address(bus, topic=topic), waits=False)
    assert ends(node) == 1
    assert f"The broker has no {topic}/Subscriptions/{name}" in node.log.read_text()


def ends(node: BusNode) -> int:
    """The exit code of a node that does not start."""
    process, node.process = node.process, None
    assert process is not None
    try:
        return process.wait(timeout=DEADLINE)
    finally:
        process.kill()
        process.wait()


def test_a_subscription_that_is_deleted_makes_the_node_not_ready_until_it_is_back(
    bus: ServiceBus, nodes: Nodes
) -> None:
    node = nodes("a", address(bus))
    node.publish("news", "0")
    assert history(node, "news", 1) == ["0"]
    bus.delete(A)
    wait_until(lambda: not is_ready(node.port), "the node is not ready")
    assert request(node.port, "POST", "/events/news", "no")[0] == 503
    bus.create_subscription(TOPIC, "a")
    wait_until(lambda: is_ready(node.port), "the node is ready")
    publish_until_accepted(node, "news", "1")
    assert history(node, "news", 2) == ["0", "1"]


@pytest.mark.parametrize(("fault", "host"), [(None, "localhost"), ("authority", HOST), ("host", HOST)])
def test_nodes_use_tls_and_trust_only_their_authority(
    nodes: Nodes, tmp_path: Path, fault: str | None, host: str
) -> None:
    authority = Authority(tmp_path)
    trusted = Authority(tmp_path, "others") if fault == "authority" else authority
    server = authority.server("elsewhere.example") if fault == "host" else authority.server()
    with ServiceBus(tls=server) as bus:
        bus.create_topic(TOPIC)
        bus.create_subscription(TOPIC, "a")
        log = address(bus, f"ca={trusted.ca}", "auth=token", scheme="amqps", host=host)
        node = nodes("a", log, "--log-level", "debug", waits=fault is None)
        if fault is None:
            node.publish("news", "0")
            assert history(node, "news", 1) == ["0"]
        else:
            wait_until(lambda: "certificate verify failed" in node.log.read_text(), "the reason is logged")
            assert bus.logins == []
            assert not is_ready(node.port)
        node.stop()
        assert bus.key not in node.log.read_text()


def test_no_secret_is_printed_when_the_place_of_the_log_is_refused() -> None:
    fields = ["SharedAccessKeyName=n", "SharedAccessKey=hidden=", f"EntityPath={TOPIC}"]
    string = ";".join([f"Endpoint=sb://{HOST}:1/", *fields])
    for log in [
        f"Endpoint=sb://{HOST}:1/;{';'.join(fields[:2])}", f"{string};EntityPath=twice", f"{string};unknown=1",
        f"{';'.join(fields[:2])};Endpoint=sb://h h/;{fields[2]}", f'"{string}"', f" {string}",
        string.replace("sb://", "amqps://"), string.replace("sb://", ""), string.replace("Endpoint=", "Endpoint = "),
        f"amqps://u:hidden@{HOST}", f"amqps://u:hidden@{HOST}/", f"amqps://u:hidden/x@{HOST}/t",
        f"amqps://u:hidden?x@{HOST}/t", f"amqps://u:hidden@{HOST}/t?auth=no", f"amqps://hidden@{HOST}/t",
        f"amqps://u:hidden@{HOST}/t?target=/x",
    ]:
        text = refusal(log)
        assert "hidden" not in text, log
        assert "EntityPath" in text, "the error says what would do"


def test_a_key_on_the_command_line_is_warned_of(bus: ServiceBus, tmp_path: Path) -> None:
    for number, log in enumerate([f"{bus.connection_string};EntityPath={TOPIC}", address(bus)]):
        (folder := tmp_path / f"{number}").mkdir()
        with Martlet(folder, "--log", log, "--node", "a", "--store", f"sqlite:{folder}/a.db") as node:
            node.publish("news", "1")
        text = node.log.read_text()
        assert "Others can see the password" in text
        assert bus.key not in text and quote(bus.key, safe="") not in text


# Brokers that fail.

def away(bus: ServiceBus) -> None:
    bus.stop()
    time.sleep(0.5)
    bus.start()


def paused(bus: ServiceBus) -> None:
    with bus.paused():
        time.sleep(1.5)  # longer than publishing waits


def detached(bus: ServiceBus) -> None:
    for entity in [TOPIC, A, B]:
        bus.detach(entity)


@pytest.mark.parametrize("fault", [
    away, paused, detached, ServiceBus.cut, ServiceBus.close_connections, ServiceBus.lose_settlements,
    ServiceBus.lose_acceptances, lambda bus: bus.throttle(TOPIC, sends=5), lambda bus: bus.throttle(attaches=3),
], ids=["away", "paused", "detached", "cut", "closed", "settlements", "acceptances", "throttled", "attaches"])
def test_nothing_is_lost_or_repeated_when_the_broker_fails(
    short_locks: ServiceBus, nodes: Nodes, fault: Callable[[ServiceBus], None]
) -> None:
    bus = short_locks
    a, b = nodes("a", address(bus)), nodes("b", address(bus))
    with stream(a, "news") as one, stream(b, "news") as other, ThreadPoolExecutor(3) as pool:
        wait_until(lambda: opened(one) and opened(other), "the streams are open")
        expected: list[str] = []

        def publish(count: int) -> None:
            for _ in range(count):
                expected.append(f"{len(expected)}")
                publish_until_accepted(b if len(expected) % 2 else a, "news", expected[-1])

        for _ in range(2):
            publishing = pool.submit(publish, 30)
            sent = pool.submit(send, bus, *[message("foreign", "else", None) for _ in range(3)])
            wait_until(lambda: len(expected) % 30 > 5, "some are published")
            fault(bus)
            publishing.result()
            with suppress(ServiceBusError):  # the SDK does not try again here
                sent.result()
            if fault is ServiceBus.throttle:
                bus.throttle()
        for curl in [one, other]:
            wait_for(curl, expected)
    wait_until(lambda: bus.waiting(A) + bus.waiting(B) == 0, "all is settled")
    assert history(a, "else", 0) == history(b, "else", 0)


def test_publishing_answers_503_while_the_broker_throttles(bus: ServiceBus, nodes: Nodes) -> None:
    node = nodes("a", address(bus))
    bus.throttle(TOPIC, sends=3)
    assert request(node.port, "POST", "/events/news", "after a while")[0] == 200
    assert bus.counts(TOPIC).refused == 3
    bus.throttle(TOPIC, sends=10_000)
    assert request(node.port, "POST", "/events/news", "never")[0] == 503
    bus.throttle(TOPIC)
    assert request(node.port, "POST", "/events/news", "again")[0] == 200
    assert history(node, "news", 2) == ["after a while", "again"]


def test_an_event_whose_answer_was_lost_is_there_once(bus: ServiceBus, nodes: Nodes) -> None:
    a, b = nodes("a", address(bus)), nodes("b", address(bus))
    for number in range(3):
        bus.lose_acceptances()
        assert request(a.port, "POST", "/events/news", f"{number}")[0] == 200
    assert bus.counts(TOPIC).sent == 6
    a.publish("news", "3")
    for node in [a, b]:
        assert history(node, "news", 4) == numbers(range(4))


def test_an_event_that_was_refused_before_an_answer_was_lost_is_there_once(bus: ServiceBus, nodes: Nodes) -> None:
    """The broker refuses the first message of a group, stores the second one, and has answered neither."""
    a, b = nodes("a", address(bus), "--publish-timeout", "10s"), nodes("b", address(bus))
    a.publish("news", "opens the link")
    with ThreadPoolExecutor(8) as pool:
        with bus.paused():
            # The first one is a group, those that come meanwhile are the next one.
            answers = [pool.submit(a.publish, "news", "0")]
            time.sleep(0.3)
            answers += [pool.submit(a.publish, "news", f"{number}") for number in range(1, 8)]
            time.sleep(0.5)
            bus.throttle(TOPIC, sends=1, after=1)
            bus.lose_acceptances(1, after=1)
        for answer in answers:
            answer.result()
    assert bus.counts(TOPIC).refused == 1
    a.publish("news", "last")
    for node in [a, b]:
        with stream(node, "news", query="?lastEventID=earliest") as curl:
            wait_until(lambda: data(curl)[-1:] == ["last"], "the last")
            assert sorted(data(curl)[1:-1]) == numbers(range(8)), "all that were accepted are there once"


def test_a_publish_larger_than_the_broker_takes_is_refused(bus: ServiceBus, nodes: Nodes) -> None:
    node = nodes("a", address(bus))
    code, text = request(node.port, "POST", "/events/news", "x" * 300_000)
    assert code == 413, text
    node.publish("news", "0")
    assert history(node, "news", 1) == ["0"]


def test_streams_stay_open_while_the_broker_is_away(bus: ServiceBus, nodes: Nodes) -> None:
    a, b = nodes("a", address(bus)), nodes("b", address(bus))
    with stream(a, "news") as one, stream(b, "news") as other:
        wait_until(lambda: opened(one) and opened(other), "the streams are open")
        place = a.publish("news", "0")
        for curl in [one, other]:
            wait_for(curl, ["0"])
        bus.stop()
        for node in [a, b]:
            code, text = request(node.port, "POST", "/events/news", "no")
            assert code == 503, text
            wait_until(lambda: sample(node.port, "martlet_log_reachable") == 0, "the node has noticed")
            assert is_ready(node.port)
        with resumed(b, "news", place) as late:
            wait_until(lambda: opened(late), "a stream is opened without the broker")
            bus.start()
            for node in [a, b]:
                wait_until(lambda: sample(node.port, "martlet_log_reachable") == 1, "the node has found it")
            publish_until_accepted(b, "news", "1")
            wait_for(late, ["1"])
        for curl in [one, other]:
            wait_until(lambda: data(curl)[-1:] == ["1"], "the newest")
            assert [text for text in data(curl) if text != "no"] == ["0", "1"] and gap(curl) is None


def test_a_node_that_waits_for_the_broker_can_be_stopped(bus: ServiceBus, nodes: Nodes) -> None:
    bus.stop()
    node = nodes("a", address(bus), waits=False)
    wait_until(lambda: "cannot be reached" in node.log.read_text(), "the reason is logged")
    assert not is_ready(node.port)
    before = time.monotonic()
    node.stop()
    assert time.monotonic() - before < 5


# Nodes that fail.

def test_locks_that_end_while_a_node_stands_still_lose_and_repeat_nothing(
    short_locks: ServiceBus, nodes: Nodes
) -> None:
    bus = short_locks
    a, b = nodes("a", address(bus)), nodes("b", address(bus))
    with stream(b, "news") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        for turn in range(2):
            with b.frozen():
                for number in range(turn * 20, turn * 20 + 10):
                    a.publish("news", f"{number}")
                wait_until(lambda: bus.counts(B).expired >= turn * 10 + 10, "the locks have ended")
                for number in range(turn * 20 + 10, turn * 20 + 20):
                    a.publish("news", f"{number}")
        wait_for(curl, numbers(range(40)))
    wait_until(lambda: bus.waiting(B) == 0, "all is settled")


def test_a_node_that_is_killed_with_messages_it_has_not_stored_takes_them_first(
    short_locks: ServiceBus, nodes: Nodes
) -> None:
    bus = short_locks
    a, b = nodes("a", address(bus)), nodes("b", address(bus))
    a.publish("news", "0")
    assert history(b, "news", 1) == ["0"]
    for turn in range(2):
        with b.frozen():
            for number in range(turn * 20 + 1, turn * 20 + 11):
                a.publish("news", f"{number}")
            send(bus, message("foreign", "else"))
            wait_until(lambda: bus.locked(B) == 11, "the node has them in its socket")
            b.kill()
            b.spawn()
        for number in range(turn * 20 + 11, turn * 20 + 21):
            a.publish("news", f"{number}")
        wait_until(lambda: is_ready(b.port), "the node is ready")
    assert history(b, "news", 41) == history(a, "news", 41) == numbers(range(41))
    assert history(b, "else", 2) == ["foreign"] * 2
    wait_until(lambda: bus.waiting(B) == 0, "all is settled")


def test_a_node_that_is_killed_with_messages_it_has_not_settled_drops_them(
    short_locks: ServiceBus, nodes: Nodes
) -> None:
    bus = short_locks
    a, b = nodes("a", address(bus)), nodes("b", address(bus))
    bus.lose_settlements(1000)
    send(bus, message("0", "news"), message("1", "news", "m1"), message("0", "news"))
    assert history(b, "news", 3) == ["0", "1", "0"]
    a.publish("news", "2")
    assert history(b, "news", 4) == ["0", "1", "0", "2"]
    b.kill()
    assert bus.waiting(B) >= 3, "something was settled"
    bus.lose_settlements(0)
    b.start()
    wait_until(lambda: bus.waiting(B) == 0, "all is settled", 3 * DEADLINE)
    a.publish("news", "3")
    assert history(b, "news", 5) == ["0", "1", "0", "2", "3"]


@pytest.mark.parametrize("restarts", [True, False], ids=["the machine", "the connection"])
def test_a_broker_that_still_delivers_to_a_connection_that_is_gone_delays_events_and_loses_none(
    nodes: Nodes, restarts: bool
) -> None:
    with ServiceBus(idle_timeout=4) as bus, FaultyProxy(bus.port) as link:
        bus.create_topic(TOPIC)
        for name in "ab":
            bus.create_subscription(TOPIC, name, lock_duration=SHORT, max_delivery_count=1000)
        a, b = nodes("a", address(bus)), nodes("b", address(bus, port=link.port))
        a.publish("news", "0")
        assert history(b, "news", 1) == ["0"]
        if restarts:
            assert b.process is not None
            with b.frozen():  # it says nothing more
                link.part()
                b.kill()
            b.start()
        else:
            link.part()
            wait_until(lambda: bus.counts(B).attached > 1, "the node has another connection")
        for number in range(1, 21):
            a.publish("news", f"{number}")
        wait_until(lambda: bus.waiting(B) == 0, "all is settled", 3 * DEADLINE)
        assert history(a, "news", 21) == numbers(range(21))
        with stream(b, "news", query="?lastEventID=earliest") as curl:
            wait_until(lambda: "20" in data(curl), "the newest")
            assert data(curl) == numbers(range(21))


# RabbitMQ.

def test_nothing_is_lost_or_repeated_when_rabbitmq_is_killed(rabbit: RabbitMQ, nodes: Nodes) -> None:
    a, b = nodes("a", rabbit_address(rabbit)), nodes("b", rabbit_address(rabbit))
    expected: list[str] = []
    with stream(a, "news") as one, stream(b, "news") as other, ThreadPoolExecutor(1) as pool:
        wait_until(lambda: opened(one) and opened(other), "the streams are open")
        stopping: list[bool] = []

        def publish() -> None:
            while not stopping:
                expected.append(f"{len(expected)}")
                wait_until(
                    lambda: post(b if len(expected) % 2 else a, "news", expected[-1], expected[-1])[0] == 200,
                    "it is accepted", 3 * DEADLINE)

        publishing = pool.submit(publish)
        wait_until(lambda: len(expected) > 20, "some are published")
        rabbit.kill()
        rabbit.start()
        before = len(expected)
        wait_until(lambda: publishing.done() or len(expected) > before + 20, "more are published", 3 * DEADLINE)
        stopping.append(True)
        publishing.result()
        for curl in [one, other]:
            wait_for(curl, expected)


def test_a_node_that_is_killed_loses_and_repeats_nothing_with_rabbitmq(rabbit: RabbitMQ, nodes: Nodes) -> None:
    a, b = nodes("a", rabbit_address(rabbit)), nodes("b", rabbit_address(rabbit))
    for turn in range(3):
        with b.frozen():
            for number in range(turn * 20, turn * 20 + 10):
                a.publish("news", f"{number}")
            b.kill()
        for number in range(turn * 20 + 10, turn * 20 + 20):
            a.publish("news", f"{number}")
        b.start()
    assert history(b, "news", 60) == history(a, "news", 60) == numbers(range(60))


def test_clients_move_between_nodes_of_rabbitmq_under_load(rabbit: RabbitMQ, nodes: Nodes) -> None:
    a, b = nodes("a", rabbit_address(rabbit)), nodes("b", rabbit_address(rabbit))
    count = 400
    traveller = Traveller(a.publish("news", "start"))

    def publish(node: BusNode) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: node.publish("news", f"{node.name}{number}"), range(count)))

    with ThreadPoolExecutor(2) as pool:
        publishing = [pool.submit(publish, node) for node in [a, b]]
        turn, before = 0, 0
        while not all(each.done() for each in publishing) or before < 2 * count:
            turn += 1
            with traveller.at([a, b][turn % 2], "news"):
                wait_until(lambda: traveller.look() >= min(before + 20, 2 * count), "some events")
            before = len(traveller.seen)
    assert len(traveller.seen) == len(set(traveller.seen)) == 2 * count
    orders = [history(node, "news", 2 * count + 1) for node in [a, b]]
    for name in "ab":
        assert [text for text in orders[0] if text[0] == name] == [text for text in orders[1] if text[0] == name]
    print(f"{turn} moves; the nodes have {'the same order' if orders[0] == orders[1] else 'different orders'}")
