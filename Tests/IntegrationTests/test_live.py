# SPDX-License-Identifier: Apache-2.0
"""Live uploads to the real server: each event is published while the request is open."""

import http.client
import http.server
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from streams import data, opened, stream
from support import DEADLINE, HOST, Curl, Martlet, Nginx, program, request, wait_until

StartServer = Callable[..., Martlet]

STREAM = "text/event-stream"


class Upload:
    """A request whose body comes in chunks, or as a part of what its length says."""

    def __init__(self, port: int, path: str, *headers: str, length: int | None = None, version: str = "1.1") -> None:
        self.connection = socket.create_connection((HOST, port), timeout=DEADLINE)
        self.is_chunked = length is None
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        lines = [f"POST {path} HTTP/{version}", f"Host: {HOST}:{port}", f"Content-Type: {STREAM}", framing, *headers]
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, text: str) -> None:
        body = text.encode()
        self.connection.sendall(b"%x\r\n%s\r\n" % (len(body), body) if self.is_chunked else body)

    def end(self) -> tuple[int, dict[str, object]]:
        if self.is_chunked:
            self.connection.sendall(b"0\r\n\r\n")
        return self.answer()

    def answer(self) -> tuple[int, dict[str, object]]:
        response = http.client.HTTPResponse(self.connection)
        response.begin()
        return response.status, json.loads(response.read())

    def is_closed(self) -> bool:
        return self.connection.recv(1) == b""


def wait_for_end(curl: Curl) -> None:
    wait_until(lambda: not curl.is_open(), "the stream ends with its topic")
    curl.reader.join(DEADLINE)


def block(text: object) -> str:
    return f"data: {text}\n\n"


def everything(server: Martlet, topic: str) -> list[str]:
    """The data of all events of a topic."""
    end = server.publish(topic, "the end")
    with stream(server, topic, query="?lastEventID=earliest") as curl:
        wait_until(lambda: f"id: {end}" in curl.lines and "the end" in data(curl), "the history has come")
    return data(curl)[:-1]


@pytest.mark.parametrize("log", ["memory", "sqlite"])
def test_a_subscriber_sees_each_event_before_the_upload_ends(start_server: StartServer, tmp_path: Path, log: str) -> None:
    server = start_server("--log", "memory" if log == "memory" else f"sqlite:{tmp_path / 'hub.db'}")
    with stream(server, "chat/1") as curl, Upload(server.port, "/events/chat/1?live=1&close=1") as upload:
        wait_until(lambda: opened(curl), "the stream has started")
        for number in range(50):
            upload.send(block(number))
            wait_until(lambda: data(curl) == [str(each) for each in range(number + 1)], f"event {number} has come")
        status, answer = upload.end()
        wait_for_end(curl)
        assert "event: end" in curl.lines
        assert (status, answer["count"], answer["closed"]) == (200, 50, True)
        assert f"id: {answer['lastEventID']}" in curl.lines
    assert request(server.port, "POST", "/events/chat/1", "late")[0] == 409
    last = str(answer["lastEventID"])
    assert request(server.port, "GET", "/events/chat/1", headers={"Last-Event-ID": last})[0] == 204


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_body_with_a_length_is_published_while_it_comes(server: Martlet, version: str) -> None:
    blocks = [block(number) for number in range(5)]
    length = sum(map(len, blocks))
    with stream(server, "a") as curl, Upload(server.port, "/events/a?live=1", length=length, version=version) as upload:
        wait_until(lambda: opened(curl), "the stream has started")
        for number, text in enumerate(blocks):
            upload.send(text)
            wait_until(lambda: len(data(curl)) == number + 1, f"event {number} has come")
        assert upload.answer()[1]["count"] == 5


def test_an_upload_that_breaks_off_at_any_byte_keeps_the_events_before(server: Martlet) -> None:
    text = "".join(map(block, range(4)))
    for cut in range(len(text)):
        topic = f"cut/{cut}"
        whole = text[:cut].count("\n\n")
        with Upload(server.port, f"/events/{topic}?live=1&close=1") as upload:
            if cut:
                upload.send(text[:cut])
            upload.connection.shutdown(socket.SHUT_WR)
            status, answer = upload.answer()
            assert (status, answer["count"]) == (400, whole)
            assert upload.is_closed()
        assert everything(server, topic) == [str(number) for number in range(whole)]


def test_a_repeated_upload_with_the_same_key_goes_on(server: Martlet) -> None:
    text = "".join(map(block, range(6)))
    for cut in [*range(0, len(text), 5), len(text)]:
        with Upload(server.port, "/events/a?live=1", "Idempotency-Key: k") as upload:
            for start in range(0, cut, 7):
                upload.send(text[start:min(start + 7, cut)])
            upload.connection.shutdown(socket.SHUT_WR)
            assert upload.answer()[1]["count"] == text[:cut].count("\n\n")
    with Upload(server.port, "/events/a?live=1", "Idempotency-Key: k") as upload:
        upload.send(text)
        assert upload.end()[1]["count"] == 6
    assert everything(server, "a") == [str(number) for number in range(6)]


