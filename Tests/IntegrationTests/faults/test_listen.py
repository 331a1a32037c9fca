# SPDX-License-Identifier: Apache-2.0
"""`martlet listen` gets each acknowledged event once and in order, however often the server is killed."""

from array import array
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from listening import Listen
from publisher import Publisher
from scale import scale, seeded
from sqlite_log import sqlite
from support import HOST, Martlet, wait_until
from verdict import Received, check

KILLS = scale("LISTEN_KILLS", 5)
LISTENERS = scale("LISTENERS", 4)
DEADLINE = 60.0  # seconds until all have come back


def received(listen: Listen) -> Received:
    """What it has printed, as the verdict takes it."""
    events = listen.events
    numbers = array("Q", (int(event["data"]) for event in events if event["event"] != "gap"))
    gaps = [event["data"] for event in events if event["event"] == "gap"]
    code = listen.process.poll()
    return Received(numbers, gaps, None if code is None else f"exit code {code}")


def test_nothing_is_lost_or_repeated_when_the_server_is_killed(
    start_server: Callable[..., Martlet], tmp_path: Path
) -> None:
    random = seeded()
    server = start_server(*sqlite(tmp_path / "log"))
    with ExitStack() as stack:
        url = f"http://{HOST}:{server.port}/events/numbers"
        listeners = [stack.enter_context(Listen(url, "--json")) for _ in range(LISTENERS)]
        for listen in listeners:
            listen.wait_until_connected()
        publisher = stack.enter_context(Publisher(server.port))
        another = stack.enter_context(Publisher(server.port, first=1_000_000, repeats=False))
        for _ in range(KILLS):
            publisher.let_publish(random.randint(10, 20))
            connections = [listen.connections for listen in listeners]
            server.kill()
            server.start()
            if random.random() < 0.7:
                for listen, count in zip(listeners, connections, strict=True):
                    wait_until(lambda: listen.connections > count or listen.process.poll(), "it is back", DEADLINE)
        for last in [publisher.finish(), another.finish()]:
            for listen in listeners:
                wait_until(lambda: last in received(listen).numbers or listen.process.poll(), "it has all", DEADLINE)
        check(map(received, listeners), [publisher.sent, another.sent])
        assert all(listen.connections > 1 for listen in listeners)
        print(f"--- connections of each: {[listen.connections for listen in listeners]}")
