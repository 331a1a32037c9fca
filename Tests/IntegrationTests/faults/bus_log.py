# SPDX-License-Identifier: Apache-2.0
"""Logs in a topic of the Service Bus double and in an exchange of RabbitMQ, for the nodes 0 to 2.

What is sent goes to a place of its own as well, which shows what is in the log.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Self

from bus_support import EXCHANGE, TOPIC, address, message, rabbit_address, sdk, subscription
from cut_all import cut_all
from proton import Message, Timeout
from proton.utils import BlockingConnection
from rabbit import RabbitMQ
from service_bus import ServiceBus

NODES = [f"node-{number}" for number in range(3)]
WITNESS = "witness"
_QUIET = 1.0  # seconds without a message, after which there is none


def node_options(log: str, node: Path) -> list[str]:
    return ["--log", log, "--node", node.name, "--store", f"sqlite:{node / 'history.db'}"]


def received(connection: BlockingConnection, source: str) -> Iterator[Message]:
    """What waits in a subscription or queue. It is settled."""
    receiver = connection.create_receiver(source, credit=1)
    try:
        while True:
            yield receiver.receive(timeout=_QUIET)
            receiver.accept()
    except Timeout:
        connection.close()


def numbers(messages: Iterable[Message]) -> list[int]:
    """The data of the events in messages. Of those with one key, or one name, the first counts."""
    found: dict[Any, int] = {}
    for message in messages:
        properties = message.properties
        found.setdefault(properties.get("martlet-once", properties["martlet-from"]), int(bytes(message.body)))
    return list(found.values())


class ServiceBusTopic(ServiceBus):
    """A topic in which messages of several hubs are interleaved differently for each node. Locks are short."""

    has_one_order = False

    def __init__(self, directory: Path) -> None:
        super().__init__()

    def __enter__(self) -> Self:
        super().__enter__()
        self.create_topic(TOPIC)
        for name in NODES:
            self.create_subscription(TOPIC, name, lock_duration=2, max_delivery_count=10_000)
            self.delay(subscription(name), 0.03)
        self.create_subscription(TOPIC, WITNESS)
        return self

    def log_options(self, node: Path, port: int | None = None) -> list[str]:
        """The options of a node, with its folder, whose log is here. It may reach it through another port."""
        return node_options(address(self, port=port), node)

    def numbers(self) -> list[int]:
        """The data of the events in the topic, in an order that a node might have."""
        connection = BlockingConnection(
            f"amqp://{self.host}", user=self.key_name, password=self.key, allowed_mechs="PLAIN",
            allow_insecure_mechs=True)
        return numbers(received(connection, subscription(WITNESS)))

    def produce(self, topic: str, numbers: range) -> None:
        """Another program publishes these numbers, all at once."""
        with sdk(self) as client, client.get_topic_sender(TOPIC) as sender:
            sender.send_messages([message(f"{number}", topic, f"{number}") for number in numbers])

    @contextmanager
    def outage(self, random: Random) -> Iterator[None]:
        """The service is away, stands still, or ends connections and has too much to do."""
        kind = random.choice(["away", "paused", "closed"])
        if kind == "away":
            self.stop()
        elif kind == "paused":
            self.pause()
        else:
            self.throttle(TOPIC, sends=random.randint(0, 20), attaches=random.randint(0, 5))
            self.lose_acceptances(random.randint(0, 3))
            self.lose_settlements(random.randint(0, 3))
            self.close_connections()
        time.sleep(random.uniform(0, 1))
        yield
        if kind == "away":
            self.start()
        elif kind == "paused":
            self.resume()
        else:
            self.throttle(TOPIC)


class RabbitMQExchange(RabbitMQ):
    """An exchange with a queue for each node."""

    has_one_order = False

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, *(f"{EXCHANGE}.{name}" for name in [*NODES, WITNESS]))

    def log_options(self, node: Path, port: int | None = None) -> list[str]:
        """The options of a node, with its folder, whose log is here. It may reach it through another port."""
        return node_options(rabbit_address(self, port), node)

    def numbers(self) -> list[int]:
        """The data of the events in the exchange, in an order that a node might have."""
        return numbers(received(self.connect(), f"/amq/queue/{EXCHANGE}.{WITNESS}"))

    def cut(self) -> None:
        """Ends all connections of nodes."""
        cut_all(self.port)

    @contextmanager
    def outage(self, random: Random) -> Iterator[None]:
        """The server is killed, and restarted."""
        self.kill()
        time.sleep(random.uniform(0, 1))
        yield
        self.start()
