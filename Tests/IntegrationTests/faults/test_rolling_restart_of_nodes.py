# SPDX-License-Identifier: Apache-2.0
"""Nodes are restarted one after the other while another program produces to the topic that they share, and subscribers
go from one to the other: each of them gets each record once."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bus_log import ServiceBusTopic
from haproxy import HAProxy
from kafka_log import KafkaBrokers
from nodes import running_nodes
from scale import scale, seeded
from subscribers import Herd
from verdict import Sent, check

RECORDS = 2000
GROUP = 100
RESTARTS = 2
SUBSCRIBERS = scale("SUBSCRIBERS", 100)
PACE = 0.1
PAUSE = 0.2  # seconds between two groups of records


@pytest.mark.parametrize("server", [KafkaBrokers, ServiceBusTopic], ids=["kafka", "service-bus"])
def test_subscribers_get_each_record_once_while_nodes_are_restarted(
    tmp_path: Path, server: Callable[[Path], KafkaBrokers | ServiceBusTopic]
) -> None:
    with (
        server(tmp_path) as log,
        running_nodes(tmp_path, 2, log, "--grace", "500ms", "--read-only") as nodes,
        HAProxy(tmp_path, [node.port for node in nodes]) as proxy,
        Herd(proxy.port, SUBSCRIBERS, seeded(), PACE) as herd,
    ):
        sent, stopping = Sent(), threading.Event()

        def go_on() -> None:
            for first in range(0, RECORDS, GROUP):
                numbers = range(first + 1, first + GROUP + 1)
                log.produce("numbers", numbers)
                sent.acknowledged += numbers
                stopping.wait(PAUSE)

        producer = threading.Thread(target=go_on)
        producer.start()
        try:
            for _ in range(RESTARTS):
                for node in nodes:
                    node.stop()
                    node.start()
                    herd.wait_until_open()
        finally:
            stopping.set()
            producer.join()
        herd.wait_for(RECORDS)
        check(herd.received, [sent])
        # Every restart moved subscribers.
        assert min(len(subscriber.ends) for subscriber in herd.subscribers) >= RESTARTS
