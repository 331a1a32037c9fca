# SPDX-License-Identifier: Apache-2.0
"""Hooks: what an application learns of the topics that have subscribers."""

import hmac
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kafka_support import MockCluster
from streams import opened, stream
from support import HOST, ROOT, Curl, Martlet, free_port, martlet, sample, wait_until
from test_redis import redis  # noqa: F401 (a fixture)

SECRETS = ["the new secret of these tests", "the old secret of these tests"]
# Short, so that tests need not wait long.
QUICK = ["--hook-delay", "1s", "--hook-timeout", "500ms"]


class Receiver:
    """An application that verifies hooks, and answers as a test says."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.unverified: list[str] = []
        self.signatures = 0
        self.status = 204
        self.wait: threading.Event | None = None
        self.attempts = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.take(self.headers, body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server((HOST, 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> "Receiver":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.wait is not None:
            self.wait.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        print("--- hooks", *self.messages, sep="\n")

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server.server_port}/hooks?from=hub"

    def take(self, headers: Any, body: bytes) -> int:
        self.attempts += 1
        given = (headers["Martlet-Signature"] or "").split(",")
        stamp = headers["Martlet-Timestamp"]
        macs = ["v1=" + hmac.new(s.encode(), stamp.encode() + b"." + body, "sha256").hexdigest() for s in SECRETS]
        if given != macs or abs(time.time() - int(stamp)) > 60:
            self.unverified.append(f"{headers}{body!r}")
        if self.wait is not None:
            self.wait.wait()
        if self.status < 300:
            self.messages.append(json.loads(body))
        return self.status

    @property
    def hooks(self) -> list[dict[str, str]]:
        return [hook for message in list(self.messages) for hook in message["hooks"]]

    @property
    def said(self) -> list[str]:
        """Such as `occupied a`, in order."""
        return [" ".join(filter(None, [h["event"], h.get("topic"), h.get("pattern")])) for h in self.hooks]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
    assert receiver.unverified == []


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "hooks.key"
    path.write_text("\n".join(SECRETS) + "\n")
    return f"file:{path}"


@contextmanager
def hub(directory: Path, url: str, secret: str, *options: str) -> Iterator[Martlet]:
    directory.mkdir(exist_ok=True)
    with Martlet(directory, "--hook-url", url, "--hook-secret", secret, *QUICK, *options) as server:
        yield server


@contextmanager
def subscribed(server: Martlet, topic: str) -> Iterator[Curl]:
    with stream(server, topic) as curl:
        wait_until(lambda: opened(curl), f"a stream of {topic}")
        yield curl


def test_a_topic_is_occupied_once_and_vacated_once(tmp_path: Path, receiver: Receiver, secret: str) -> None:
    with hub(tmp_path, receiver.url, secret, "--hook-topics", "sensors/{id} news/{+all}") as server:
        with subscribed(server, "sensors/1"), subscribed(server, "other"):
            wait_until(lambda: receiver.said == ["occupied sensors/1"], "the topic is occupied")
            with subscribed(server, "sensors/1"):
                pass
            wait_until(lambda: "synced" in receiver.said, "the statement ends")
            # The page reloads: the next stream opens within the delay.
        for _ in range(3):
            with subscribed(server, "sensors/1"):
                time.sleep(0.3)
        wait_until(lambda: "vacated sensors/1" in receiver.said, "the topic is vacated")
        assert receiver.said == ["occupied sensors/1", "synced", "vacated sensors/1"]
        assert sample(server.port, "martlet_hooks_delivered_total") >= 3
    ids = [hook["id"] for hook in receiver.hooks]
    assert len(ids) == len(set(ids))
    assert len({message["sender"] for message in receiver.messages}) == 1
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", hook["time"]) for hook in receiver.hooks)


def test_streams_that_have_ended_are_told_with_the_reason(tmp_path: Path, receiver: Receiver, secret: str) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with hub(tmp_path, receiver.url, secret, "--hook-closed", "--hook-topics", "a b", "--grace", "0") as server:
        with stream(server, "a", "-H", f"traceparent: {trace}", "-H", "X-Request-ID: r-1") as curl:
            wait_until(lambda: opened(curl), "a stream of a")
            server.publish("a", "x")
            wait_until(lambda: "data: x" in curl.lines, "the event arrives")
        with subscribed(server, "other"):
            pass
        with subscribed(server, "b"):
            wait_until(lambda: "closed" in receiver.said, "the end of the first stream is told")
            server.stop()
        # What was on its way when the hub stopped may come twice.
        closed = list({hook["id"]: hook for hook in receiver.hooks if hook["event"] == "closed"}.values())
        assert [(hook["reason"], hook["topics"]) for hook in closed] == [("client", ["a"]), ("drained", ["b"])]
        assert closed[0]["traceparent"] == trace and closed[0]["request_id"] == "r-1"
        assert (closed[0]["events"], closed[0]["address"]) == (1, HOST)
        assert closed[0]["bytes"] > 0 and closed[0]["duration_ms"] >= 0


def test_a_receiver_that_fails_gets_the_last_state_later(tmp_path: Path, receiver: Receiver, secret: str) -> None:
    receiver.status = 500
    with hub(tmp_path, receiver.url, secret) as server:
        with subscribed(server, "a"), subscribed(server, "b"):
            wait_until(lambda: receiver.attempts >= 2, "a request is repeated")
        with subscribed(server, "a"):
            time.sleep(1.5)  # longer than the delay, so that b is vacated
            receiver.status = 204
            wait_until(lambda: "synced" in receiver.said, "the hooks arrive")
            assert set(receiver.said) == {"occupied a", "vacated b", "synced"}
            assert len(receiver.said) == 3
        assert "Hooks cannot be delivered" in server.log.read_text()
        wait_until(lambda: "delivered again" in server.log.read_text(), "the log says so")
        assert sample(server.port, "martlet_hook_requests_failed_total") >= 2


def test_a_receiver_that_hangs_costs_the_hub_nothing(tmp_path: Path, receiver: Receiver, secret: str) -> None:
    receiver.wait = threading.Event()
    with hub(tmp_path, receiver.url, secret, "--hook-queue", "3", "--grace", "0") as server:
        with ExitStack() as open_streams:
            for number in range(12):
                open_streams.enter_context(subscribed(server, f"t/{number}"))
            wait_until(lambda: receiver.attempts >= 2, "a request is given up and repeated")
            assert sample(server.port, "martlet_hooks_dropped_total") > 0
            assert sample(server.port, "martlet_hooks_waiting") <= 3 + 100
            start = time.monotonic()
            server.publish("t/1", "x")
            assert time.monotonic() - start < 1
            # Everything is stated when the receiver is back.
            receiver.wait.set()
            receiver.wait = None
            receiver.messages.clear()
            wait_until(lambda: {f"occupied t/{n}" for n in range(12)} < set(receiver.said), "all topics are stated")
            wait_until(lambda: receiver.said[-1] == "synced", "the statement ends")
            assert "Hooks were dropped" in server.log.read_text()


def test_a_hub_that_stops_delivers_what_waits(tmp_path: Path, receiver: Receiver, secret: str) -> None:
    receiver.status = 503
    with hub(tmp_path, receiver.url, secret, "--grace", "0") as server, subscribed(server, "a"):
        wait_until(lambda: receiver.attempts >= 3, "the waits become longer")
        receiver.status = 204
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 5
    assert receiver.said[0] == "occupied a"
    # The clients come back to the next run, so nothing is vacated.
    assert not any(text.startswith("vacated") for text in receiver.said)


def test_the_receiver_of_the_guide_follows_a_hub_that_was_killed(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs/hooks.md").read_text(), re.DOTALL)
    assert code is not None
    port = free_port()
    (tmp_path / "receiver.py").write_text(code[1].replace("3000", str(port)))
    (tmp_path / "hooks.key").write_text("a secret of the guide\n")
    output = tmp_path / "output"
    with output.open("wb") as log:
        process = subprocess.Popen([sys.executable, "receiver.py"], cwd=tmp_path, stdout=log, stderr=log)
    try:
        def shown() -> str:
            return next(iter(re.findall(r"^\[.*\]$", output.read_text(), re.MULTILINE)[-1:]), "")

        url, secret = f"http://{HOST}:{port}/hooks", f"file:{tmp_path / 'hooks.key'}"
        with hub(tmp_path, url, secret) as server:
            with subscribed(server, "a"), subscribed(server, "b"):
                wait_until(lambda: shown() == "['a', 'b']", "both are running")
                server.kill()
            server.start()
            with subscribed(server, "b"):
                wait_until(lambda: shown() == "['b']", "what has not come back is not running")
            wait_until(lambda: shown() == "[]", "nothing is running")
        assert " 403 " not in output.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hook-url", "ftp://a/"], "--hook-url"),
        (["--hook-url", "http://user:password@a/"], "--hook-url"),
        (["--hook-topics", "a"], "hook-topics is set without hook-url"),
        (["--hook-url", "http://a/", "--hook-secret", "0123456789abcdef"], "other users can see the command line"),
        (["--hook-url", "http://a/", "--hook-secret", "file:/nowhere"], "cannot be read"),
        (["--hook-url", "http://a/", "--hook-delay", "soon"], "--hook-delay"),
    ],
)
def test_bad_settings_are_refused(options: list[str], message: str) -> None:
    result = subprocess.run([martlet(), "serve", "--port", "0", *options], capture_output=True, text=True, timeout=20)
    assert result.returncode != 0
    assert message in result.stderr
    assert "password" not in result.stderr and "0123456789abcdef" not in result.stderr


# Several nodes

@pytest.fixture
def start_node(
    request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver, secret: str
) -> Iterator[Callable[[], Martlet]]:
    """Starts a node on Redis, or on Kafka if a test says so."""
    with ExitStack() as nodes:
        count = 0
        if getattr(request, "param", "redis") == "kafka":
            mock = nodes.enter_context(MockCluster(tmp_path, martlet=1))
            log = f"kafka://{mock.servers}/martlet?fetch.wait.max.ms=5"
        else:
            log = request.getfixturevalue("redis").url

        def start() -> Martlet:
            nonlocal count
            count += 1
            return nodes.enter_context(
                hub(tmp_path / f"node-{count}", receiver.url, secret, "--log", log, "--hook-delay", "3s"))

        yield start


@pytest.mark.parametrize("start_node", ["redis", "kafka"], indirect=True)
def test_one_node_tells_of_all_and_moves_change_nothing(
    start_node: Callable[[], Martlet], receiver: Receiver
) -> None:
    first, second = start_node(), start_node()
    wait_until(lambda: receiver.said == ["synced"], "the first node sends")
    with subscribed(second, "a"):
        wait_until(lambda: receiver.said == ["synced", "occupied a"], "a topic of the other node is occupied")
        with subscribed(first, "a"):
            time.sleep(1)
    # The client moves from node to node.
    for node in [first, second, first]:
        with subscribed(node, "a"):
            time.sleep(1.5)
    wait_until(lambda: receiver.said[-1] == "vacated a", "the topic is vacated")
    assert receiver.said == ["synced", "occupied a", "vacated a"]
    assert len({message["sender"] for message in receiver.messages}) == 1


@pytest.mark.parametrize(
    ("start_node", "dies"), [("redis", "sender"), ("redis", "other"), ("kafka", "sender")], indirect=["start_node"])
def test_the_topics_of_a_node_that_is_killed_are_vacated(
    start_node: Callable[[], Martlet], receiver: Receiver, dies: str
) -> None:
    first, second = start_node(), start_node()
    wait_until(lambda: receiver.said == ["synced"], "the first node sends")
    killed, lives = (first, second) if dies == "sender" else (second, first)
    with subscribed(lives, "stays"), subscribed(killed, "gone"):
        wait_until(lambda: set(receiver.said) == {"synced", "occupied stays", "occupied gone"}, "both are occupied")
        receiver.messages.clear()
        killed.kill()
        wait_until(lambda: "vacated gone" in receiver.said, "the topic of the dead node is vacated", 40)
        if dies == "sender":
            wait_until(lambda: receiver.said[-1] == "synced", "the other node has stated everything")
            assert set(receiver.said) == {"vacated gone", "occupied stays", "synced"}
        else:
            assert receiver.said == ["vacated gone"]
    wait_until(lambda: receiver.said[-1] == "vacated stays", "the node that lives goes on")


def test_a_node_that_drains_vacates_nothing_that_moves(
    start_node: Callable[[], Martlet], receiver: Receiver
) -> None:
    first, second = start_node(), start_node()
    wait_until(lambda: receiver.said == ["synced"], "the first node sends")
    with subscribed(first, "moves"), subscribed(second, "stays"):
        wait_until(lambda: len(receiver.said) == 3, "both are occupied")
        stopping = threading.Thread(target=first.stop)
        stopping.start()
        with subscribed(second, "moves"):
            stopping.join()
            wait_until(lambda: receiver.said[-1] == "synced" and len(receiver.said) > 3, "the other node sends", 40)
            assert not any(text.startswith("vacated") for text in receiver.said)
