# SPDX-License-Identifier: Apache-2.0
"""What the tests run beside the browser: the server, a proxy that can cut connections, nginx and curl."""

import asyncio
import http.client
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

HOST = "127.0.0.1"
DEADLINE = 20.0  # seconds; a bound for what should take far less
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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE:.0f} s: {what}"
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


class Program:
    """A child process that serves on one port: ready when /health/ready answers, stopped with SIGTERM."""

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

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MARTLET_")} | self.environment
        with self.log.open("ab") as log:
            self.process = process = subprocess.Popen(self.command, stdout=log, stderr=log, env=environment)
        try:
            wait_until(lambda: process.poll() is not None or is_ready(self.port), "the server is ready")
            assert process.poll() is None, f"exited with {process.returncode}"
        except BaseException:
            process.kill()
            process.wait()
            self.process = None
            print(self.log.read_text(errors="replace"))
            raise

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
        assert code == 0, f"exit code {code}"


class Martlet(Program):
    def __init__(self, directory: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        port = free_port()
        command = [martlet(), "serve", "--host", HOST, "--port", str(port), *options]
        super().__init__(command, port, directory / "martlet.log", environment)

    def publish(self, topic: str, data: str, query: str = "") -> str:
        """Publishes one event and returns its id."""
        status, text = request(self.port, "POST", f"/events/{quote(topic)}{query}", data)
        assert status == 200, f"{status} {text}"
        return text.strip()


class Nginx(Program):
    """nginx in front of the server, with nothing set for it but `proxy_pass`."""

    def __init__(self, directory: Path, upstream: int) -> None:
        port = free_port()
        prefix = directory / "nginx"
        prefix.mkdir()
        kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        temporary = "\n".join(f"  {kind}_temp_path {kind};" for kind in kinds)
        user = "user root;" if os.geteuid() == 0 else ""
        (prefix / "nginx.conf").write_text(f"""
daemon off;
pid nginx.pid;
{user}
events {{}}
http {{
{temporary}
  access_log off;
  server {{
    listen {HOST}:{port};
    location / {{ proxy_pass http://{HOST}:{upstream}; }}
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


class CuttingProxy:
    """A TCP relay in a thread of its own. Its port stays; its connections can be cut, and new ones refused."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._listener: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.accept()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self.cut()
        self._run(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def accept(self) -> None:
        self._run(self._accept())

    def refuse(self) -> None:
        self._run(self._refuse())

    def cut(self, reset: bool = True) -> int:
        """Ends all connections, with a reset or with an orderly end of TCP. Returns how many there were."""
        return int(self._run(self._cut(reset)))

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE)

    async def _accept(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._relay, HOST, self.port)

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _cut(self, reset: bool) -> int:
        clients, self._clients = self._clients, set()
        for client in clients:
            if reset:
                linger = struct.pack("ii", 1, 0)  # close() then sends RST
                client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                client.transport.abort()
            else:
                client.close()
        return len(clients)

    async def _finish(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(tasks, timeout=DEADLINE) if tasks else None

    async def _relay(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self._clients.add(client)
        try:
            answers, server = await asyncio.open_connection(HOST, self.target)
        except OSError:
            client.close()
            return
        pumps = [asyncio.ensure_future(pump(reader, server)), asyncio.ensure_future(pump(answers, client))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for task in pumps:
            task.cancel()
        self._clients.discard(client)
        client.close()
        server.close()


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except OSError:
        pass


# What the demo page shows.

def topic_events(page: Page) -> list[tuple[str, str]]:
    """The received events as (id, data), oldest first."""
    read = "items => items.map(item => [item.dataset.id, item.querySelector('pre').textContent]).reverse()"
    return [(id, data) for id, data in page.locator("#topic-events li[data-id]").evaluate_all(read)]
