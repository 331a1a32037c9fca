# SPDX-License-Identifier: Apache-2.0
"""What one client, or many, can take of a hub by its connections alone."""

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from support import DEADLINE, HOST, Curl, Martlet, free_port, is_ready, program, request, wait_until

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /events/a HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    """Sockets that are closed after the test."""
    with ExitStack() as stack:
        yield stack


def connect(clients: ExitStack, port: int, receive_buffer: int | None = None) -> socket.socket:
    client = clients.enter_context(socket.socket())
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(DEADLINE)
    client.connect((HOST, port))
    return client


def send(client: socket.socket, data: bytes) -> None:
    """Sends as much as the server takes."""
    client.setblocking(False)
    with suppress(BlockingIOError):
        while data:
            data = data[client.send(data) :]
    client.settimeout(DEADLINE)


def cpu_time(server: Martlet) -> float:
    """The seconds of processor that a server has used."""
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stop_time(server: Martlet) -> float:
    start = time.monotonic()
    server.stop()
    return time.monotonic() - start


def test_clients_that_take_no_answers_are_let_go(start_server: Callable[..., Martlet], clients: ExitStack) -> None:
    server = start_server("--max-connections", "10", "--write-timeout", "1s")
    for _ in range(10):
        send(connect(clients, server.port, receive_buffer=4096), GET * 600)
    wait_until(lambda: is_ready(server.port), "others are served")


def test_clients_whose_bodies_trickle_are_let_go(start_server: Callable[..., Martlet], clients: ExitStack) -> None:
    # One more than come here: the connection that saw the server start may not have ended yet.
    server = start_server("--max-connections", "11", "--idle-timeout", "1s")
    refused = [connect(clients, server.port) for _ in range(5)]
    taken = [connect(clients, server.port) for _ in range(5)]
    for client in refused:
        client.sendall(POST + b"Origin: https://elsewhere.example\r\nContent-Length: 1000000\r\n\r\n")
    for client in taken:
        client.sendall(POST + b"Content-Length: 1000000\r\n\r\n")
    assert all(client.recv(12) == b"HTTP/1.1 403" for client in refused)

    answers: dict[socket.socket, bytes] = {}

    def is_served() -> bool:
        for client in refused + taken:
            with suppress(OSError):
                client.send(b"a")
            # At once: what is sent to a connection that is closed by then makes the kernel forget the answer.
            if client in taken and client not in answers and select.select([client], [], [], 0)[0]:
                answers[client] = client.recv(12)
        return len(answers) == len(taken) and is_ready(server.port)

    wait_until(is_served, "others are served")
    assert set(answers.values()) == {b"HTTP/1.1 408"}


@pytest.mark.parametrize("kind", ["never-reads", "trickles", "silent"])
def test_such_clients_do_not_delay_a_shutdown(
    start_server: Callable[..., Martlet], clients: ExitStack, kind: str
) -> None:
    server = start_server()
    for _ in range(10):
        client = connect(clients, server.port, receive_buffer=4096)
        if kind == "never-reads":
            send(client, GET * 600)
        elif kind == "trickles":
            client.sendall(POST + b"Content-Length: 1000000\r\n\r\na")
    assert is_ready(server.port)
    assert stop_time(server) < 5


def test_the_port_for_metrics_has_limits_and_leaves_the_other_port_alone(
    start_server: Callable[..., Martlet], clients: ExitStack
) -> None:
    port = free_port()
    server = start_server("--metrics-port", str(port), "--idle-timeout", "2s", within=[program("prlimit"), "--nofile=700"])
    wait_until(lambda: is_ready(port), "the other port answers")
    start = cpu_time(server)
    for _ in range(800):
        client = clients.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex((HOST, port))
    wait_until(lambda: is_ready(server.port), "the hub serves although its other port is held", deadline=5)
    wait_until(lambda: is_ready(port), "silent connections are closed")
    assert cpu_time(server) - start < 5


def test_a_hub_without_descriptors_sleeps(start_server: Callable[..., Martlet], clients: ExitStack) -> None:
    server = start_server()
    assert server.process is not None
    pid = server.process.pid
    held = len(os.listdir(f"/proc/{pid}/fd"))
    subprocess.run([program("prlimit"), f"--pid={pid}", f"--nofile={held + 5}"], check=True)
    for _ in range(20):
        connect(clients, server.port)
    wait_until(lambda: "New connections wait" in server.log.read_text(), "the hub says what is wrong")
    start = cpu_time(server)
    time.sleep(1)
    assert cpu_time(server) - start < 0.3
    clients.close()
    wait_until(lambda: is_ready(server.port), "connections are accepted again")


def test_a_hangup_drops_no_stream(server: Martlet) -> None:
    with Curl(server.port, "/events/a") as curl:
        wait_until(lambda: curl.lines, "the stream is open")
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "The settings were read again" in server.log.read_text(), "the hub says so")
        server.publish("a", "still here")
        wait_until(lambda: "data: still here" in curl.lines, "the stream goes on")


def test_curl_may_offer_http_2_on_a_connection_that_it_uses_again(server: Martlet) -> None:
    url = f"http://{HOST}:{server.port}/health"
    command = [program("curl"), "-sS", "--noproxy", "*", "--http2", "-m", str(DEADLINE), f"{url}/live", f"{url}/ready"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "alive\nready\n"


def test_a_large_body_is_refused_before_curl_sends_it(server: Martlet, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"x" * (2 * 1024 * 1024))
    url = f"http://{HOST}:{server.port}/events/a"
    command = [program("curl"), "-sS", "--noproxy", "*", "-H", "Expect: 100-continue", "--data-binary", f"@{body}"]
    command += ["-o", "/dev/null", "-w", "%{http_code} %{size_upload}", url]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "413 0"


def test_a_stream_above_the_limit_is_told_when_to_come_back(start_server: Callable[..., Martlet]) -> None:
    server = start_server("--max-connections", "1", "--cors-origin", "http://localhost:3000")
    with Curl(server.port, "/events/a") as held:
        wait_until(lambda: held.lines, "the stream is open")
        with Curl(server.port, "/events/a", "-i", "-H", "Origin: http://localhost:3000") as curl:
            wait_until(lambda: any(line.startswith("retry: ") for line in curl.lines), "it is sent away gently")
            assert curl.lines[0] == "HTTP/1.1 200 OK"
            head = [line.lower() for line in curl.lines]
            assert "access-control-allow-origin: http://localhost:3000" in head
            curl.process.wait(DEADLINE)
        assert request(server.port, "POST", "/events/a", "x")[0] == 503
    wait_until(lambda: is_ready(server.port), "there is room again")