def test_an_upload_goes_on_after_a_crash_of_the_server(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--log", f"sqlite:{tmp_path / 'hub.db'}")
    with Upload(server.port, "/events/a?live=1&close=1", "Idempotency-Key: k") as upload:
        for number in range(3):
            upload.send(block(number))
        with stream(server, "a", query="?lastEventID=earliest") as curl:
            wait_until(lambda: len(data(curl)) == 3, "three events are there")
        server.kill()
    server.start()
    with Upload(server.port, "/events/a?live=1&close=1", "Idempotency-Key: k") as upload:
        for number in range(5):
            upload.send(block(number))
        status, answer = upload.end()
        assert (status, answer["count"], answer["closed"]) == (200, 5, True)
    with stream(server, "a", query="?lastEventID=earliest") as curl:
        wait_for_end(curl)
        assert data(curl)[:5] == [str(number) for number in range(5)]
        assert "event: end" in curl.lines and len(data(curl)) == 6


def test_an_upload_may_be_silent_for_longer_than_a_connection_may_be_idle(start_server: StartServer) -> None:
    server = start_server("--idle-timeout", "1s", "--upload-timeout", "4s")
    with Upload(server.port, "/events/a?live=1") as upload:
        for number in range(2):
            upload.send(block(number))
            time.sleep(2.5)  # longer than --idle-timeout
        upload.send(": still there\n")
        started = time.monotonic()
        status, answer = upload.answer()
        assert (status, answer["count"]) == (408, 2)
        assert 3 < time.monotonic() - started < DEADLINE
    assert everything(server, "a") == ["0", "1"]


def test_a_hub_that_stands_still_holds_the_sender(server: Martlet) -> None:
    count = 200
    text = block("x" * 100_000)
    sent = 0
    with Upload(server.port, "/events/a?live=1") as upload:
        def send() -> None:
            nonlocal sent
            for _ in range(count):
                upload.send(text)
                sent += 1

        upload.send(block("first"))
        with stream(server, "a", query="?lastEventID=earliest") as curl:
            wait_until(lambda: data(curl) == ["first"], "the upload has begun")
        sender = threading.Thread(target=send, daemon=True)
        with server.frozen():
            sender.start()
            seen = -1
            while seen != sent:
                seen = sent
                time.sleep(0.5)
            assert sent < count / 2, "the sender was never held"
        sender.join(DEADLINE)
        assert upload.end()[1]["count"] == count + 1


# Proxies

def location(server: Martlet, *settings: str) -> str:
    return f"""
    location / {{
      proxy_pass http://{HOST}:{server.port};
      {' '.join(f'{setting};' for setting in settings)}
    }}"""


def test_nginx_passes_each_event_on_if_it_does_not_buffer_requests(server: Martlet, tmp_path: Path) -> None:
    settings = ["proxy_http_version 1.1", "proxy_request_buffering off", "client_max_body_size 0"]
    with (
        Nginx(tmp_path, location(server, *settings)) as nginx,
        stream(server, "a") as curl,
        Upload(nginx.port, "/events/a?live=1&close=1") as upload,
    ):
        wait_until(lambda: opened(curl), "the stream has started")
        for number in range(10):
            upload.send(block(number))
            wait_until(lambda: len(data(curl)) == number + 1, f"event {number} has come")
        assert upload.end()[1]["count"] == 10


def test_nginx_passes_an_error_in_the_middle_on(server: Martlet, tmp_path: Path) -> None:
    settings = ["proxy_http_version 1.1", "proxy_request_buffering off"]
    with Nginx(tmp_path, location(server, *settings)) as nginx, Upload(nginx.port, "/events/a?live=1") as upload:
        upload.send(block(1) + "event: gap\n" + block(2))
        status, answer = upload.answer()
        assert (status, answer["count"]) == (400, 1)


@pytest.mark.parametrize("settings", [[], ["proxy_request_buffering off"]], ids=["defaults", "HTTP/1.0"])
def test_nginx_that_buffers_requests_passes_all_events_on_at_the_end(
    server: Martlet, tmp_path: Path, settings: list[str]
) -> None:
    """Without buffering, too, if it speaks HTTP/1.0 to the hub, which has no chunks."""
    if settings:
        settings = [*settings, "proxy_http_version 1.0"]
    with (
        Nginx(tmp_path, location(server, *settings)) as nginx,
        stream(server, "a") as curl,
        Upload(nginx.port, "/events/a?live=1&close=1") as upload,
    ):
        wait_until(lambda: opened(curl), "the stream has started")
        upload.send(block(0))
        time.sleep(0.5)  # it would have come by now
        assert data(curl) == []
        upload.send(block(1))
        assert upload.end()[1]["count"] == 2
        wait_until(lambda: data(curl)[:2] == ["0", "1"], "both events have come")


def test_nginx_that_buffers_requests_passes_nothing_on_if_the_upload_breaks_off(server: Martlet, tmp_path: Path) -> None:
    with Nginx(tmp_path, location(server)) as nginx:
        with Upload(nginx.port, "/events/a?live=1&close=1") as upload:
            upload.send(block(0))
        assert everything(server, "a") == []


# A model

TOKENS = ["Swallows", " and", " martlets", " never", " land", ".\n", "é🙂"]


def chunk(text: str) -> str:
    return json.dumps({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]})


