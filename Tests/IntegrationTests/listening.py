# SPDX-License-Identifier: Apache-2.0

import json
import subprocess
import threading
from typing import Any, Self

from support import DEADLINE, martlet, plain_environment, wait_until


class Listen:
    """`martlet listen`. What it has printed so far is in `lines`, what it has told the user in `notes`."""

    def __init__(self, url: str, *options: str, environment: dict[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.process = subprocess.Popen(
            [martlet(), "listen", url, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, encoding="utf-8", env=plain_environment() | (environment or {}),
        )
        outputs = [(self.process.stdout, self.lines), (self.process.stderr, self.notes)]
        self._readers = [threading.Thread(target=self._read, args=output, daemon=True) for output in outputs]

    @staticmethod
    def _read(stream: Any, lines: list[str]) -> None:
        for line in stream:
            lines.append(line.removesuffix("\n"))

    def __enter__(self) -> Self:
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.end()
        print("--- martlet listen", *self.notes[-20:], sep="\n")

    @property
    def events(self) -> list[dict[str, str]]:
        """What it has printed with --json."""
        return [json.loads(line) for line in self.lines]

    @property
    def data(self) -> list[str]:
        return [event["data"] for event in self.events]

    @property
    def connections(self) -> int:
        return self.notes.count("martlet: connected")

    def wait_until_connected(self, times: int = 1) -> None:
        wait_until(lambda: self.connections >= times or self.process.poll() is not None, "it is connected")
        assert self.process.poll() is None, self.notes

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.lines) >= count, f"there are {count} lines")

    def end(self) -> int:
        """Waits until it ends by itself and returns its exit code."""
        code = self.process.wait(timeout=DEADLINE)
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code
