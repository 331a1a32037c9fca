# SPDX-License-Identifier: Apache-2.0
"""`martlet listen` and `martlet publish` as scripts and people use them."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest

from faulty_proxy import FaultyProxy
from listening import Listen
from support import DEADLINE, HOST, Martlet, free_port, martlet, plain_environment, program, sample, wait_until
from tokens import SECRET, Key


def url(server: Martlet, path: str = "") -> str:
    return f"http://{HOST}:{server.port}{path}"


def publish(
    *arguments: str, stdin: bytes = b"", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [martlet(), "publish", *arguments], input=stdin, capture_output=True, timeout=DEADLINE, check=False,
        env=plain_environment() | (environment or {}),
    )
    return subprocess.CompletedProcess(
        ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def history(server: Martlet, path: str, count: int) -> list[dict[str, str]]:
    """The first events of a topic, and that there are so many."""
    options = ("--json", "--last-event-id", "earliest", "--count", str(count))
    with Listen(url(server, path), *options) as listen:
        assert listen.end() == 0, listen.notes
        return listen.events


class Answers:
    """A server that gives each of these answers once, and the last for ever: status, type, body and other fields."""

    def __init__(self, *answers: tuple[int, str, bytes, dict[str, str]]) -> None:
        self.requests: list[Message] = []  # their fields
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, content_type, body, fields = answers[min(len(owner.requests), len(answers) - 1)]
                owner.requests.append(self.headers)
                self.send_response(status)
                for field in (fields | {"Content-Type": content_type, "Content-Length": str(len(body))}).items():
                    self.send_header(*field)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: who sits at it, and the program."""
    ends = pty.openpty()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def shown(person: int, length: int) -> bytes:
    """The first bytes that a terminal shows."""
    text = b""
    while len(text) < length and select.select([person], [], [], DEADLINE)[0]:
        text += os.read(person, 1000)
    return text


# martlet listen


def test_an_event_is_in_the_pipe_while_the_stream_goes_on(server: Martlet) -> None:
    with Listen(url(server, "/events/a"), "--json") as listen:
        listen.wait_until_connected()
        for count in range(1, 4):
            id = server.publish("a", str(count))
            listen.wait_for(count)
            assert listen.events[-1] == {"data": str(count), "event": "message", "id": id}
        assert listen.process.poll() is None


def test_json_has_any_data_as_it_is(server: Martlet) -> None:
    data = 'über\n  "\\" / \u2028 \U0001f426\n\n\x1b[0m\x00end'
    with Listen(url(server, "/events/a"), "--json", "--count", "1") as listen:
        listen.wait_until_connected()
        id = server.publish("a", data, "?type=sl/ash&id=x%2Fy")
        assert listen.end() == 0
        assert id == "x/y"
        assert listen.events == [{"data": data, "event": "sl/ash", "id": id}]
        assert '"event":"sl/ash","id":"x/y"' in listen.lines[0]  # no slash is escaped, and names are sorted


def test_people_see_lines_of_data_below_the_id(server: Martlet) -> None:
    with Listen(url(server, "/events/a"), "--count", "2") as listen:
        listen.wait_until_connected()
        server.publish("a", "one", "?id=1")
        server.publish("a", "{\n  über\x1b\n}", "?id=2&type=t")
        assert listen.end() == 0
        assert listen.lines == ["1  message  one", "2  t", "    {", "      über\\u{1B}", "    }"]


def test_it_goes_on_after_the_last_event_when_the_server_is_killed(
    start_server: Callable[..., Martlet], tmp_path: Path
) -> None:
    server = start_server("--log", f"sqlite:{tmp_path / 'log'}")
    with Listen(url(server, "/events/a"), "--json") as listen:
        listen.wait_until_connected()
        server.publish("a", "before")
        listen.wait_for(1)
        server.kill()
        server.start()
        server.publish("a", "after")
        listen.wait_until_connected(2)
        server.publish("a", "later")
        listen.wait_for(3)
        assert listen.data == ["before", "after", "later"]
        assert any("connecting again in" in note for note in listen.notes)


