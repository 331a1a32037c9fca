# SPDX-License-Identifier: Apache-2.0
"""`martlet listen` reads the streams of servers of other people: sse-starlette on uvicorn, and nchan."""

import gzip
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faulty_proxy import FaultyProxy
from listening import Listen
from support import HOST, Curl, Nginx, Program, free_port, request, wait_until
from tricky_events import EVENTS, Received

NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
SEPARATORS = ["lf", "cr", "crlf"]


class Uvicorn(Program):
    exit_code = -signal.SIGTERM

    def __init__(self, directory: Path) -> None:
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(Path(__file__).parent), "--host", HOST]
        super().__init__([*command, "--port", str(port), "starlette_app:app"], port, directory / "uvicorn.log")


@pytest.fixture
def uvicorn(tmp_path: Path) -> Iterator[Uvicorn]:
    with Uvicorn(tmp_path) as uvicorn:
        yield uvicorn


@pytest.fixture
def nchan(tmp_path: Path) -> Iterator[Nginx]:
    """nginx with channels: what is posted to /publish/NAME is sent to /subscribe/NAME, from the oldest on."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "compressed.gz").write_bytes(gzip.compress(b"data: compressed\n\n"))
    locations = f"""
    location = /health/ready {{ return 200; }}
    location ~ ^/publish/(.+)$ {{
      nchan_publisher; nchan_channel_id $1; nchan_message_buffer_length 1000; client_max_body_size 1m;
    }}
    location ~ ^/subscribe/(.+)$ {{
      nchan_subscriber eventsource; nchan_channel_id $1; nchan_eventsource_ping_interval 1; nchan_eventsource_ping_comment heartbeat;
    }}
    location = /compressed {{ root {site}; gzip_static always; default_type text/event-stream; }}
"""
    with Nginx(tmp_path, locations, [NCHAN]) as nginx:
        yield nginx


def listen(server: Program | FaultyProxy, path: str, *options: str) -> Listen:
    return Listen(f"http://{HOST}:{server.port}{path}", "--json", *options)


def printed(listen: Listen) -> list[Received]:
    return [(event["id"], event["event"], event["data"]) for event in listen.events]


def numbers(start: int, end: int) -> list[Received]:
    return [(f"{number}", "message", f"{number}") for number in range(start, end + 1)]


@pytest.mark.parametrize("separator", SEPARATORS)
def test_events_are_printed_as_they_were_sent_whatever_ends_a_line(uvicorn: Uvicorn, separator: str) -> None:
    with listen(uvicorn, f"/tricky?sep={separator}") as listener:
        assert listener.end() == 0
        assert printed(listener) == [(f"{number}", type, data) for number, (_, type, data) in enumerate(EVENTS)]


@pytest.mark.parametrize("separator", SEPARATORS)
def test_an_event_is_printed_at_once_and_not_with_the_next(uvicorn: Uvicorn, separator: str) -> None:
    with listen(uvicorn, f"/one?sep={separator}") as listener:
        listener.wait_for(1)
        assert printed(listener) == numbers(1, 1)


def test_what_was_cut_within_an_event_is_sent_again_and_printed_once(uvicorn: Uvicorn) -> None:
    with listen(uvicorn, "/numbers?to=64&at_once=10") as listener:
        assert listener.end() == 0
        assert printed(listener) == numbers(1, 64)


def test_an_id_to_resume_after_is_sent(uvicorn: Uvicorn) -> None:
    with listen(uvicorn, "/numbers?to=30", "--last-event-id", "20") as listener:
        assert listener.end() == 0
        assert printed(listener) == numbers(21, 30)


def test_a_server_may_restart(uvicorn: Uvicorn) -> None:
    with listen(uvicorn, "/numbers?to=100&every=0.01") as listener:
        listener.wait_for(10)
        uvicorn.kill()
        uvicorn.start()
        assert listener.end() == 0
        assert printed(listener) == numbers(1, 100)


def test_a_client_waits_as_long_as_the_server_asks_for(uvicorn: Uvicorn) -> None:
    with listen(uvicorn, "/numbers?to=3&at_once=1&retry=1234567") as listener:
        wait_until(lambda: len(listener.notes) > 1, "it says what it waits for")
        assert "1234567ms" in listener.notes[1]
        assert printed(listener) == numbers(1, 1)


def test_204_at_once_is_the_end_of_a_stream_without_events(uvicorn: Uvicorn) -> None:
    with listen(uvicorn, "/numbers?to=0") as listener:
        assert listener.end() == 0
        assert printed(listener) == []


def post(nchan: Nginx, channel: str, data: str, type: str = "message") -> None:
    headers = {} if type == "message" else {"X-EventSource-Event": type.encode().decode("latin-1")}
    status, text = request(nchan.port, "POST", f"/publish/{channel}", data, headers)
    assert 200 <= status < 300, text


def test_events_of_nchan_are_printed_as_they_were_published(nchan: Nginx) -> None:
    for _, type, data in EVENTS:
        post(nchan, "tricky", data, type)
    with listen(nchan, "/subscribe/tricky") as listener:
        listener.wait_for(len(EVENTS))
        # Its heartbeats are comments with a type and without data, which is no event.
        with Curl(nchan.port, "/subscribe/tricky", "-H", "Accept: text/event-stream") as beside:
            wait_until(lambda: {":heartbeat", "event: ping"} <= set(beside.lines), "there was a heartbeat")
        post(nchan, "tricky", "live")
        listener.wait_for(len(EVENTS) + 1)
        assert [event[1:] for event in printed(listener)] == [*(event[1:] for event in EVENTS), ("message", "live")]


def test_nchan_is_resumed_where_a_connection_was_cut(nchan: Nginx) -> None:
    with FaultyProxy(nchan.port) as proxy:
        proxy.most = 1500
        with listen(proxy, "/subscribe/numbers") as listener:
            for number in range(1, 101):
                post(nchan, "numbers", f"{number}")
            wait_until(lambda: listener.data[-1:] == ["100"], "the last event is printed")
            assert listener.data == [f"{number}" for number in range(1, 101)]
            assert proxy.accepted > 2


def test_a_compressed_answer_is_refused(nchan: Nginx) -> None:
    with listen(nchan, "/compressed") as listener:
        assert listener.end() == 1
        assert printed(listener) == []
        assert "compressed" in listener.notes[-1]
