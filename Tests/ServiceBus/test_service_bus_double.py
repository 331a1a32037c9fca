# SPDX-License-Identifier: Apache-2.0
"""The double of Azure Service Bus: Microsoft's SDK takes it for the service, and a bare AMQP client does as well.

Where the SDK hides what goes over the wire, or never sends it, qpid-proton stands in as the client.
"""

import datetime
import logging
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import (
    ServiceBusClient, ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusReceiveMode, ServiceBusReceiver,
    ServiceBusSubQueue, TransportType,
)
from azure.servicebus.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType
from azure.servicebus.exceptions import (
    MessageLockLostError, MessagingEntityNotFoundError, ServiceBusAuthenticationError, ServiceBusConnectionError,
    ServiceBusServerBusyError,
)
from proton import ConnectionException, Described, Message, Timeout, symbol, uint, ulong
from proton.handlers import MessagingHandler
from proton.reactor import LinkOption
from proton.utils import BlockingConnection, LinkDetached, SendException

import amqp_bytes as amqp
from secure_proxy import Authority
from service_bus import ServiceBus
from support import DEADLINE

TOPIC = "orders"
A, B = f"{TOPIC}/Subscriptions/a", f"{TOPIC}/Subscriptions/b"
WAIT = 5.0  # seconds that a receiver waits for messages which must come
NO_WAIT = 0.3  # and for those which must not
SHORT = 1.0  # seconds that a lock lasts, where a test waits for its end


def until(connection: BlockingConnection, condition: Callable[[], bool]) -> None:
    """Waits for what the double does. The connection looks only when something happens on it."""
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "the double does nothing"
        with suppress(Timeout):
            connection.wait(condition, timeout=0.1)
FIRST_OF_A, FIRST_OF_B = 100, 7_000_000_000

logging.getLogger("azure").setLevel(logging.ERROR)


@pytest.fixture
def bus() -> Iterator[ServiceBus]:
    """A namespace with a topic and two subscriptions."""
    with ServiceBus() as bus:
        bus.create_topic(TOPIC)
        bus.create_subscription(TOPIC, "a", first_sequence=FIRST_OF_A)
        bus.create_subscription(TOPIC, "b", first_sequence=FIRST_OF_B)
        yield bus


@pytest.fixture(autouse=True)
def short_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK sleeps between looks at its connection, and a second where it closes one."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))


def sdk(bus: ServiceBus, connection_string: str | None = None, **options: Any) -> ServiceBusClient:
    """Microsoft's client. It neither waits long before it retries nor for the next frame."""
    quick: dict[str, Any] = {
        "retry_total": 0, "retry_backoff_factor": 0.05, "retry_mode": "fixed", "socket_timeout": 0.05,
    }
    return ServiceBusClient.from_connection_string(connection_string or bus.connection_string, **(quick | options))


def send(client: ServiceBusClient, *messages: ServiceBusMessage | str, topic: str = TOPIC) -> None:
    with client.get_topic_sender(topic) as sender:
        for message in messages:
            sender.send_messages(message if isinstance(message, ServiceBusMessage) else ServiceBusMessage(message))


def receive(receiver: ServiceBusReceiver, count: int, wait: float = WAIT) -> list[ServiceBusReceivedMessage]:
    """Exactly so many messages, in the order of their arrival."""
    messages: list[ServiceBusReceivedMessage] = []
    while len(messages) < count:
        more = receiver.receive_messages(count - len(messages), max_wait_time=wait)
        assert more, f"{len(messages)} of {count} messages"
        messages += more
    return messages


def texts(messages: list[ServiceBusReceivedMessage]) -> list[str]:
    return [str(message) for message in messages]


# Microsoft's SDK.

