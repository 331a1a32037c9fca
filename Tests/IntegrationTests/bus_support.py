# SPDX-License-Identifier: Apache-2.0
"""Nodes whose log is a topic of the Service Bus double or an exchange of RabbitMQ, and Microsoft's client of the former."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceivedMessage

from rabbit import PASSWORD, USER, RabbitMQ
from service_bus import ServiceBus
from support import DEADLINE, HOST, Martlet

TOPIC = "orders"
EXCHANGE = "events"
# The same for every node; short, so that tests need not wait long.
OPTIONS = ["--publish-timeout", "1s", "--heartbeat", "500ms", "--grace", "1s"]

logging.getLogger("azure").setLevel(logging.ERROR)


def subscription(node: str, topic: str = TOPIC) -> str:
    return f"{topic}/Subscriptions/{node}"


def address(
    bus: ServiceBus, *options: str, topic: str = TOPIC, key: str | None = None, scheme: str = "amqp", host: str = HOST,
    port: int | None = None,
) -> str:
    """Where a log is, with the key for SASL PLAIN."""
    query = "?" + "&".join(options) if options else ""
    login = f"{bus.key_name}:{quote(key or bus.key, safe='')}"
    return f"{scheme}://{login}@{host}:{port or bus.port}/{topic}{query}"


def rabbit_address(rabbit: RabbitMQ, port: int | None = None) -> str:
    login = f"{USER}:{quote(PASSWORD, safe='')}"
    places = f"target=/exchange/{EXCHANGE}&source=/amq/queue/{EXCHANGE}.{{node}}"
    return f"amqp://{login}@{HOST}:{port or rabbit.port}/{EXCHANGE}?{places}"


class BusNode(Martlet):
    """A hub with a subscription, which keeps its history in a file."""

    def __init__(
        self, directory: Path, name: str, log: str, *options: str, folder: Path | None = None,
        within: Sequence[str] = (),
    ) -> None:
        """`folder`: for the history, if it is not in `directory`. `within`: see `Martlet`."""
        self.name, own = name, directory / f"node-{name}"
        own.mkdir(exist_ok=True)
        self.store = (folder or own) / "history.db"
        super().__init__(
            own, "--node", name, "--store", f"sqlite:{self.store}", *OPTIONS, *options,
            environment={"MARTLET_LOG": log}, within=within)

    def lose_store(self) -> None:
        for file in self.store.parent.glob(f"{self.store.name}*"):
            file.unlink()


@contextmanager
def sdk(bus: ServiceBus) -> Iterator[ServiceBusClient]:
    """Microsoft's client. It sleeps between looks at its connection, and a second where it closes one: here, less."""
    with pytest.MonkeyPatch.context() as patch:
        sleep = time.sleep
        patch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))
        with ServiceBusClient.from_connection_string(
            bus.connection_string, retry_total=0, retry_backoff_factor=0.05, retry_mode="fixed", socket_timeout=0.05
        ) as client:
            yield client


def send(bus: ServiceBus, *messages: ServiceBusMessage | str, topic: str = TOPIC) -> None:
    """Sends with the SDK, one message after the other."""
    with sdk(bus) as client, client.get_topic_sender(topic) as sender:
        for message in messages:
            sender.send_messages(message if isinstance(message, ServiceBusMessage) else ServiceBusMessage(message))


def receive(bus: ServiceBus, name: str, count: int, topic: str = TOPIC) -> list[ServiceBusReceivedMessage]:
    """Receives exactly so many messages of a subscription with the SDK, and settles them."""
    messages: list[ServiceBusReceivedMessage] = []
    with sdk(bus) as client, client.get_subscription_receiver(topic, name) as receiver:
        while len(messages) < count:
            more = receiver.receive_messages(count - len(messages), max_wait_time=DEADLINE)
            assert more, f"{len(messages)} of {count} messages"
            for message in more:
                receiver.complete_message(message)
            messages += more
    return messages


def message(body: Any, topic: str | None = None, id: str | None = None, **properties: Any) -> ServiceBusMessage:
    """A message of another program. `x_id` is the property `martlet-id`."""
    fields = {f"martlet-{name.removeprefix('x_')}": value for name, value in properties.items() if value is not None}
    if topic is not None:
        fields["martlet-topic"] = topic
    return ServiceBusMessage(body, message_id=id, application_properties=fields)
