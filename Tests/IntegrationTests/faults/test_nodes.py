# SPDX-License-Identifier: Apache-2.0
"""Nodes that share a log are killed and restarted behind a proxy, connections are cut, and the server of the log goes
away: every subscriber gets everything that was acknowledged once, in the order of the log, if it has one.

MARTLET_ROUNDS and MARTLET_SUBSCRIBERS make it longer and larger, MARTLET_PROXY is http or tcp.
"""

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from bus_log import RabbitMQExchange, ServiceBusTopic
from cut_all import cut_all
from haproxy import HAProxy
from kafka_log import KafkaBrokers
from nodes import running_nodes
from publisher import Publisher
from redis_log import RedisServer
from scale import scale, seeded
from shared_log import SharedLog
from subscribers import Herd
from support import Martlet
from verdict import check

NODES = 3
TOPICS = ["numbers/a", "numbers/b", "numbers/c"]
SUBSCRIBERS = scale("SUBSCRIBERS", 300)
ROUNDS = scale("ROUNDS", 10)
PACE = 0.1


class Faults:
    """What goes wrong in one round, chosen by chance."""

    def __init__(self, random: Random, nodes: list[Martlet], log: SharedLog, proxy: HAProxy) -> None:
        self.random, self.nodes, self.log, self.proxy = random, nodes, log, proxy
        self.counts: Counter[str] = Counter()

    def any(self) -> Callable[[Callable[[], None]], None]:
        """One of them: a function that is given what goes on meanwhile."""
        kinds = [self.killed_nodes] * 4 + [self.stopped_node, self.frozen_node, self.cut_clients, self.cut_log]
        return self.random.choice(kinds)

    def killed_nodes(self, meanwhile: Callable[[], None]) -> None:
        killed = self.random.sample(self.nodes, self.random.choice([1, 1, NODES - 1]))
        for node in killed:
            node.kill()
        self.counts["nodes killed"] += len(killed)
        meanwhile()
        for node in killed:
            node.start()

    def stopped_node(self, meanwhile: Callable[[], None]) -> None:
        node = self.random.choice(self.nodes)
        node.stop()
        self.counts["nodes stopped"] += 1
        meanwhile()
        node.start()

    def frozen_node(self, meanwhile: Callable[[], None]) -> None:
        with self.random.choice(self.nodes).frozen():
            time.sleep(self.random.uniform(0, 0.5))
        self.counts["nodes frozen"] += 1
        meanwhile()

    def cut_clients(self, meanwhile: Callable[[], None]) -> None:
        cut_all(self.proxy.port)
        self.counts["times all clients were cut"] += 1
        meanwhile()

    def cut_log(self, meanwhile: Callable[[], None]) -> None:
        self.log.cut()
        self.counts["times all nodes were cut from the log"] += 1
        meanwhile()

    def log_away(self, meanwhile: Callable[[], None]) -> None:
        with self.log.outage(self.random):
            pass
        self.counts["times the log was away"] += 1
        meanwhile()


@pytest.mark.parametrize("mode", os.environ.get("MARTLET_PROXY", "http").split(","))
@pytest.mark.parametrize(
    "server", [RedisServer, KafkaBrokers, ServiceBusTopic, RabbitMQExchange],
    ids=["redis", "kafka", "service-bus", "rabbitmq"])
def test_nothing_is_lost_or_repeated_when_nodes_are_killed_and_the_log_goes_away(
    tmp_path: Path, mode: str,
    server: Callable[[Path], RedisServer | KafkaBrokers | ServiceBusTopic | RabbitMQExchange],
) -> None:
    random = seeded()
    with server(tmp_path) as log, running_nodes(tmp_path, NODES, log, "--grace", "1s") as nodes:
        with (
            HAProxy(tmp_path, [node.port for node in nodes], mode) as proxy,
            Herd(proxy.port, SUBSCRIBERS, random, PACE, path=path_of_all()) as herd,
            Publisher(proxy.port, path=f"/events/{TOPICS[0]}") as publisher,
            Publisher(proxy.port, first=1_000_000, path=f"/events/{TOPICS[1]}") as another,
            Publisher(proxy.port, first=2_000_000, path=f"/events/{TOPICS[2]}") as third,
        ):
            publishers = [publisher, another, third]
            faults = Faults(random, nodes, log, proxy)
            rounds = [faults.any() for _ in range(ROUNDS)]
            rounds[random.randrange(ROUNDS)] = faults.log_away

            def meanwhile() -> None:
                for each in random.sample(publishers, random.randint(0, len(publishers))):
                    each.let_publish(random.randint(1, 10))
                time.sleep(random.uniform(0, 0.05))

            for fault in rounds:
                if random.random() < 0.5:
                    herd.wait_until_open()
                random.choice(publishers).let_publish(random.randint(5, 10))
                meanwhile()
                fault(meanwhile)
            for number in [each.finish() for each in publishers]:
                herd.wait_for(number)
            unanswered = [each.unanswered for each in publishers]
            print(f"--- {dict(faults.counts)}, {herd.deliveries} deliveries, requests without an answer: {unanswered}")
            check(herd.received, [each.sent for each in publishers], has_one_order=log.has_one_order)
            received, logged = list(herd.received[0].numbers), log.numbers()
            if not log.has_one_order:
                received, logged = sorted(received), sorted(logged)
            assert received == logged


def path_of_all() -> str:
    first, *rest = TOPICS
    return f"/events/{first}?{'&'.join(f'topic={topic}' for topic in rest)}"