def test_the_sdk_sends_and_completes(bus: ServiceBus) -> None:
    with sdk(bus) as client:
        before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
        send(client, ServiceBusMessage(
            "hello", message_id="m1", subject="greeting", content_type="text/plain", application_properties={"n": 5}))
        with client.get_subscription_receiver(TOPIC, "a") as receiver:
            [message] = receive(receiver, 1)
            assert (str(message), message.message_id, message.subject, message.content_type) == (
                "hello", "m1", "greeting", "text/plain")
            assert message.application_properties == {b"n": 5}
            assert message.sequence_number == FIRST_OF_A
            assert message.delivery_count == 0
            assert message.enqueued_time_utc is not None and message.enqueued_time_utc > before
            assert message.locked_until_utc is not None and message.locked_until_utc > message.enqueued_time_utc
            receiver.complete_message(message)
            assert receiver.receive_messages(1, max_wait_time=NO_WAIT) == []
    counts = bus.counts(A)
    assert (counts.delivered, counts.settled, bus.waiting(A)) == (1, 1, 0)
    assert bus.waiting(B) == 1
    assert set(bus.logins) == {"ANONYMOUS"}
    assert bus.tokens == 2


def test_each_subscription_receives_all_in_order_with_its_own_sequence_numbers(bus: ServiceBus) -> None:
    with sdk(bus) as client:
        with client.get_topic_sender(TOPIC) as sender:
            for number in range(5):
                sender.send_messages(ServiceBusMessage(f"{number}"))
            batch = sender.create_message_batch()
            for number in range(5, 30):
                batch.add_message(ServiceBusMessage(f"{number}"))
            sender.send_messages(batch)
        for name, first in [("a", FIRST_OF_A), ("b", FIRST_OF_B)]:
            with client.get_subscription_receiver(TOPIC, name, prefetch_count=10) as receiver:
                messages = receive(receiver, 30)
                assert texts(messages) == [f"{number}" for number in range(30)]
                assert [message.sequence_number for message in messages] == list(range(first, first + 30))
                for message in messages:
                    receiver.complete_message(message)
    counts = bus.counts(TOPIC)
    assert (counts.sends, counts.sent) == (6, 30), "a batch is one send"
    assert [bus.counts(name).delivered for name in (A, B)] == [30, 30]
    assert [bus.waiting(name) for name in (A, B)] == [0, 0]


def test_a_batch_of_one_message_is_a_batch(bus: ServiceBus) -> None:
    with sdk(bus) as client, client.get_topic_sender(TOPIC) as sender:
        sender.send_messages([ServiceBusMessage("alone")])
        with client.get_subscription_receiver(TOPIC, "a") as receiver:
            assert texts(receive(receiver, 1)) == ["alone"]


def test_bodies_of_all_kinds_arrive_as_they_were_sent(bus: ServiceBus) -> None:
    with sdk(bus) as client, client.get_topic_sender(TOPIC) as sender:
        sender.send_messages(AmqpAnnotatedMessage(data_body=[b"one", b"two"]))
        sender.send_messages(AmqpAnnotatedMessage(value_body={"name": "value", "list": [1, 2]}))
        sender.send_messages(AmqpAnnotatedMessage(sequence_body=[[1, "a"], [2, "b"]]))
        sender.send_messages(ServiceBusMessage(b""))
        with client.get_subscription_receiver(TOPIC, "a") as receiver:
            data, value, sequence, empty = [message.raw_amqp_message for message in receive(receiver, 4)]
    assert (data.body_type, list(data.body)) == (AmqpMessageBodyType.DATA, [b"one", b"two"])
    assert (value.body_type, value.body) == (AmqpMessageBodyType.VALUE, {b"name": b"value", b"list": [1, 2]})
    assert (sequence.body_type, list(sequence.body)) == (AmqpMessageBodyType.SEQUENCE, [[1, b"a"], [2, b"b"]])
    assert list(empty.body) == [b""]


def test_a_message_of_several_frames_arrives_whole(bus: ServiceBus) -> None:
    body = bytes(range(256)) * 800
    with sdk(bus) as client:
        send(client, ServiceBusMessage(body), "small")
        with client.get_subscription_receiver(TOPIC, "a") as receiver:
            large, small = receive(receiver, 2)
            assert b"".join(large.body) == body
            assert str(small) == "small"


def test_an_abandoned_message_comes_again_with_a_higher_delivery_count(bus: ServiceBus) -> None:
    with sdk(bus) as client:
        send(client, "again", "next")
        with client.get_subscription_receiver(TOPIC, "a") as receiver:
            for count in range(3):
                [message] = receive(receiver, 1)
                assert (str(message), message.delivery_count, message.sequence_number) == ("again", count, FIRST_OF_A)
                receiver.abandon_message(message)
            for message in receive(receiver, 2):
                receiver.complete_message(message)
    assert bus.waiting(A) == 0


