# SPDX-License-Identifier: Apache-2.0
"""The hub on a Unix domain socket, as behind a proxy on the same machine."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import DEADLINE, Curl, Nginx, martlet, plain_environment, program, request, wait_until


@contextmanager
def hub(path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [martlet(), "serve", "--host", f"unix:{path}", "--grace", "0s", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=plain_environment())
    try:
        assert process.stderr is not None
        assert "Martlet is ready" in process.stderr.readline()
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)


def curl(path: Path, *arguments: str) -> str:
    command = [program("curl"), "-sS", "-m", str(DEADLINE), "--unix-socket", str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def refusal(path: Path) -> str:
    command = [martlet(), "serve", "--host", f"unix:{path}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=plain_environment())
    assert result.returncode != 0
    return result.stderr


def test_curl_subscribes_and_publishes(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    with hub(path):
        with Curl(80, "/events/a", "--unix-socket", str(path)) as stream:
            wait_until(lambda: stream.lines, "the stream is open")
            assert curl(path, "-d", "plain", "http://localhost/events/a")
            batch = '{"topic":"a","data":"batch"}'
            content = "Content-Type: application/x-ndjson"
            assert curl(path, "-H", content, "-d", batch, "http://localhost/events")
            wait_until(lambda: "data: batch" in stream.lines, "both have come")
            assert "data: plain" in stream.lines
        refused = curl(path, "-H", "Host: evil.example", "-d", "x", "http://localhost/events/a")
        assert '"status":403' in refused
    assert not path.exists()


def test_nginx_passes_streams_on(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    location = f"location / {{ proxy_pass http://unix:{path}; proxy_http_version 1.1; proxy_set_header Host localhost; }}"
    with hub(path), Nginx(tmp_path, location) as nginx, Curl(nginx.port, "/events/a") as stream:
        wait_until(lambda: stream.lines, "the stream is open")
        assert curl(path, "-d", "shipped", "http://localhost/events/a")
        wait_until(lambda: "data: shipped" in stream.lines, "the event has come")
        assert request(nginx.port, "GET", "/health/ready")[0] == 200


def test_a_socket_that_a_crash_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    with hub(path) as process:
        process.kill()
        process.wait(DEADLINE)
    assert path.is_socket()
    with hub(path):
        assert curl(path, "http://localhost/health/ready") == "ready\n"


def test_nothing_else_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    with hub(path):
        assert f"{path} is in use" in refusal(path)
        assert curl(path, "http://localhost/health/ready") == "ready\n"
    path.write_text("precious")
    assert f"{path} is there and is no socket" in refusal(path)
    assert path.read_text() == "precious"
    assert "does not exist" in refusal(tmp_path / "none" / "hub.sock")
    assert "at most 107 bytes" in refusal(tmp_path / ("x" * 108))


def test_other_programs_that_listen_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        other.listen()
        assert f"{path} is in use" in refusal(path)
    assert path.is_socket()


def test_its_health_can_be_asked(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    command = [martlet(), "health", "--host", f"unix:{path}"]
    with hub(path):
        subprocess.run(command, check=True, timeout=DEADLINE, env=plain_environment())
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=plain_environment())
    assert ended.returncode == 4
    assert f"No hub answers at unix:{path}" in ended.stderr
