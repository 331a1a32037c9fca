# SPDX-License-Identifier: Apache-2.0
"""What the tests run beside the browser: the server, nginx and curl."""

import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

HOST = "127.0.0.1"
DEADLINE = 60.0  # seconds; a bound for what should take far less
ROOT = Path(__file__).resolve().parents[2]


def program(*names: str) -> str:
    """The path of the first of these programs that is installed. Missing programs fail the test."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    return found or pytest.fail(f"not installed: {' or '.join(names)}")


def martlet() -> str:
    """The path of the command under test."""
    binary = Path(os.environ.get("MARTLET_BIN", ROOT / ".build/debug/martlet"))
    if not binary.is_file():
        pytest.fail(f"no command at {binary}: build it, or set MARTLET_BIN")
    return str(binary)


def plain_environment() -> dict[str, str]:
    """The environment without what would set the server's options."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MARTLET_")}


def free_port() -> int:
    """A port that stays free while its server restarts: systems take those of outgoing connections from higher ones."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


def wait_until(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"not within {deadline:.0f} s: {what}"
        time.sleep(0.02)


def request(
    port: int, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=DEADLINE)
    try:
        connection.request(method, path, body.encode() if body is not None else None, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def is_ready(port: int) -> bool:
    try:
        return request(port, "GET", "/health/ready")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def sample(port: int, name: str) -> float:
    """What a server counts under this name for Prometheus."""
    status, text = request(port, "GET", "/metrics")
    assert status == 200
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " "))


class Program:
    """A child process that serves on one port: ready when `answers`, by default /health/ready, stopped with SIGTERM."""

    exit_code = 0  # when it was stopped

    def __init__(self, command: list[str], port: int, log: Path, environment: dict[str, str] | None = None) -> None:
        self.command, self.port, self.log = command, port, log
        self.environment = environment or {}
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:  # pytest shows what is printed here when the test failed
            print(f"--- {' '.join(self.command)}\n{self.log.read_text(errors='replace')}")

    def spawn(self) -> subprocess.Popen[bytes]:
        """Starts the process and does not wait for it."""
        environment = plain_environment() | self.environment
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=environment)
        return self.process

    def start(self) -> None:
        process = self.spawn()
        try:
            wait_until(lambda: process.poll() is not None or self.answers(), "the server is ready")
            assert process.poll() is None, f"exited with {process.returncode}"
        except BaseException:
            process.kill()
            process.wait()
            self.process = None
            print(self.log.read_text(errors="replace"))
            raise

    def answers(self) -> bool:
        return is_ready(self.port)

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        os.kill(process.pid, signal.SIGTERM)
        try:
            code = process.wait(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        assert code == self.exit_code, f"exit code {code}"

    def kill(self) -> None:
        """Ends the process as a crash does."""
        process, self.process = self.process, None
        assert process is not None and process.poll() is None, "the server has ended by itself"
        process.kill()
        process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The process does nothing meanwhile, as on a machine that is out of memory or asleep."""
        process = self.process  # which may be killed meanwhile
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)


class Martlet(Program):
    def __init__(
        self, directory: Path, *options: str, environment: dict[str, str] | None = None, within: Sequence[str] = ()
    ) -> None:
        """`within`: the command that runs the server, where that is not started directly."""
        port = free_port()
        command = [*within, martlet(), "serve", "--host", HOST, "--port", str(port), *options]
        super().__init__(command, port, directory / "martlet.log", environment)

    def publish(self, topic: str, data: str, query: str = "") -> str:
        """Publishes one event and returns its id."""
        status, text = request(self.port, "POST", f"/events/{quote(topic)}{query}", data)
        assert status == 200, f"{status} {text}"
        return text.strip()


class Nginx(Program):
    """nginx with these locations, and as few other settings as it takes to run it here."""

    def __init__(self, directory: Path, locations: str, modules: Sequence[Path] = ()) -> None:
        port = free_port()
        prefix = directory / "nginx"
        prefix.mkdir()
        kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        temporary = "\n".join(f"  {kind}_temp_path {kind};" for kind in kinds)
        user = "user root;" if os.geteuid() == 0 else ""
        load = "\n".join(f"load_module {module};" for module in modules)
        (prefix / "nginx.conf").write_text(f"""
{load}
daemon off;
pid nginx.pid;
{user}
events {{}}
http {{
{temporary}
  access_log off;
  server {{
    listen {HOST}:{port};
{locations}
  }}
}}
""")
        command = [program("nginx"), "-p", str(prefix), "-c", "nginx.conf", "-e", "stderr"]
        super().__init__(command, port, directory / "nginx.log")


class Curl:
    """`curl -N` on a stream. What it printed so far is in `lines`."""

    def __init__(self, port: int, path: str, *options: str) -> None:
        url = f"http://{HOST}:{port}{path}"
        command = [program("curl"), "--silent", "--show-error", "--noproxy", "*", "-N", *options, url]
        self.lines: list[str] = []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def __enter__(self) -> Self:
        self.reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        print("--- curl", *self.lines, sep="\n")

    def is_open(self) -> bool:
        return self.process.poll() is None


# What the demo page shows.

def topic_events(page: Page) -> list[tuple[str, str]]:
    """The received events as (id, data), oldest first."""
    read = "items => items.map(item => [item.dataset.id, item.querySelector('pre').textContent]).reverse()"
    return [(id, data) for id, data in page.locator("#topic-events li[data-id]").evaluate_all(read)]
