# SPDX-License-Identifier: Apache-2.0

from collections import Counter
from pathlib import Path
from typing import cast

from redis import Redis, RedisError

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

    def log_options(self, port: int | None = None) -> list[str]:
        """The options of a node whose log is here, which it may reach through another port."""
        return ["--log", f"redis://{HOST}:{port or self.port}/0?stream={self.STREAM}"]

    def numbers(self) -> list[int]:
        """The data of the events in the stream, in its order."""
        entries = cast(list[tuple[bytes, dict[bytes, bytes]]], self.client.xrange(self.STREAM))
        return [int(fields[b"data"]) for _, fields in entries]

    def calls(self) -> Counter[str]:
        """How often each command was run so far, also by scripts."""
        stats = self.client.info("commandstats")
        return Counter({name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()})
