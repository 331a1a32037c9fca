# SPDX-License-Identifier: Apache-2.0

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import cast

from redis import Redis, RedisError

from cut_all import cut_all
from support import HOST, Program, free_port, program


class RedisServer(Program):
    """A Redis server in a folder of its own. What it has answered is on its disk, unless `fsync` says otherwise."""

    STREAM = "martlet"

    def __init__(self, directory: Path, fsync: str = "always") -> None:
        port = free_port()
        self.folder = directory / "redis"
        self.folder.mkdir()
        command = [
            program("redis-server"), "--bind", HOST, "--port", str(port), "--dir", str(self.folder),
            "--save", "", "--appendonly", "yes", "--appendfsync", fsync, "--loglevel", "warning",
        ]
        super().__init__(command, port, directory / "redis.log")
        self.client = Redis(HOST, port)

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except (RedisError, OSError):
            return False

    def stop(self) -> None:
        self.client.close()
        super().stop()

    has_one_order = True

    def log_options(self, node: Path, port: int | None = None) -> list[str]:
        """The options of a node, with its folder, whose log is here. It may reach it through another port."""
        return ["--log", f"redis://{HOST}:{port or self.port}/0?stream={self.STREAM}"]

    def numbers(self) -> list[int]:
        """The data of the events in the stream, in its order."""
        entries = cast(list[tuple[bytes, dict[bytes, bytes]]], self.client.xrange(self.STREAM))
        return [int(fields[b"data"]) for _, fields in entries]

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

    def calls(self) -> Counter[str]:
        """How often each command was run so far, also by scripts."""
        stats = self.client.info("commandstats")
        return Counter({name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()})