def test_it_begins_where_it_is_told(server: Martlet) -> None:
    ids = [server.publish(topic, topic) for topic in ("a b", "c+d", "other", "a b")]
    options = ("--json", "--topic", "c+d", "--count")
    with Listen(url(server, "/events/a%20b"), *options, "3", "--since", "1h") as listen:
        assert listen.end() == 0
        assert [event["id"] for event in listen.events] == [ids[0], ids[1], ids[3]]
    with Listen(url(server, "/events/a%20b?topic=other"), *options, "2", "--last-event-id", ids[1]) as listen:
        assert listen.end() == 0
        assert [event["id"] for event in listen.events] == [ids[2], ids[3]]


def test_it_ends_when_its_reader_has_had_enough(server: Martlet) -> None:
    command = [martlet(), "listen", url(server, "/events/a"), "--json", "--since", "1h"]
    server.publish("a", "only")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listen:
        head = subprocess.run([program("head"), "-1"], stdin=listen.stdout, capture_output=True, timeout=DEADLINE)
        assert json.loads(head.stdout)["data"] == "only"
        assert listen.stdout is not None and listen.stderr is not None
        listen.stdout.close()
        assert listen.wait(timeout=DEADLINE) == 0  # without another event
        assert listen.stderr.read() == b"martlet: connected\n"


@pytest.mark.parametrize("code", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_is_no_failure(server: Martlet, code: signal.Signals) -> None:
    with Listen(url(server, "/events/a")) as listen:
        listen.wait_until_connected()
        listen.process.send_signal(code)
        assert listen.end() == 0
        assert listen.notes == ["martlet: connected"]


@pytest.mark.parametrize(
    ("status", "content_type", "code"),
    [(204, "text/event-stream", 0), (200, "text/html", 1), (403, "text/event-stream", 3), (404, "text/plain", 3)],
)
def test_the_exit_code_says_what_the_server_has_said(status: int, content_type: str, code: int) -> None:
    with Answers((status, content_type, b"", {})) as server, Listen(f"{server.url}/?secret=sesame") as listen:
        assert listen.end() == code
        assert len(listen.notes) == (1 if code else 0)
        assert "sesame" not in str(listen.notes)


def test_bad_usage_and_nobody_there_have_exit_codes_of_their_own() -> None:
    with Listen("file:///etc/passwd") as listen:
        assert listen.end() == 2
    with Listen(f"http://{HOST}:{free_port()}/", "--retry-for", "300ms") as listen:
        assert listen.end() == 4
        assert "there was no connection for 300ms" in listen.notes[-1]


def test_comments_are_shown_when_asked_for() -> None:
    body = b": hello\n\ndata: 1\n\n"
    with Answers((200, "text/event-stream", body, {})) as server:
        with Listen(server.url, "--count", "1", "--verbose") as listen:
            assert listen.end() == 0
            assert listen.lines == ["-  message  1"]
            assert listen.notes == ["martlet: connected", "martlet: comment: hello"]
        with Listen(server.url, "--count", "1") as listen:
            assert listen.end() == 0
            assert listen.notes == ["martlet: connected"]


class Bytes:
    """A server that sends the same bytes to each client and ends. It counts the clients."""

    def __init__(self, answer: bytes) -> None:
        self.count = 0
        self._answer = answer
        self._listener = socket.create_server((HOST, 0))
        self.url = f"http://{HOST}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self.count += 1
                with client, suppress(OSError):
                    client.recv(65536)
                    client.sendall(self._answer)


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 099 x\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 101 x\r\n\r\n"], ids=["099", "101"]
)
def test_a_status_that_no_answer_has_is_no_answer(answer: bytes) -> None:
    with Bytes(answer) as server:
        with Listen(server.url, "--retry-for", "300ms") as listen:
            assert listen.end() == 4
        assert publish(server.url, "a", "1", "--retry-for", "300ms").returncode == 4


@pytest.mark.parametrize("retry", ["9223372036854775807", "9" * 100])
def test_a_server_may_ask_for_any_wait(retry: str) -> None:
    with Bytes(STREAM + f"\r\nretry: {retry}\ndata: a\n\n".encode()) as server, Listen(server.url) as listen:
        wait_until(lambda: "connecting again in" in str(listen.notes), "it waits")
        assert listen.lines == ["-  message  a"]
        assert listen.process.poll() is None


