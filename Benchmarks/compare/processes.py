# SPDX-License-Identifier: Apache-2.0
"""The processes of a comparison: servers on one core, whatever loads them on another."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

HOST = "127.0.0.1"
SERVER_CORE, GENERATOR_CORE = 0, 1
DEADLINE = 20.0  # seconds; for what should take far less
EVENT_BYTES = 200
SPARE_DESCRIPTORS = 1024


class Failure(Exception):
    """Why something could not be measured; the text is for the report."""


def claim_machine(subscribers: int) -> None:
    """Moves this process, and so all but the servers, to the core of the generator, and allows enough descriptors."""
    if not {SERVER_CORE, GENERATOR_CORE} <= os.sched_getaffinity(0):
        raise Failure(f"cores {SERVER_CORE} and {GENERATOR_CORE} are needed")
    os.sched_setaffinity(0, {GENERATOR_CORE})
    needed = subscribers + SPARE_DESCRIPTORS
    hard = max(resource.getrlimit(resource.RLIMIT_NOFILE)[1], needed)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        raise Failure(f"{needed} descriptors are needed; raise ulimit -n") from None


def output(command: Iterable[object]) -> str:
    """What a program prints; it must succeed."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    except FileNotFoundError:
        raise Failure(f"{words[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise Failure(f"{' '.join(words[:2])} …: {last_line(error.stdout)}") from None
    return done.stdout.strip()


def last_line(text: str) -> str:
    return next(reversed(text.strip().splitlines()), "no message")


def pinned(core: int, command: Iterable[object]) -> list[str]:
    return ["taskset", "-c", str(core), *(str(word) for word in command)]


@dataclass(frozen=True)
class Usage:
    """Of a process and its children: seconds of processor time since they started, bytes of anonymous memory."""

    cpu: float
    anonymous: int

    @classmethod
    def of(cls, process: int) -> Self:
        family = [process, *children(process)]
        return cls(sum(map(cpu_seconds, family)), sum(map(anonymous_bytes, family)))


def stat_fields(process: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on, the state; the name before it may contain anything."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(process: int) -> float:
    fields = stat_fields(process)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def anonymous_bytes(process: int) -> int:
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def children(process: int) -> list[int]:
    def is_child(candidate: int) -> bool:
        try:
            return int(stat_fields(candidate)[1]) == process
        except (FileNotFoundError, ProcessLookupError):
            return False

    return [number for number in map(int, filter(str.isdigit, os.listdir("/proc"))) if is_child(number)]


def stop(process: subprocess.Popen[Any]) -> None:
    """Ends a process and its children, with force if need be."""
    if process.poll() is not None:
        return
    family = children(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        for number in [process.pid, *family]:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        process.wait()


class Server(Protocol):
    """What can be compared. A path may contain %d, the number of the subscriber."""

    name: str
    path: str
    publish_path: str

    def prepare(self) -> str:
        """Builds or installs what is missing, and returns the version."""

    def command(self, port: int, folder: Path) -> list[object]:
        """Starts it on a port; the folder is for its files."""


class RunningServer:
    """A server from when it listens until the end of the `with` block."""

    def __init__(self, server: Server, quiet: float) -> None:
        """
        - quiet: For how many seconds a server must be idle to have settled.
        """
        self.server, self.quiet = server, quiet
        self.folder = tempfile.TemporaryDirectory(prefix=f"compare-{server.name}-")

    def __enter__(self) -> Self:
        folder = Path(self.folder.name)
        self.port = free_port()
        self.log = folder / "log"
        command = pinned(SERVER_CORE, self.server.command(self.port, folder))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._wait_until_listening()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        stop(self.process)
        self.folder.cleanup()

    @property
    def serving_process(self) -> int:
        """The worker where there is one."""
        return next(iter(children(self.process.pid)), self.process.pid)

    @property
    def usage(self) -> Usage:
        self._check()
        return Usage.of(self.process.pid)

    def url(self, path: str) -> str:
        return f"http://{HOST}:{self.port}{path}"

    def publish(self, topic: str, count: int) -> list[str]:
        """Publishes events at once, to a server that takes batches as Martlet does. Returns their ids."""
        lines = (json.dumps({"topic": topic, "data": "x" * EVENT_BYTES}) for _ in range(count))
        request = urllib.request.Request(
            self.url("/events"), "\n".join(lines).encode(), {"Content-Type": "application/x-ndjson"})
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return str(answer.read().decode()).split()

    def settle(self) -> Usage:
        """Waits until the server has been idle and its memory unchanged for a while, or the deadline."""
        deadline = time.monotonic() + DEADLINE
        settled, since = self.usage, time.monotonic()
        while (now := time.monotonic()) < min(since + self.quiet, deadline):
            time.sleep(0.1)
            usage = self.usage
            if usage.cpu - settled.cpu > 0.03 or abs(usage.anonymous - settled.anonymous) > 1 << 18:
                settled, since = usage, now
        return self.usage

    def _wait_until_listening(self) -> None:
        deadline = time.monotonic() + DEADLINE
        while True:
            self._check()
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    return
            if time.monotonic() > deadline:
                raise Failure(f"{self.server.name} does not listen")
            time.sleep(0.05)

    def _check(self) -> None:
        if (code := self.process.poll()) is not None:
            raise Failure(f"the server exited with {code}: {last_line(self.log.read_text(errors='replace'))}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Generators:
    """The programs that load a server."""

    martlet: Path
    herd: Path
    publishers: Path

    def publish(self, server: RunningServer, path: str, *, connections: int, seconds: float) -> dict[str, Any]:
        """What `publishers` prints: publishers that wait for each answer."""
        command: list[object] = [self.publishers, "--port", server.port, "--path", path]
        command += ["--connections", connections, "--bytes", EVENT_BYTES, "--seconds", seconds]
        answer: dict[str, Any] = json.loads(output(pinned(GENERATOR_CORE, command)))
        return answer

    def bench(self, server: RunningServer, path: str, *, subscribers: int, rate: int, seconds: float) -> dict[str, Any]:
        """What `martlet bench` reports. It has a time limit, after which it is ended."""
        command: list[object] = [self.martlet, "bench", server.url(path), "--json"]
        command += ["--publish", server.url(server.server.publish_path), "--rate", rate, "--size", EVENT_BYTES]
        command += ["--subscribers", subscribers, "--duration", f"{seconds * 1000:.0f}ms"]
        command += ["--server-pid", server.serving_process]
        process = subprocess.Popen(
            pinned(GENERATOR_CORE, command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            answer, complaint = process.communicate(timeout=subscribers / 100 + seconds + 60)
        except subprocess.TimeoutExpired:
            raise Failure("the generator did not end in time") from None
        finally:
            stop(process)
        if process.returncode != 0:
            raise Failure(f"martlet bench: {last_line(complaint)}")
        report: dict[str, Any] = json.loads(answer)
        if "server" not in report:
            server.settle()  # says why the server has ended
            raise Failure("the server's process was replaced")
        return report


class Herd:
    """Subscribers that are all connected within the `with` block, and idle but for what the server sends them."""

    def __init__(
        self, program: Path, server: RunningServer, path: str, subscribers: int, rate: int, *, events: int = 0
    ) -> None:
        """
        - rate: How many connect in a second.
        - events: How many each has received when the block begins. Where there are any, whoever measures has the core first.
        """
        command: list[object] = [program, "--port", server.port, "--path", path]
        command += ["--connections", subscribers, "--rate", rate, "--events", events]
        self.command = pinned(GENERATOR_CORE, ["nice", "-n", 19, *command] if events else command)
        self.subscribers = subscribers
        self.events = self.closed = 0  # known after the block

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        arrival = self._line()
        self.seconds = float(arrival["seconds"])
        if arrival["failed"]:
            self.__exit__()
            raise Failure(f"{arrival['failed']} of {self.subscribers} subscribers were not answered")
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        departure = self._line()
        self.events, self.closed = departure["events"], departure["closed"]
        self.process.wait()

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise Failure("the herd has ended")
        return dict(json.loads(line))