def test_a_message_that_is_never_completed_becomes_a_dead_letter(bus: ServiceBus) -> None:
    bus.create_subscription(TOPIC, "strict", max_delivery_count=2)
    with sdk(bus) as client:
        send(client, "unlucky", "refused")
        with client.get_subscription_receiver(TOPIC, "strict") as receiver:
            for _ in range(2):
                receiver.abandon_message(receive(receiver, 1)[0])
            receiver.dead_letter_message(receive(receiver, 1)[0], reason="bad", error_description="not json")
        queue = ServiceBusSubQueue.DEAD_LETTER
        with client.get_subscription_receiver(TOPIC, "strict", sub_queue=queue) as receiver:
            unlucky, refused = receive(receiver, 2)
            assert unlucky.dead_letter_reason == "MaxDeliveryCountExceeded"
            assert (str(refused), refused.dead_letter_reason, refused.dead_letter_error_description) == (
                "refused", "bad", "not json")


def test_a_message_comes_again_when_its_lock_runs_out(bus: ServiceBus) -> None:
    bus.create_subscription(TOPIC, "short", lock_duration=SHORT)
    with sdk(bus) as client:
        send(client, "again")
        with (
            client.get_subscription_receiver(TOPIC, "short") as slow,
            client.get_subscription_receiver(TOPIC, "short") as other,
        ):
            [message] = receive(slow, 1)
            [redelivered] = receive(other, 1)
            assert (str(redelivered), redelivered.delivery_count) == ("again", 1)
            assert redelivered.sequence_number == message.sequence_number
            with pytest.raises(MessageLockLostError):
                slow.complete_message(message)
            other.complete_message(redelivered)
    counts = bus.counts(f"{TOPIC}/Subscriptions/short")
    assert (counts.delivered, counts.settled, counts.expired) == (2, 1, 1)


def test_a_renewed_lock_lasts(bus: ServiceBus) -> None:
    bus.create_subscription(TOPIC, "short", lock_duration=2 * SHORT)
    with sdk(bus) as client:
        send(client, "held")
        with (
            client.get_subscription_receiver(TOPIC, "short") as holder,
            client.get_subscription_receiver(TOPIC, "short") as other,
        ):
            [message] = receive(holder, 1)
            assert other.receive_messages(1, max_wait_time=SHORT) == []
            holder.renew_message_lock(message)
            assert other.receive_messages(1, max_wait_time=1.2 * SHORT) == []
            holder.complete_message(message)
            assert other.receive_messages(1, max_wait_time=NO_WAIT) == []
    assert bus.counts(f"{TOPIC}/Subscriptions/short").expired == 0


def test_messages_can_be_peeked(bus: ServiceBus) -> None:
    with sdk(bus) as client:
        send(client, "one", "two")
        with client.get_subscription_receiver(TOPIC, "a") as receiver:
            peeked = receiver.peek_messages(5)
            assert [(str(message), message.sequence_number) for message in peeked] == [
                ("one", FIRST_OF_A), ("two", FIRST_OF_A + 1)]
            assert receiver.peek_messages(5) == []
    assert bus.counts(A).delivered == 0


def test_receive_and_delete_needs_no_settlement(bus: ServiceBus) -> None:
    with sdk(bus) as client:
        send(client, "gone")
        mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
        with client.get_subscription_receiver(TOPIC, "a", receive_mode=mode) as receiver:
            assert texts(receive(receiver, 1)) == ["gone"]
    assert (bus.waiting(A), bus.locked(A)) == (0, 0)


def test_a_duplicate_is_dropped_within_its_window(bus: ServiceBus) -> None:
    bus.create_topic("unique", duplicate_window=1)
    bus.create_subscription("unique", "a")
    message = ServiceBusMessage("first", message_id="1")
    with sdk(bus) as client, client.get_topic_sender("unique") as sender:
        sender.send_messages(message)
        sender.send_messages(ServiceBusMessage("duplicate", message_id="1"))
        sender.send_messages([ServiceBusMessage("2", message_id="2"), ServiceBusMessage("too", message_id="2")])
        with client.get_subscription_receiver("unique", "a") as receiver:
            assert texts(receive(receiver, 2)) == ["first", "2"]
            assert receiver.receive_messages(1, max_wait_time=1.1) == []
            sender.send_messages(ServiceBusMessage("after the window", message_id="1"))
            assert texts(receive(receiver, 1)) == ["after the window"]
    assert bus.counts("unique").duplicates == 2
    assert bus.counts("unique").sent == 5