class Model(http.server.ThreadingHTTPServer):
    """Answers as servers of language models do: a chunk of JSON for each token, and `[DONE]`."""

    def __init__(self) -> None:
        self.go_on = threading.Semaphore(0)
        self.is_broken = False
        super().__init__((HOST, 0), Answer)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/v1/chat/completions"


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, Model)
        assert json.loads(self.rfile.read(int(self.headers["Content-Length"])))["stream"] is True
        self.send_response(200)
        self.send_header("Content-Type", STREAM)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for text in [*map(chunk, TOKENS), "[DONE]"]:
            assert self.server.go_on.acquire(timeout=DEADLINE)
            if self.server.is_broken:
                self.wfile.write(b"6\r\ndata: \r\n0\r\n\r\n")
                return
            self.write(f"data: {text}\n\n".encode())
        self.wfile.write(b"0\r\n\r\n")

    def write(self, part: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def piped(model: Model, url: str) -> Iterator[subprocess.Popen[str]]:
    """curl that reads the model's answer, and curl that sends it on."""
    plain = [program("curl"), "--silent", "--show-error", "--noproxy", "*"]
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "?"}]})
    source = subprocess.Popen(
        [*plain, "-N", "-d", body, "-H", "Content-Type: application/json", model.url], stdout=subprocess.PIPE)
    target = subprocess.Popen(
        [*plain, "-T", "-", "-H", f"Content-Type: {STREAM}", "-w", "\n%{http_code}", url],
        stdin=source.stdout, stdout=subprocess.PIPE, text=True)
    assert source.stdout is not None
    source.stdout.close()
    try:
        yield target
    finally:
        for process in (source, target):
            process.kill()
            process.wait()
        if target.stdout is not None:
            target.stdout.close()


def text(curl: Curl) -> str:
    """The answer of the model, as a page would show it."""
    chunks = [json.loads(each) for each in data(curl) if each.startswith('{"object"')]
    return "".join(each["choices"][0]["delta"]["content"] for each in chunks)


def test_the_answer_of_a_model_is_piped_into_a_topic_by_curl_and_resumed(server: Martlet) -> None:
    with (
        Model() as model,
        piped(model, f"http://{HOST}:{server.port}/events/chat/42?live=1&close=1") as curl,
        stream(server, "chat/42", query="?lastEventID=earliest") as first,
    ):
        for number in range(1, 4):
            model.go_on.release()
            wait_until(lambda: text(first) == "".join(TOKENS[:number]), f"token {number} has come")
        with stream(server, "chat/42", query="?lastEventID=earliest") as second:  # a page that is opened in the middle
            wait_until(lambda: text(second) == text(first), "the second has what the first has")
            model.go_on.release(len(TOKENS))
            for each in (first, second):
                wait_for_end(each)
                assert text(each) == "".join(TOKENS)
                assert data(each)[-2] == "[DONE]" and "event: end" in each.lines
        output, _ = curl.communicate(timeout=DEADLINE)
        answer, status = output.rsplit("\n", 1)
        assert status == "200"
        assert json.loads(answer)["count"] == len(TOKENS) + 1


def test_an_answer_that_breaks_off_inside_an_event_leaves_its_topic_open(server: Martlet) -> None:
    with Model() as model, piped(model, f"http://{HOST}:{server.port}/events/chat/42?live=1&close=1") as curl:
        model.go_on.release(2)
        with stream(server, "chat/42", query="?lastEventID=earliest") as first:
            wait_until(lambda: text(first) == "".join(TOKENS[:2]), "two tokens have come")
            model.is_broken = True
            model.go_on.release()
            output, _ = curl.communicate(timeout=DEADLINE)
            assert output.rsplit("\n", 1)[1] == "400"
            assert first.is_open() and "event: end" not in first.lines
    assert request(server.port, "POST", "/events/chat/42", "more")[0] == 200