@pytest.mark.parametrize("body", ["retry: 0", "retry: 0\ndata: a"])
def test_a_server_that_asks_for_no_wait_is_not_asked_in_a_loop(body: str) -> None:
    with Bytes(STREAM + f"\r\n{body}\n\n".encode()) as server, Listen(server.url) as listen:
        wait_until(lambda: server.count > 3, "it has connected again")
        waits = [note for note in listen.notes if "connecting again in" in note]
        assert waits
        assert not any(f"again in {wait}" in note for note in waits for wait in ("0ms", "1ms:"))


def processor_seconds(size: int) -> float:
    """What it costs to print one event of so many bytes, which come in chunks of a kilobyte."""
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    body = b"6\r\ndata: \r\n" + chunk * (size // 1024) + b"2\r\n\n\n\r\n0\r\n\r\n"
    with Bytes(STREAM + b"Transfer-Encoding: chunked\r\n\r\n" + body) as server:
        command = [martlet(), "listen", server.url, "--json", "--count", "1"]
        listen = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(listen.pid, 0)
        assert status == 0
        return usage.ru_utime + usage.ru_stime


def test_a_chunk_of_an_event_costs_no_more_for_what_came_before_it() -> None:
    # Four times as much; each chunk would cost four times as much, too, if it copied the event so far.
    assert processor_seconds(8 << 20) < 8 * processor_seconds(2 << 20)


def test_colours_are_for_terminals(server: Martlet) -> None:
    command = [martlet(), "listen", url(server, "/events/a"), "--since", "1h", "--count", "1"]
    server.publish("a", "hello", "?id=1")
    environment = {name: value for name, value in plain_environment().items() if name != "NO_COLOR"} | {"TERM": "xterm"}
    coloured, plain = b"\x1b[2m1\x1b[0m  \x1b[1mmessage\x1b[0m  hello\r\n", b"1  message  hello\r\n"
    for more, line in [({}, coloured), ({"NO_COLOR": "1"}, plain)]:
        with terminal() as (person, program):
            subprocess.run(command, stdout=program, timeout=DEADLINE, check=True, env=environment | more)
            assert shown(person, len(line)) == line


def resident(pid: int) -> int:
    """The memory of a process, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


def wait_until_idle(pid: int) -> None:
    """Waits until a process has not used the processor for a while."""
    times: list[list[str]] = []

    def is_idle() -> bool:
        times.append(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])
        return len(times) > 25 and times[-1] == times[-25]

    wait_until(is_idle, "it is idle")


def test_a_reader_that_waits_has_the_server_wait(start_server: Callable[..., Martlet], tmp_path: Path) -> None:
    server = start_server("--log", f"sqlite:{tmp_path / 'log'}")
    size, count = 500_000, 30
    command = [martlet(), "listen", url(server, "/events/a"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listen:
        try:
            assert listen.stdout is not None and listen.stderr is not None
            assert listen.stderr.readline() == b"martlet: connected\n"
            before = resident(listen.pid)
            for number in range(count):
                server.publish("a", f"{number} ".ljust(size, "."))
            wait_until_idle(listen.pid)
            assert resident(listen.pid) - before < size * count / 2
            for number in range(count):
                assert json.loads(listen.stdout.readline())["data"].split(" ")[0] == str(number)
        finally:
            listen.kill()


def test_two_signals_end_it_though_its_reader_waits(server: Martlet) -> None:
    command = [martlet(), "listen", url(server, "/events/a"), "--json", "--since", "1h"]
    server.publish("a", "." * 500_000)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as listen:
        try:
            assert listen.stdout is not None
            listen.stdout.read(1)  # of a line that is longer than the pipe
            end = time.monotonic() + DEADLINE
            while listen.poll() is None and time.monotonic() < end:
                listen.send_signal(signal.SIGTERM)
                time.sleep(0.02)
            assert listen.returncode == 128 + signal.SIGTERM
        finally:
            listen.kill()


# martlet publish


def test_an_event_is_published_as_the_options_say(server: Martlet) -> None:
    with Listen(url(server, "/events/a%20b"), "--json", "--count", "2") as listen:
        listen.wait_until_connected()
        first = publish(url(server), "a b", "über\n{}", "--type", "t", "--retry", "1", "--key", "k")
        second = publish(url(server, "/"), "a b", "2", "--id", "my id")
        assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
        assert second.stdout == "my id\n"
        assert listen.end() == 0
        assert listen.events == [
            {"data": "über\n{}", "event": "t", "id": first.stdout.strip()},
            {"data": "2", "event": "message", "id": "my id"},
        ]


def test_a_line_is_published_and_acknowledged_before_there_is_another(server: Martlet) -> None:
    command = [martlet(), "publish", url(server), "a", "-"]
    with (
        Listen(url(server, "/events/a"), "--json") as listen,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as publishing,
    ):
        listen.wait_until_connected()
        assert publishing.stdin is not None and publishing.stdout is not None
        for count, text in enumerate(["eins", "", "dr\u00fci"], start=1):
            publishing.stdin.write(f"{text}\r\n".encode())
            id = publishing.stdout.readline().decode().strip()
            listen.wait_for(count)
            assert listen.events[-1] == {"data": text, "event": "message", "id": id}
        publishing.stdin.write(b"without an end")
        publishing.stdin.close()
        assert publishing.wait(timeout=DEADLINE) == 0
        listen.wait_for(4)
        assert listen.data[-1] == "without an end"


def test_lines_are_published_once_and_in_order_while_the_server_is_killed(
    start_server: Callable[..., Martlet], tmp_path: Path
) -> None:
    server = start_server("--log", f"sqlite:{tmp_path / 'log'}")
    count = 10_000
    lines = [f"{number}\n".encode() for number in range(count)]
    ids: list[str] = []
    with FaultyProxy(server.port) as proxy:
        command = [martlet(), "publish", f"http://{HOST}:{proxy.port}", "numbers", "-"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as publishing:
            assert publishing.stdin is not None and publishing.stdout is not None
            output = publishing.stdout
            reader = threading.Thread(target=lambda: ids.extend(line.decode().strip() for line in output))
            reader.start()
            publishing.stdin.write(b"".join(lines[:5000]))
            wait_until(lambda: len(ids) >= 5000, "half of the lines are acknowledged")
            # The hub has the next lines, and its answer is on its way when all breaks.
            proxy.delay = 0.5
            publishing.stdin.write(b"".join(lines[5000:7000]))
            wait_until(lambda: sample(server.port, "martlet_events_published_total") > 5000, "the hub has more")
            proxy.refuse()
            proxy.cut()
            assert len(ids) == 5000
            server.kill()
            proxy.delay = 0
            server.start()
            proxy.accept()
            publishing.stdin.write(b"".join(lines[7000:]))
            publishing.stdin.close()
            assert publishing.wait(timeout=DEADLINE) == 0
            reader.join()
    server.publish("numbers", "end")
    events = history(server, "/events/numbers", count + 1)
    assert [event["data"] for event in events] == [*map(str, range(count)), "end"]
    assert [event["id"] for event in events[:-1]] == ids


def test_nothing_is_published_from_a_bad_event_on(server: Martlet) -> None:
    good = [json.dumps({"topic": "a", "data": str(number), "type": "t"}) for number in range(9)]
    bad = json.dumps({"topic": "a", "data": {"secret": "sesame"}})
    text = "\n".join(["", *good[:6], "", bad, *good[6:]])
    ended = publish(url(server), "--ndjson", stdin=text.encode())
    assert ended.returncode == 3
    assert ended.stderr == (
        "martlet: line 9: data is of the wrong type: a string; write JSON data as a string"
        ". (published: 6 events)\n"
    )
    server.publish("a", "end")
    events = history(server, "/events/a", 7)
    assert [event["data"] for event in events] == [*map(str, range(6)), "end"]
    assert [event["id"] for event in events[:6]] == ended.stdout.split()


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (b"\xff", "line 3 of the input is not UTF-8"),
        (b"x" * (1 << 20) + b"y", "line 3 of the input is over 1048576 bytes"),
    ],
    ids=["encoding", "length"],
)
def test_a_line_that_cannot_be_sent_is_named(server: Martlet, bad: bytes, complaint: str) -> None:
    ended = publish(url(server), "a", stdin=b"1\n2\n" + bad + b"\n4\n")
    assert ended.returncode == 1
    assert complaint in ended.stderr and "(published: 2 events)" in ended.stderr
    assert len(ended.stdout.split()) == 2


@pytest.mark.parametrize(
    "line",
    ["x" * (1 << 20), '"' * (600 << 10), "\x01" * (200 << 10), "\u00fc" * (1 << 19)],
    ids=["letters", "quotes", "controls", "umlauts"],
)
def test_a_line_of_the_promised_length_is_published_whatever_is_in_it(server: Martlet, line: str) -> None:
    ended = publish(
        url(server), "a/\u00fc?", "--type", "t&", "--retry", "5", "--key", "k k", stdin=f"1\n{line}\n3\n".encode())
    assert (ended.returncode, ended.stderr) == (0, "")
    events = history(server, "/events/a%2F%C3%BC%3F", 3)
    assert [event["data"] for event in events] == ["1", line, "3"]
    assert [event["event"] for event in events] == ["t&"] * 3
    assert [event["id"] for event in events] == ended.stdout.split()


def test_a_batch_of_the_promised_length_is_published(server: Martlet) -> None:
    frame = len(json.dumps({"topic": "a", "data": ""}))
    line = json.dumps({"topic": "a", "data": "x" * ((1 << 20) - frame)})
    ended = publish(url(server), "--ndjson", stdin=line.encode())
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_line_that_is_too_large_for_the_hub_is_named() -> None:
    problem = b'{"detail":"The body is over 3 bytes. Send less."}'
    with Answers((413, "application/problem+json", problem, {})) as server:
        ended = publish(server.url, "a", stdin=b"1\n")
        assert ended.returncode == 3
        assert ended.stderr == "martlet: line 1: The body is over 3 bytes. Send less. (published: 0 events)\n"


def test_what_a_server_says_does_not_control_the_terminal() -> None:
    problem = b'{"detail":"\\u001b[31mred\\u0007\\u009b0m\\u202e","line":1}'
    with Answers((400, "application/problem+json", problem, {})) as server:
        assert publish(server.url, "a", "1").stderr == r"martlet: \u{1B}[31mred\u{07}\u{009B}0m\u{202E}" + "\n"


def test_cookies_are_one_field() -> None:
    with Answers((200, "text/event-stream", b"data: 1\n\n", {})) as server:
        with Listen(server.url, "--count", "1", "--header", "Cookie: a=1", "--header", "Cookie: b=2") as listen:
            assert listen.end() == 0
        assert server.requests[0].get_all("Cookie") == ["a=1; b=2"]


@pytest.mark.parametrize("port", [0, 65536, 99999, 2**64])
def test_a_port_that_does_not_exist_is_bad_usage(port: int) -> None:
    ended = publish(f"http://u:sesame@{HOST}:{port}", "a", "1")
    assert ended.returncode == 2
    assert "sesame" not in ended.stderr
    assert publish(f"http://{HOST}:{port}", "a", "1").returncode == 2
    with Listen(f"http://{HOST}:{port}/") as listen:
        assert listen.end() == 2


def test_no_line_is_no_event_and_no_failure(server: Martlet) -> None:
    for arguments, text in [(["a"], b""), (["--ndjson"], b""), (["--ndjson"], b"\n \n")]:
        ended = publish(url(server), *arguments, stdin=text)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_lines_are_published_though_nobody_reads_their_ids(server: Martlet) -> None:
    command = [martlet(), "publish", url(server), "a"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as publishing:
        assert publishing.stdin is not None and publishing.stdout is not None
        publishing.stdout.close()
        publishing.stdin.write(b"1\n2\n3\n")
        publishing.stdin.close()
        assert publishing.wait(timeout=DEADLINE) == 0
    assert [event["data"] for event in history(server, "/events/a", 3)] == ["1", "2", "3"]


def test_a_hub_that_is_not_there_is_waited_for_but_not_for_ever() -> None:
    address = f"http://{HOST}:{free_port()}"
    ended = publish(address, "a", "--retry-for", "300ms", stdin=b"1\n2\n")
    assert ended.returncode == 4
    assert ended.stderr == (
        "martlet: lines 1 to 2: The connection failed: Connection refused. (published: 0 events)\n"
    )
    assert publish(address, "a", "1", "--retry-for", "0").returncode == 4


@pytest.mark.parametrize(
    ("status", "content_type", "code"),
    [(200, "text/html", 1), (301, "text/plain", 3), (404, "text/html", 3), (503, "text/plain", 4)],
)
def test_the_exit_code_says_what_is_wrong_with_the_answer(status: int, content_type: str, code: int) -> None:
    with Answers((status, content_type, b"hello", {})) as server:
        assert publish(server.url, "a", "1", "--retry-for", "0").returncode == code


def test_what_is_not_accepted_now_is_sent_again_as_the_same() -> None:
    answers = [(status, "text/plain", b"", {"Retry-After": "0"}) for status in (503, 429)]
    with Answers(*answers, (200, "text/plain", b"1\n2\n", {})) as server:
        ended = publish(server.url, "a", "--header", "X-A: 1", stdin=b"x\ny\n")
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n2\n", "")
        keys = {fields["Idempotency-Key"] for fields in server.requests}
        assert len(server.requests) == 3 and len(keys) == 1 and None not in keys
        assert server.requests[0]["X-A"] == "1"
    later = {"Retry-After": "5"}
    with Answers((503, "text/plain", b"", later), (200, "text/plain", b"1\n", {})) as server:
        assert publish(server.url, "a", "x", "--retry-for", "4s").returncode == 4  # it must not ask before
        assert len(server.requests) == 1


def test_a_person_sees_how_far_it_is(server: Martlet) -> None:
    command = [martlet(), "publish", url(server), "a"]
    with terminal() as (person, program):
        subprocess.run(
            command, input=b"1\n2\n", stdout=subprocess.DEVNULL, stderr=program, timeout=DEADLINE, check=True,
            env=plain_environment())
        text = b"\rpublished: 2 events\x1b[K\r\x1b[K"
        assert shown(person, len(text)) == text


def test_both_send_tokens_and_never_show_them(start_server: Callable[..., Martlet], tmp_path: Path) -> None:
    key = Key("HS256", SECRET)
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    server = start_server("--publisher-key", f"file:{secret}", "--subscriber-key", f"file:{secret}")
    file = tmp_path / "token"
    token = key.token(publish=["a"], subscribe=["a"])
    file.write_text(token + "\n")
    with Listen(url(server, "/events/a"), "--token-file", str(file), "--count", "2", "--json") as listen:
        listen.wait_until_connected()
        results = [
            publish(url(server), "a", "1", "--token-file", str(file)),
            publish(url(server), "a", "2", "--token-env", "TOKEN", environment={"TOKEN": token}),
        ]
        assert [result.returncode for result in results] == [0, 0], [result.stderr for result in results]
        assert listen.end() == 0
        assert listen.data == ["1", "2"]
    with Listen(url(server, "/events/a")) as listen:
        assert listen.end() == 3
    refused = publish(url(server), "a", "1")
    assert refused.returncode == 3
    lines = b"".join(
        json.dumps({"topic": topic, "data": "3"}).encode() + b"\n" for topic in ["a", "a", "b", "a", "a"])
    refused = publish(url(server), "--ndjson", "--token-file", str(file), stdin=lines)
    assert refused.returncode == 3
    assert refused.stderr == "martlet: line 3: Publishing to the topic b is not granted. (published: 2 events)\n"
    other = Key("HS256", SECRET + "!").token(publish=["a"])
    file.write_text(other)
    refused = publish(url(server), "a", "1", "--token-file", str(file))
    assert refused.returncode == 3 and other not in refused.stderr
    file.write_text("sesame open")
    refused = publish(url(server), "a", "1", "--token-file", str(file))
    assert refused.returncode == 2 and "sesame" not in refused.stderr