def test_a_queue_takes_and_gives(bus: ServiceBus) -> None:
    bus.create_queue("work", first_sequence=5)
    with sdk(bus) as client:
        with client.get_queue_sender("work") as sender:
            sender.send_messages(ServiceBusMessage("task"))
        with client.get_queue_receiver("Work") as receiver:
            [message] = receive(receiver, 1)
            assert (str(message), message.sequence_number) == ("task", 5)
            receiver.complete_message(message)
    counts = bus.counts("work")
    assert (counts.sent, counts.delivered, counts.settled) == (1, 1, 1)


def test_a_wrong_key_is_refused(bus: ServiceBus) -> None:
    wrong = bus.connection_string.replace(bus.key, "wrong")
    with sdk(bus, wrong) as client, pytest.raises(ServiceBusAuthenticationError):
        send(client, "never")
    assert bus.tokens == 0
    assert bus.counts(TOPIC).attached == 0


def test_an_expired_token_is_refused(bus: ServiceBus) -> None:
    text = f"Endpoint=sb://{bus.host};SharedAccessSignature={bus.token(lifetime=-1)};UseDevelopmentEmulator=true"
    with sdk(bus, text) as client, pytest.raises(ServiceBusAuthenticationError):
        send(client, "never")
    assert bus.tokens == 0


def test_what_does_not_exist_is_not_found(bus: ServiceBus) -> None:
    with sdk(bus) as client:
        with pytest.raises(MessagingEntityNotFoundError, match="nowhere"):
            send(client, "never", topic="nowhere")
        with pytest.raises(MessagingEntityNotFoundError), client.get_subscription_receiver(TOPIC, "none") as receiver:
            receive(receiver, 1)


def test_the_sdk_tries_again_when_the_server_is_busy(bus: ServiceBus) -> None:
    with sdk(bus, retry_total=3) as client:
        bus.throttle(TOPIC, sends=2)
        send(client, "in the end")
    counts = bus.counts(TOPIC)
    assert (counts.refused, counts.sent) == (2, 1)
    with sdk(bus) as client:
        bus.throttle(TOPIC, sends=1)
        with pytest.raises(ServiceBusServerBusyError):
            send(client, "not now")
        bus.throttle(attaches=1)
        with pytest.raises(ServiceBusServerBusyError):
            send(client, "not now")


def test_the_sdk_attaches_again_after_a_forced_detach(bus: ServiceBus) -> None:
    with sdk(bus, retry_total=3) as client, client.get_topic_sender(TOPIC) as sender:
        sender.send_messages(ServiceBusMessage("one"))
        bus.detach(TOPIC)
        sender.send_messages(ServiceBusMessage("two"))
        bus.close_connections()
        sender.send_messages(ServiceBusMessage("three"))
        bus.cut()
        sender.send_messages(ServiceBusMessage("four"))
        with client.get_subscription_receiver(TOPIC, "a") as receiver:
            assert texts(receive(receiver, 4)) == ["one", "two", "three", "four"]


def test_the_service_keeps_its_state_while_it_is_stopped(bus: ServiceBus) -> None:
    with sdk(bus, retry_total=3) as client:
        send(client, "kept", "too")
        with client.get_subscription_receiver(TOPIC, "a") as receiver:
            receiver.complete_message(receive(receiver, 1)[0])
        bus.stop()
        with pytest.raises(ServiceBusConnectionError), sdk(bus) as other:
            send(other, "never")
        bus.start()
        with client.get_subscription_receiver(TOPIC, "a") as receiver:
            [message] = receive(receiver, 1)
            assert (str(message), message.sequence_number) == ("too", FIRST_OF_A + 1)


