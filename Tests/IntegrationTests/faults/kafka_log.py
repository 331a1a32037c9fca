# SPDX-License-Identifier: Apache-2.0

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from cut_all import cut_all
from kafka_support import MockCluster, Record, consume_all, produce
from support import HOST


class KafkaBrokers(MockCluster):
    """Mock brokers with the topic of a log, which has one partition. They keep it while they are down."""

    TOPIC = "martlet"

    def __init__(self, directory: Path, brokers: int = 3) -> None:
        super().__init__(directory, brokers, **{self.TOPIC: 1})

    has_one_order = True

    def log_options(self, node: Path, port: int | None = None) -> list[str]:
        """The options of a node, with its folder, whose log is here. It may reach it through another port."""
        servers = self.servers if port is None else f"{HOST}:{port}"
        # These brokers do not wake a fetch that waits, so it waits briefly.
        settings = "fetch.wait.max.ms=5&reconnect.backoff.max.ms=100"
        return ["--log", f"kafka://{servers}/{self.TOPIC}?{settings}"]

    def numbers(self) -> list[int]:
        """The data of the events in the topic, in its order. Of records with one key, the first counts."""
        numbers: list[int] = []
        keys: set[bytes] = set()
        for record in consume_all(self.servers, self.TOPIC):
            key = dict(record.headers).get("martlet-once")
            if key is None or key not in keys:
                numbers.append(int(record.value or b""))
            if key is not None:
                keys.add(key)
        return numbers

    def produce(self, topic: str, numbers: range) -> None:
        """Another program publishes these numbers."""
        produce(self.servers, self.TOPIC, *(Record(b"%d" % number, topic.encode()) for number in numbers))

    def cut(self) -> None:
        """Ends all connections of nodes."""
        for server in self.servers.split(","):
            cut_all(int(server.rsplit(":", 1)[1]))

    @contextmanager
    def outage(self, random: Random) -> Iterator[None]:
        """All brokers go down, or only the leader, with or without another one."""
        leader = random.choice(self.brokers)
        self.leader(self.TOPIC, 0, leader)
        gone = random.choice([list(self.brokers), [leader], [leader]])
        for broker in gone:
            self.down(broker)
        if len(gone) == 1:
            time.sleep(random.uniform(0, 0.5))
            self.leader(self.TOPIC, 0, random.choice([broker for broker in self.brokers if broker != leader]))
        time.sleep(random.uniform(0, 1))
        yield
        for broker in gone:
            self.up(broker)
