# SPDX-License-Identifier: Apache-2.0
"""A server that is killed at any moment and started again loses nothing that it has acknowledged, and repeats nothing.

scripts/crash runs it for longer.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from publisher import Publisher
from scale import scale, seeded
from sqlite_log import DURABILITIES, sqlite
from subscribers import Herd
from support import Martlet
from verdict import check

KILLS = scale("KILLS", 10)
SUBSCRIBERS = scale("SUBSCRIBERS", 50)


@pytest.mark.parametrize("durability", os.environ.get("MARTLET_DURABILITY", ",".join(DURABILITIES)).split(","))
def test_nothing_is_lost_or_repeated_when_the_server_is_killed(
    start_server: Callable[..., Martlet], tmp_path: Path, durability: str
) -> None:
    random = seeded()
    server = start_server(*sqlite(tmp_path / "log", durability))
    with (
        Herd(server.port, SUBSCRIBERS, random, pace=0.1) as herd,
        Publisher(server.port) as publisher,
        Publisher(server.port, first=1_000_000) as another,
        Publisher(server.port, first=2_000_000, repeats=False) as forgetful,
    ):
        publishers = [publisher, another, forgetful]
        for _ in range(KILLS):
            if random.random() < 0.5:
                herd.wait_until_open()
            publisher.let_publish(random.randint(10, 20))
            time.sleep(random.uniform(0, 0.05))
            server.kill()
            if random.random() < 0.25:  # and again while it starts
                server.spawn()
                time.sleep(random.uniform(0, 0.3))
                server.kill()
            server.start()
        for number in [publisher.finish() for publisher in publishers]:
            herd.wait_for(number)
        unanswered = [publisher.unanswered for publisher in publishers]
        print(f"--- {KILLS} kills, {herd.deliveries} deliveries, requests without an answer: {unanswered}")
        check(herd.received, [publisher.sent for publisher in publishers])
        assert herd.deliveries >= KILLS * SUBSCRIBERS * 10