def test_the_sdk_talks_tls_with_the_authority_of_the_tests(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with ServiceBus(tls=authority.server()) as bus:
        bus.create_queue("work")
        options: dict[str, Any] = {
            "custom_endpoint_address": f"sb://localhost:{bus.port}", "transport_type": TransportType.Amqp,
        }
        with sdk(bus, connection_verify=str(authority.ca), **options) as client:
            with client.get_queue_sender("work") as sender:
                sender.send_messages(ServiceBusMessage("secret"))
            with client.get_queue_receiver("work") as receiver:
                assert texts(receive(receiver, 1)) == ["secret"]
        with sdk(bus, **options) as stranger, pytest.raises(ServiceBusConnectionError):
            stranger.get_queue_sender("work").send_messages(ServiceBusMessage("never"))


# qpid-proton, in the ways that a plain AMQP client has.

@pytest.fixture
def connect(bus: ServiceBus) -> Iterator[Callable[..., BlockingConnection]]:
    """Opens connections with SASL PLAIN and the key, or as the options say."""
    opened: list[BlockingConnection] = []

    def connect(**options: Any) -> BlockingConnection:
        login: dict[str, Any] = {
            "user": bus.key_name, "password": bus.key, "allowed_mechs": "PLAIN", "allow_insecure_mechs": True,
        }
        connection = BlockingConnection(f"amqp://{bus.host}", timeout=DEADLINE, **(login | options))
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        connection.timeout = 0.1
        with suppress(Exception):  # some were ended by the test, and answer nothing
            connection.close()


ANONYMOUS = {"user": None, "password": None, "allowed_mechs": "ANONYMOUS"}


def put_token(connection: BlockingConnection, token: str, audience: str, kind: str = "servicebus.windows.net:sastoken",
              reply_to: str = "my-answers") -> tuple[int, str]:
    """Puts a token to `$cbs`, and returns status and description."""
    answers = connection.create_receiver("$cbs", credit=1, options=_Target(reply_to))
    requests = connection.create_sender("$cbs")
    properties = {"operation": "put-token", "type": kind, "name": audience}
    requests.send(Message(id="7", body=token, reply_to=reply_to, properties=properties))
    answer = answers.receive(timeout=WAIT)  # comes settled
    assert answer.correlation_id == "7"
    for link in (answers, requests):
        link.close()  # type: ignore[no-untyped-call]
    assert answer.properties is not None
    return answer.properties["status-code"], answer.properties["status-description"]


class _Target(LinkOption):
    """Names the receiving end of a link. Answers to requests go to the link whose name is in `reply-to`."""

    def __init__(self, address: str) -> None:
        self._address = address

    def apply(self, link: Any) -> None:
        link.target.address = self._address


def test_full_uris_name_entities_in_any_case(bus: ServiceBus, connect: Callable[..., BlockingConnection]) -> None:
    connection = connect()
    for address in [TOPIC, "ORDERS", f"amqp://{bus.host}/orders", "amqps://ns.servicebus.windows.net/Orders",
                    "sb://ns.servicebus.windows.net/orders/"]:
        sender = connection.create_sender(address)
        sender.send(Message(body=address))
    receiver = connection.create_receiver("amqps://ns.servicebus.windows.net/Orders/subscriptions/A", credit=5)
    for number in range(5):
        annotations = receiver.receive(timeout=WAIT).annotations
        assert annotations is not None and annotations[symbol("x-opt-sequence-number")] == FIRST_OF_A + number
        receiver.accept()
    assert bus.logins == ["PLAIN"]


def test_a_wrong_password_is_refused_at_login(bus: ServiceBus, connect: Callable[..., BlockingConnection]) -> None:
    with pytest.raises(ConnectionException):
        connect(password="wrong")
    assert bus.logins[0] == "!PLAIN"


def test_links_need_a_token_for_their_entity(bus: ServiceBus, connect: Callable[..., BlockingConnection]) -> None:
    connection = connect(**ANONYMOUS)
    with pytest.raises(LinkDetached, match="unauthorized-access"):
        connection.create_sender(TOPIC)
    audience = f"sb://{bus.host}/{TOPIC}"
    assert put_token(connection, bus.token(TOPIC).replace("sig=", "sig=A"), audience)[0] == 401
    assert put_token(connection, bus.token("other"), audience)[0] == 401
    expired = 401, "ExpiredToken: The token is expired."
    assert put_token(connection, bus.token(TOPIC, lifetime=-1), audience) == expired
    assert put_token(connection, "nonsense", audience)[0] == 401
    assert put_token(connection, bus.token(TOPIC), audience, kind="unknown")[0] == 400
    assert put_token(connection, bus.token(TOPIC), audience) == (202, "Accepted")
    connection.create_sender(TOPIC).send(Message(body="allowed"))
    connection.create_receiver(A)  # a token for a topic is good for its subscriptions
    bus.create_topic("other")
    with pytest.raises(LinkDetached, match="unauthorized-access"):
        connection.create_sender("other")


def test_links_end_with_their_token_unless_it_is_renewed(
    bus: ServiceBus, connect: Callable[..., BlockingConnection]
) -> None:
    audience = f"sb://{bus.host}/{TOPIC}"
    renewed, left = connect(**ANONYMOUS), connect(**ANONYMOUS)
    receivers = []
    for connection in (renewed, left):
        assert put_token(connection, bus.token(TOPIC, lifetime=2), audience)[0] == 202
        receivers.append(connection.create_receiver(A))
    assert put_token(renewed, bus.token(TOPIC), audience)[0] == 202
    with pytest.raises(LinkDetached, match="unauthorized-access.*ExpiredToken"):
        left.wait(lambda: False, timeout=WAIT)
    with pytest.raises(LinkDetached, match="unauthorized-access"):
        left.create_sender(TOPIC)
    assert put_token(left, bus.token(TOPIC), audience)[0] == 202, "the connection is still good"
    left.create_sender(TOPIC).send(Message(body="late"))
    receivers[0].flow(1)
    assert receivers[0].receive(timeout=WAIT).body == "late"


def test_a_batch_is_one_transfer_of_many_messages(bus: ServiceBus, connect: Callable[..., BlockingConnection]) -> None:
    """Proton cannot set the format of a message, so its bytes are made here; the SDK's test shows it on the wire."""
    parts = [Message(body=f"{number}", id=f"{number}").encode() for number in range(3)]
    batch = b"".join(amqp.section(amqp.DATA, bytes(part)) for part in parts)
    frames = amqp.MessageFormats()
    attach = amqp.encode(Described(ulong(0x12), ["link", uint(0), False]))
    formats = [0, amqp.BATCH_FORMAT]
    transfers = [
        amqp.encode(Described(ulong(0x14), [uint(0), uint(0), b"tag", uint(format)])) + batch
        for format in formats]
    stream = amqp.AMQP_HEADER + b"".join(
        struct.pack(">IBBH", 8 + len(body), 2, 0, 0) + body for body in [attach, *transfers])
    for byte in stream:
        frames.feed(bytes([byte]))
    assert [frames.take("link") for _ in formats] == formats
    # Without the format, it is one message with several data sections.
    connection = connect()
    sender = connection.create_sender(TOPIC)
    sender.link.delivery("tag")
    sender.link.stream(batch)
    sender.link.advance()
    until(connection, lambda: bus.counts(TOPIC).sent > 0)
    assert bus.counts(TOPIC).sent == 1


def test_outcomes_without_the_sdk(bus: ServiceBus, connect: Callable[..., BlockingConnection]) -> None:
    connection = connect()
    connection.create_sender(TOPIC).send(Message(body="again"))
    receiver = connection.create_receiver(A, credit=1)
    for settle, count in [("release", 0), ("release_delivered", 0), ("release_delivered", 1), ("reject", 2)]:
        message = receiver.receive(timeout=WAIT)
        assert (message.body, message.delivery_count, message.first_acquirer) == ("again", count, count == 0)
        if settle == "reject":
            receiver.reject()
        else:
            receiver.release(delivered=settle == "release_delivered")
    dead = connection.create_receiver(f"{A}/$DeadLetterQueue", credit=1).receive(timeout=WAIT)
    assert dead.body == "again"
    assert bus.counts(A).settled == 4


def test_a_message_stays_locked_when_its_receiver_is_gone(
    bus: ServiceBus, connect: Callable[..., BlockingConnection]
) -> None:
    bus.create_subscription(TOPIC, "short", lock_duration=SHORT)
    connect().create_sender(TOPIC).send(Message(body="again"))
    connection = connect()
    connection.create_receiver(f"{TOPIC}/Subscriptions/short", credit=1).receive(timeout=WAIT)
    bus.cut()
    assert bus.locked(f"{TOPIC}/Subscriptions/short") == 1
    message = connect().create_receiver(f"{TOPIC}/Subscriptions/short", credit=1).receive(timeout=WAIT)
    assert message.delivery_count == 1
    assert bus.counts(f"{TOPIC}/Subscriptions/short").expired == 1


def test_a_lost_settlement_has_no_effect(bus: ServiceBus, connect: Callable[..., BlockingConnection]) -> None:
    bus.create_subscription(TOPIC, "short", lock_duration=SHORT)
    connect().create_sender(TOPIC).send(Message(body="again"))
    bus.lose_settlements()
    connection = connect()
    receiver = connection.create_receiver(f"{TOPIC}/Subscriptions/short", credit=1)
    receiver.receive(timeout=WAIT)
    receiver.accept()
    with pytest.raises(ConnectionException):
        connection.wait(lambda: False, timeout=WAIT)
    receiver = connect().create_receiver(f"{TOPIC}/Subscriptions/short", credit=1)
    assert receiver.receive(timeout=WAIT).delivery_count == 1
    receiver.accept()
    until(receiver.connection, lambda: bus.waiting(f"{TOPIC}/Subscriptions/short") == 0)


def test_a_message_is_stored_whose_acceptance_is_lost(
    bus: ServiceBus, connect: Callable[..., BlockingConnection]
) -> None:
    bus.lose_acceptances()
    with pytest.raises(ConnectionException):
        connect().create_sender(TOPIC).send(Message(body="stored"))
    assert bus.waiting(A) == 1
    connect().create_sender(TOPIC).send(Message(body="stored, and answered"))
    assert bus.waiting(A) == 2


def test_a_throttled_transfer_is_rejected_with_its_reason(
    bus: ServiceBus, connect: Callable[..., BlockingConnection]
) -> None:
    sender = connect().create_sender(TOPIC)
    bus.throttle(TOPIC, sends=1)
    with pytest.raises(SendException):
        sender.send(Message(body="refused"))
    sender.send(Message(body="taken"))
    assert bus.waiting(A) == 1


def test_errors_say_which_condition_they_have(bus: ServiceBus, connect: Callable[..., BlockingConnection]) -> None:
    connection = connect()
    with pytest.raises(LinkDetached, match="amqp:not-found"):
        connection.create_receiver(f"{TOPIC}/Subscriptions/none")
    with pytest.raises(LinkDetached, match="amqp:not-found"):
        connection.create_receiver(TOPIC)  # a topic is no queue
    connection.create_receiver(A)
    bus.detach(A, "com.microsoft:timeout", "idle")
    with pytest.raises(LinkDetached, match="com.microsoft:timeout"):
        connection.wait(lambda: False, timeout=WAIT)
    connection.create_receiver(A, name="another")  # proton sends this attach before the detach of the other
    bus.close_connections(description="maintenance")
    with pytest.raises(ConnectionException, match="amqp:connection:forced.*maintenance"):
        connection.wait(lambda: False, timeout=WAIT)


def test_a_paused_service_says_nothing_and_goes_on_afterwards(
    bus: ServiceBus, connect: Callable[..., BlockingConnection]
) -> None:
    connection = connect()
    sender, receiver = connection.create_sender(TOPIC), connection.create_receiver(A, credit=2)
    with bus.paused():
        sender.link.send(Message(body="waits"))
        with pytest.raises(Exception, match="(?i)timed out"):
            receiver.receive(timeout=NO_WAIT)
        assert bus.counts(TOPIC).sent == 0
    assert receiver.receive(timeout=WAIT).body == "waits"


def test_credit_bounds_what_is_delivered(bus: ServiceBus, connect: Callable[..., BlockingConnection]) -> None:
    connection = connect()
    sender = connection.create_sender(TOPIC)
    for number in range(10):
        sender.send(Message(body=number))
    handler = MessagingHandler(prefetch=0, auto_accept=False, auto_settle=False)
    connection.create_receiver(A, credit=3, handler=handler)
    until(connection, lambda: bus.counts(A).delivered >= 3)
    sender.send(Message(body="after"))
    assert (bus.counts(A).delivered, bus.locked(A)) == (3, 3)
