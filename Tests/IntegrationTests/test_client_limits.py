# SPDX-License-Identifier: Apache-2.0
"""The limits of clients count the client's address behind nginx, haproxy and Caddy, and nobody can forge one."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support import DEADLINE, HOST, Martlet, Nginx, Program, free_port, program, request, sample, wait_until

FORGED = ["X-Forwarded-For: 9.9.9.9\r\n", "Forwarded: for=9.9.9.9\r\n"]
FORGED.append("".join(FORGED))


# The heartbeat is how a proxy notices that its client has left.
ONE_STREAM = ["--max-streams-per-address", "1", "--heartbeat", "1s"]


class Stream:
    """A stream that a client with an address of this machine asks for."""

    def __init__(self, port: int, address: str, fields: str = "") -> None:
        self.socket = socket.create_connection((HOST, port), DEADLINE, (address, 0))
        self.socket.sendall(f"GET /events/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n".encode())
        self.received = b""

    def is_open(self) -> bool:
        """Whether it goes on; otherwise it has ended, and said when to come back."""
        while b"\nid: " not in self.received:
            more = self.socket.recv(65536)
            if not more:
                assert self.received.startswith(b"HTTP/1.1 200 ") and b"retry: " in self.received, self.received
                return False
            self.received += more
            if b"\r\n0\r\n\r\n" in self.received:
                assert b"retry: " in self.received, self.received
                return False
        return True

    def close(self) -> None:
        self.socket.close()


def check_that_clients_are_told_apart(hub: Martlet, port: int) -> None:
    """The hub admits one stream of each address."""
    with ExitStack() as stack:
        def opens(address: str, fields: str = "") -> bool:
            stream = Stream(port, address, fields)
            stack.callback(stream.close)
            return stream.is_open()

        assert opens("127.0.0.2")
        assert not opens("127.0.0.2")
        for fields in FORGED:
            assert not opens("127.0.0.2", fields)
        assert opens("127.0.0.3")
        assert not opens("127.0.0.3")
    wait_until(lambda: sample(hub.port, "martlet_streams") == 0, "all have left")
    # A proxy may notice it late.
    again = []

    def is_free() -> bool:
        again.append(Stream(port, "127.0.0.2"))
        return again[-1].is_open()

    wait_until(is_free, "the place is free again")
    for stream in again:
        stream.close()


@contextmanager
def haproxy(directory: Path, backend: str, mode: str = "http") -> Iterator[int]:
    port = free_port()
    path = directory / "haproxy.cfg"
    path.write_text(f"""
defaults
  mode {mode}
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen hub
  bind {HOST}:{port}
  {backend}
""")
    class Haproxy(Program):
        exit_code = -15

    with Haproxy([program("haproxy"), "-f", str(path)], port, directory / "haproxy.log"):
        yield port


@contextmanager
def through_nginx(directory: Path, hub: int) -> Iterator[int]:
    location = f"""location / {{
  proxy_pass http://{HOST}:{hub}; proxy_http_version 1.1; proxy_set_header Host localhost;
  proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header Forwarded "";
}}"""
    with Nginx(directory, location) as nginx:
        yield nginx.port


@contextmanager
def through_haproxy(directory: Path, hub: int) -> Iterator[int]:
    backend = f"""option forwardfor
  http-request del-header X-Forwarded-For
  http-request del-header Forwarded
  server a {HOST}:{hub}"""
    with haproxy(directory, backend) as port:
        yield port


@contextmanager
def through_caddy(directory: Path, hub: int) -> Iterator[int]:
    port = free_port()
    path = directory / "Caddyfile"
    path.write_text(f"""{{
  admin off
  auto_https off
}}
http://{HOST}:{port}, http://localhost:{port} {{
  bind {HOST}
  reverse_proxy {HOST}:{hub} {{
    header_up -Forwarded
  }}
}}
http://:{port} {{
  bind {HOST}
  reverse_proxy {HOST}:{hub} {{
    header_up -Forwarded
  }}
}}
""")
    command = [program("caddy"), "run", "--config", str(path), "--adapter", "caddyfile"]
    environment = {"HOME": str(directory), "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
    with Program(command, port, directory / "caddy.log", environment):
        yield port


@pytest.mark.parametrize("shards", ["0", "2"])
@pytest.mark.parametrize("proxy", [through_nginx, through_haproxy, through_caddy])
def test_a_trusted_proxy_names_its_clients(
    start_server: Callable[..., Martlet], tmp_path: Path, proxy: Callable[..., Iterator[int]], shards: str
) -> None:
    hub = start_server(*ONE_STREAM, "--trusted-proxies", HOST, "--shards", shards)
    with proxy(tmp_path, hub.port) as port:
        check_that_clients_are_told_apart(hub, port)
    reason = 'martlet_clients_refused_total{reason="max-streams-per-address"}'
    assert sample(hub.port, reason) >= 5


@pytest.mark.parametrize("shards", ["0", "2"])
@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2"])
def test_haproxy_names_its_clients_in_the_proxy_protocol(
    start_server: Callable[..., Martlet], tmp_path: Path, send: str, shards: str
) -> None:
    hub = start_server(
        *ONE_STREAM, "--trusted-proxies", "127.0.0.9", "--proxy-protocol", "--shards", shards)
    server = f"server a {HOST}:{hub.port} check inter 100ms {send}"
    backend = f"source 127.0.0.9\n  option httpchk GET /health/ready\n  {server}"
    with haproxy(tmp_path, backend, "tcp") as port:
        check_that_clients_are_told_apart(hub, port)


@pytest.mark.parametrize("shards", ["0", "2"])
def test_without_trust_the_proxy_is_one_client(
    start_server: Callable[..., Martlet], tmp_path: Path, shards: str
) -> None:
    hub = start_server(*ONE_STREAM, "--trusted-proxies", "127.0.0.9", "--shards", shards)
    with through_nginx(tmp_path, hub.port) as port:
        first = Stream(port, "127.0.0.2")
        assert first.is_open()
        assert not Stream(port, "127.0.0.3").is_open()
        first.close()


@pytest.mark.parametrize("shards", ["0", "2"])
def test_an_address_publishes_at_its_rate(start_server: Callable[..., Martlet], shards: str) -> None:
    hub = start_server("--publish-rate-per-address", "1:3", "--shards", shards)
    line = '{"topic":"a","data":"x"}\n'
    content = {"Content-Type": "application/x-ndjson"}
    # More than the burst: it needs a full bucket, and the next one waits for it.
    assert request(hub.port, "POST", "/events", line * 500, content)[0] == 200
    status, text = request(hub.port, "POST", "/events/a", "x")
    assert status == 429 and '"limit":"publish-rate-per-address"' in text
    assert request(hub.port, "POST", "/events", line, content)[0] == 429
    assert sample(hub.port, 'martlet_clients_refused_total{reason="publish-rate-per-address"}') == 2
    assert sample(hub.port, "martlet_events_published_total") == 500
