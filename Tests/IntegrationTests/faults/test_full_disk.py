# SPDX-License-Identifier: Apache-2.0
"""A full disk stops publishers, who are told so, and nobody else, until there is room again. With a log of Service Bus, the
node leaves messages where they are, however long that takes."""

from pathlib import Path

from bus_log import NODES
from bus_support import TOPIC, BusNode, address, subscription
from publisher import Publisher
from scale import seeded
from service_bus import ServiceBus
from small_disk import SmallDisk
from sqlite_log import sqlite
from subscribers import Herd
from support import Martlet, is_ready, wait_until
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


def test_a_node_of_service_bus_leaves_messages_in_its_subscription_until_there_is_room(tmp_path: Path) -> None:
    name = NODES[0]
    place = subscription(name)
    with ServiceBus() as bus, SmallDisk(tmp_path / "disk", "16m") as disk:
        bus.create_topic(TOPIC)
        # After two locks that ran out, a message is a dead letter.
        bus.create_subscription(TOPIC, name, lock_duration=1, max_delivery_count=2)
        bus.create_subscription(TOPIC, "publisher")
        filler = disk.file("filler")
        filler.write_bytes(bytes(13 << 20))
        with (
            BusNode(tmp_path, "publisher", address(bus)) as other,
            BusNode(tmp_path, name, address(bus), folder=disk.folder, within=disk.enter) as node,
            Herd(node.port, SUBSCRIBERS, seeded(), pace=0.1) as herd,
            Publisher(other.port, interval=0.005, size=20_000) as publisher,
        ):
            wait_until(lambda: not is_ready(node.port), "the disk is full")
            publisher.let_publish(50)
            before = bus.counts(place).attached
            wait_until(lambda: bus.counts(place).attached >= before + 5, "the node has tried again")
            filler.unlink()
            wait_until(lambda: is_ready(node.port), "there is room again")
            herd.wait_for(publisher.finish())
            check(herd.received, [publisher.sent])
            assert bus.waiting(f"{place}/$deadletterqueue") == 0
