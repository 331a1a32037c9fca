# SPDX-License-Identifier: Apache-2.0
"""A server that is stopped and started again lets its clients go one by one, and none of them misses anything."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from publisher import Publisher
from scale import scale, seeded
from sqlite_log import sqlite
from subscribers import Herd
from support import Martlet
from verdict import check

RESTARTS = 2
SUBSCRIBERS = scale("SUBSCRIBERS", 5000)
SLICES = 8


def test_clients_come_back_without_having_missed_anything(start_server: Callable[..., Martlet], tmp_path: Path) -> None:
    server = start_server(*sqlite(tmp_path / "log"), "--grace", "4s")
    with Herd(server.port, SUBSCRIBERS, seeded()) as herd, Publisher(server.port, interval=0.05) as publisher:
        for _ in range(RESTARTS):
            publisher.let_publish(5)
            server.stop()
            server.start()
            herd.wait_until_open()
        herd.wait_for(publisher.finish())
        check(herd.received, [publisher.sent])
        # Every stream was brought to its end, once for each restart, and none was cut off.
        assert Counter((len(each.ends), len(each.cuts)) for each in herd.subscribers) == {(RESTARTS, 0): SUBSCRIBERS}
        for restart in range(RESTARTS):
            ends = [subscriber.ends[restart] for subscriber in herd.subscribers]
            print(f"--- streams that ended in each slice of the grace period: {spread(ends)}")
            # An eighth, where they are let go evenly; all, where at once. A busy machine bunches them.
            assert max(spread(ends)) <= sum(spread(ends)) * 3 // 4


def spread(ends: list[int]) -> list[int]:
    """How many streams ended in each slice of the grace period.

    Time is told by the events that a stream had been sent when it ended: they are published evenly while the server has
    time, and stand still while the machine has none, so that a busy machine does not look as if all had ended at once.
    The first and the last tenth do not count: a stream that was still catching up had been sent much less.
    """
    tenth = len(ends) // 10
    ends = sorted(ends)[tenth:-tenth]
    first, last = ends[0], ends[-1]
    counts = Counter((end - first) * SLICES // (last - first + 1) for end in ends)
    return [counts[part] for part in range(SLICES)]
