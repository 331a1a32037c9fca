# SPDX-License-Identifier: Apache-2.0
"""A full disk stops publishers, who are told so, and nobody else, until there is room again."""

from pathlib import Path

from publisher import Publisher
from scale import seeded
from small_disk import SmallDisk
from sqlite_log import sqlite
from subscribers import Herd
from support import Martlet, wait_until
from verdict import check

SUBSCRIBERS = 10


def test_publishing_goes_on_when_there_is_room_again(tmp_path: Path) -> None:
    random = seeded()
    with SmallDisk(tmp_path / "disk", "16m") as disk:
        filler = disk.file("filler")
        filler.write_bytes(bytes(13 << 20))
        with (
            Martlet(tmp_path, *sqlite(disk.folder / "log"), "--grace", "1s", within=disk.enter) as server,
            Herd(server.port, SUBSCRIBERS, random, pace=0.1) as herd,
            Publisher(server.port, interval=0.005, size=20_000) as publisher,
        ):
            wait_until(lambda: publisher.refusals[507] > 2, "the disk is full")
            herd.wait_for(publisher.sent.acknowledged[-1])
            history = Herd(server.port, SUBSCRIBERS, random, pace=0.1, path="/events/numbers?lastEventID=earliest")
            with history:
                history.wait_for(publisher.sent.acknowledged[-1])
                filler.unlink()
                publisher.let_publish(20)
                assert not any(subscriber.cuts for subscriber in herd.subscribers + history.subscribers)
                server.stop()
                server.start()
                last = publisher.finish()
                for each in (herd, history):
                    each.wait_for(last)
                    check(each.received, [publisher.sent])
