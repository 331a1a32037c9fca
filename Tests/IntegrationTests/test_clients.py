# SPDX-License-Identifier: Apache-2.0
"""Published clients of other people read the hub's streams and resume them."""

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse
from sseclient import SSEClient

from support import DEADLINE, HOST, Martlet
from tricky_events import Received, publish_all

Read = Callable[[str, str | None], Iterator[Iterator[Received]]]


def headers(last: str | None) -> dict[str, str]:
    return {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})


@contextmanager
def with_httpx_sse(url: str, last: str | None) -> Iterator[Iterator[Received]]:
    with (
        httpx.Client(timeout=DEADLINE, trust_env=False) as client,
        connect_sse(client, "GET", url, headers=headers(last)) as source,
    ):
        # Unlike the standard it hands out blocks that only have an id: the opening and the heartbeats.
        yield ((event.id, event.event, event.data) for event in source.iter_sse() if event.data)


@contextmanager
def with_sseclient(url: str, last: str | None) -> Iterator[Iterator[Received]]:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(urllib.request.Request(url, headers=headers(last)), timeout=DEADLINE) as answer:
        yield ((event.id, event.event, event.data) for event in SSEClient(answer).events())


every_client = pytest.mark.parametrize("read", [with_httpx_sse, with_sseclient], ids=["httpx-sse", "sseclient-py"])


@every_client
def test_events_arrive_as_they_were_published(server: Martlet, read: Read) -> None:
    with read(f"http://{HOST}:{server.port}/events/demo", None) as events:
        published = publish_all(server.publish, "demo")
        assert list(islice(events, len(published))) == published


@every_client
def test_a_client_resumes_after_what_it_saw_last_whatever_happened_to_the_server(
    start_server: Callable[..., Martlet], read: Read, tmp_path: Path
) -> None:
    server = start_server("--log", f"sqlite:{tmp_path / 'hub.db'}")
    url = f"http://{HOST}:{server.port}/events/demo"
    published: list[Received] = []

    def publish(count: int) -> None:
        for _ in range(count):
            data = f"event {len(published) + 1}"
            published.append((server.publish("demo", data), "message", data))

    seen: list[Received] = []
    restarts = [lambda: None, server.kill, server.stop]
    with ExitStack() as still_open:
        events = still_open.enter_context(read(url, None))
        for end in restarts:
            publish(10)
            seen += islice(events, 7)
            still_open.close()
            publish(10)
            end()
            if server.process is None:
                server.start()
            events = still_open.enter_context(read(url, seen[-1][0]))
        publish(1)
        seen += islice(events, len(published) - len(seen))
    assert seen == published
