# SPDX-License-Identifier: Apache-2.0
"""Who may be asked under which name, what pages may send, and what every answer says of itself."""

import http.client
import json
import socket
import subprocess
from pathlib import Path

import pytest

from support import DEADLINE, HOST, Martlet, free_port, martlet, plain_environment

KEY = "k" * 40
KEYS = {"MARTLET_PUBLISHER_KEY": KEY, "MARTLET_SUBSCRIBER_KEY": KEY}
APP = "https://app.example.com"


def ask(
    port: int, method: str, path: str, host: str = "localhost", headers: dict[str, str] | None = None
) -> tuple[http.client.HTTPResponse, str]:
    """The head of an answer, and its body where it is not a stream."""
    connection = http.client.HTTPConnection(HOST, port, timeout=DEADLINE)
    connection.request(method, path, b"1" if method == "POST" else None, {"Host": host} | (headers or {}))
    response = connection.getresponse()
    is_stream = response.headers.get_content_type() == "text/event-stream"
    body = "" if is_stream else response.read().decode()
    connection.close()
    return response, body


OPEN_ROUTES = [
    ("GET", "/"),
    ("GET", "/api/events/stream"),
    ("GET", "/events/a"),
    ("GET", "/events/a?lastEventID=earliest"),
    ("HEAD", "/events/a"),
    ("POST", "/events/a"),
    ("POST", "/events"),
    ("GET", "/.well-known/mercure?topic=a"),
    ("POST", "/.well-known/mercure"),
    ("GET", "/metrics"),
]


@pytest.mark.parametrize("options", [[], ["--read-only"]], ids=["open", "read-only"])
def test_without_keys_nobody_is_answered_who_names_another_machine(tmp_path: Path, options: list[str]) -> None:
    with Martlet(tmp_path, *options) as server:
        for method, path in OPEN_ROUTES:
            for host in ("evil.example", f"localhost.evil.example:{server.port}", "0.0.0.0"):
                response, body = ask(server.port, method, path, host)
                assert response.status == 403, f"{method} {path} {host}"
                if method != "HEAD":
                    problem = json.loads(body)
                    assert problem["field"] == "Host" and "publisher-key" in problem["detail"]
            for host in (f"localhost:{server.port}", "127.0.0.1", "[::1]:1"):
                assert ask(server.port, method, path, host)[0].status != 403 or "--read-only" in options
        assert ask(server.port, "GET", "/health/ready", "probe.example")[0].status == 200


def test_with_keys_every_name_is_served(tmp_path: Path) -> None:
    with Martlet(tmp_path, "--anonymous", environment=KEYS) as server:
        assert ask(server.port, "GET", "/events/a", "hub.example")[0].status == 200
        assert ask(server.port, "GET", "/", "hub.example")[0].status == 200


def test_metrics_on_loopback_are_for_this_machine(tmp_path: Path) -> None:
    port = free_port()
    with Martlet(tmp_path, "--metrics-port", str(port), environment=KEYS):
        assert ask(port, "GET", "/metrics", "evil.example")[0].status == 403
        assert ask(port, "GET", "/metrics", f"localhost:{port}")[0].status == 200
        assert ask(port, "GET", "/health/live", "probe.example")[0].status == 200


def test_pages_may_send_what_a_publish_says_in_headers(tmp_path: Path) -> None:
    with Martlet(tmp_path, "--cors-origin", f"{APP} capacitor://localhost", environment=KEYS) as server:
        for origin in (APP, "capacitor://localhost"):
            preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            for path in ("/events/a", "/events", "/.well-known/mercure"):
                response, _ = ask(server.port, "OPTIONS", path, headers=preflight)
                allowed = set((response.headers["Access-Control-Allow-Headers"] or "").split(", "))
                wanted = {"event-type", "event-id", "event-retry", "event-key", "event-private"}
                assert wanted | {"idempotency-key", "x-requested-with", "authorization"} <= allowed
                assert response.headers["Access-Control-Allow-Origin"] == origin
        response, _ = ask(server.port, "OPTIONS", "/events/a", headers=preflight | {"Origin": "null"})
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("option", ["--cors-origin", "--publish-origin"])
@pytest.mark.parametrize(
    "origin", ["https://a:b:c", "https://a:99999", "https://a:0", "https://a/b", "https://u@a", "https://", "https://a/"]
)
def test_an_origin_that_no_page_has_is_refused_at_the_start(option: str, origin: str) -> None:
    command = [martlet(), "serve", "--port", "0", option, f"{APP} {origin}"]
    environment = plain_environment() | KEYS
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert ended.returncode != 0
    assert f"{option}: " in ended.stderr and "without a path" in ended.stderr


def test_every_answer_is_to_be_taken_for_what_it_says_it_is(tmp_path: Path) -> None:
    port = free_port()
    options = ["--cors-origin", APP, "--metrics-port", str(port), "--anonymous", "--subscriptions"]
    with Martlet(tmp_path, *options, environment=KEYS) as server:
        methods = ["GET", "HEAD", "POST", "OPTIONS", "PATCH"]
        paths = ["/", "/events/a", "/events", "/nowhere", "/health/live", "/tickets", "/streams/a", "/revoke"]
        paths += ["/api/events/stream", "/.well-known/mercure?topic=a", "/.well-known/mercure/subscriptions", "/metrics"]
        for method in methods:
            for path in paths:
                for headers in ({}, {"Origin": APP}):
                    response, _ = ask(server.port, method, path, headers=headers)
                    assert response.headers["X-Content-Type-Options"] == "nosniff", f"{method} {path} {response.status}"
            for path in ("/metrics", "/health/ready", "/nowhere"):
                assert ask(port, method, path)[0].headers["X-Content-Type-Options"] == "nosniff", f"{method} {path}"
        assert ask(server.port, "GET", "/events/a", host="a b")[0].headers["X-Content-Type-Options"] == "nosniff"


# Where the server stops before it has read the origin (a target that is too long, a bad length), it cannot name it.
REFUSED = {
    "fields": ("GET /events/a HTTP/1.1", f"X: {'x' * 70_000}", ""),
    "host": ("GET /events/a HTTP/1.1", "Host: a b", ""),
    "coding": ("POST /events/a HTTP/1.1", "Transfer-Encoding: gzip", ""),
    "chunk": ("POST /events/a HTTP/1.1", "Transfer-Encoding: chunked", "zz\r\n"),
    "route": ("GET /nowhere HTTP/1.1", "", ""),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED.keys())
def test_pages_can_read_why_they_are_refused(tmp_path: Path, refused: tuple[str, str, str]) -> None:
    line, field, body = refused
    fields = [line, f"Origin: {APP}", *([] if field.startswith("Host") else ["Host: localhost"]), *([field] if field else [])]
    with Martlet(tmp_path, "--cors-origin", APP) as server, socket.create_connection((HOST, server.port)) as connection:
        connection.settimeout(DEADLINE)
        connection.sendall(("\r\n".join(fields) + "\r\n\r\n" + body).encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status >= 400
        assert response.headers["Access-Control-Allow-Origin"] == APP
        assert json.loads(response.read())["detail"]
