# SPDX-License-Identifier: Apache-2.0
"""A hub under churn for a long time keeps neither descriptors nor memory. scripts/soak runs it for an hour."""

import asyncio
import json
import os
import random
import signal
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import HOST, Martlet, sample, wait_until

MINUTES = float(os.environ.get("MARTLET_SOAK_MINUTES", "0.4"))
SUBSCRIBERS = int(os.environ.get("MARTLET_SUBSCRIBERS", "100"))
TOPICS = 20
# Publishes in a second.
RATE = 50
# Subscribers that stop reading are reset after this many seconds.
STALL = 3.0


@dataclass
class Tally:
    received: int = 0
    gaps: int = 0
    streams: int = 0
    published: list[int] = field(default_factory=lambda: [0] * TOPICS)
    failures: list[str] = field(default_factory=list)


class Page:
    """A client of one topic that comes back with the last id. The events of a topic are numbered."""

    def __init__(self, port: int, tally: Tally, dice: random.Random) -> None:
        self.port, self.tally, self.dice = port, tally, dice
        self.topic = dice.randrange(TOPICS)
        self.id = "earliest"
        self.number: int | None = None

    async def run(self, end: float) -> None:
        while time.monotonic() < end:
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                await self.visit(min(end, time.monotonic() + self.dice.expovariate(1 / 8)))
            await asyncio.sleep(self.dice.uniform(0, 0.5))

    async def visit(self, until: float) -> None:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            writer.write(
                f"GET /events/soak/{self.topic} HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {self.id}\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            self.tally.streams += 1
            # It ends anywhere, also within a block, of which nothing is used then.
            with suppress(TimeoutError):
                async with asyncio.timeout(until - time.monotonic()):
                    while True:
                        await self.read_chunk(reader)
            await self.leave(writer)
        finally:
            writer.close()

    async def read_chunk(self, reader: asyncio.StreamReader) -> None:
        size = int(await reader.readuntil(b"\r\n"), 16)
        if size == 0:
            raise asyncio.IncompleteReadError(b"", None)
        block = (await reader.readexactly(size + 2)).decode()
        fields = dict(line.split(": ", 1) for line in block.strip().splitlines() if ": " in line)
        if fields.get("event") == "gap":
            self.tally.gaps += 1
            self.number = None
        elif "data" in fields:
            number = int(fields["data"])
            if self.number is not None and number != self.number + 1:
                self.tally.failures.append(f"topic {self.topic}: {number} after {self.number} at {self.id}")
            self.number = number
            self.tally.received += 1
        self.id = fields.get("id", self.id)

    async def leave(self, writer: asyncio.StreamWriter) -> None:
        """As clients leave: properly, half, by a reset, or by reading no more."""
        way = self.dice.randrange(4)
        raw = writer.get_extra_info("socket")
        if way == 1:
            raw.shutdown(socket.SHUT_WR)
        if way == 3:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(self.dice.uniform(0, STALL))
        if way >= 2:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def publish(port: int, tally: Tally, dice: random.Random, end: float) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    while time.monotonic() < end:
        topic = dice.randrange(TOPICS)
        tally.published[topic] += 1
        body = str(tally.published[topic])
        writer.write(
            f"POST /events/soak/{topic} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        await asyncio.sleep(1 / RATE)
    writer.close()


async def reload(server: Martlet, path: Path, end: float) -> None:
    assert server.process is not None
    levels = ["info", "notice"]
    while time.monotonic() < end:
        levels.reverse()
        path.write_text(json.dumps({"log-level": levels[0]}))
        server.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(5)


def use(server: Martlet) -> tuple[int, int]:
    """The descriptors of the hub, and its memory in KiB."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return len(os.listdir(f"/proc/{server.process.pid}/fd")), memory


async def watch(server: Martlet, tally: Tally, curve: list[int], end: float) -> None:
    start = time.monotonic()
    while time.monotonic() < end:
        await asyncio.sleep(min(60, max(0, end - time.monotonic())))
        descriptors, memory = use(server)
        curve.append(memory)
        print(
            f"{(time.monotonic() - start) / 60:5.1f} min  {memory / 1024:7.1f} MiB  {descriptors:5} descriptors  "
            f"{tally.streams:8} streams  {sum(tally.published):8} published  {tally.received:9} received  "
            f"{tally.gaps:6} gaps", flush=True)


def test_a_hub_under_churn_keeps_nothing(start_server: Callable[..., Martlet], tmp_path: Path) -> None:
    path = tmp_path / "hub.json"
    path.write_text("{}")
    # History and window are small, so that they are full early.
    server = start_server(
        "--config", str(path), "--history-events", "2000", "--window-bytes", "1MiB", "--write-timeout", "2s")
    before, _ = use(server)
    seed = int(os.environ.get("MARTLET_SEED", "0")) or random.randrange(1 << 32)
    print(f"\nMARTLET_SEED={seed}")
    tally, curve = Tally(), []  # type: tuple[Tally, list[int]]

    async def run() -> None:
        end = time.monotonic() + MINUTES * 60
        pages = [Page(server.port, tally, random.Random(seed + number)) for number in range(SUBSCRIBERS)]
        tasks: list[Any] = [page.run(end) for page in pages]
        tasks += [publish(server.port, tally, random.Random(seed), end), reload(server, path, end)]
        await asyncio.gather(*tasks, watch(server, tally, curve, end))

    # In a thread of its own: that of the tests may have the loop of the browsers.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, run()).result()
    assert tally.failures == []
    assert tally.received > sum(tally.published) > 0
    wait_until(lambda: sample(server.port, "martlet_streams") == 0, "all streams have ended")
    wait_until(lambda: use(server)[0] <= before + 1, "all descriptors are closed")
    if len(curve) > 20:
        # From the tenth minute on it stays as it is.
        assert curve[-1] <= curve[9] * 1.1, curve
