# SPDX-License-Identifier: Apache-2.0
"""Control of open streams: their topics, and what all nodes learn of tickets, renewals and revocations."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from streams import data, opened, stream
from support import Curl, Martlet, request, wait_until
from test_redis import Redis, redis  # noqa: F401 (a fixture)
from tokens import Key

StartServer = Callable[..., Martlet]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def control_name(curl: Curl) -> str:
    """The name under which the topics of a stream can be changed: its first event."""
    wait_until(lambda: bool(data(curl)), "the stream says its name")
    return str(json.loads(data(curl)[0])["stream"])


def test_the_topics_of_an_open_stream_change(start_server: StartServer) -> None:
    server = start_server()
    with Curl(server.port, "/events/prices/usd?control=1") as curl:
        path = f"/streams/{control_name(curl)}/topics"
        server.publish("prices/usd", "1")
        answer = request(server.port, "POST", path, "add=prices/eur&remove=prices/usd", headers=FORM)
        assert answer[0] == 200 and json.loads(answer[1])["topics"] == ["prices/eur"]
        server.publish("prices/usd", "2")
        server.publish("prices/eur", "3")
        wait_until(lambda: data(curl)[-1] == "3", "the added topic is delivered")
        assert data(curl)[1:] == ["1", "3"]
        # What is asked for at the same time is done one after the other.
        added = [f"t/{number}" for number in range(20)]
        with ExitStack() as requests:
            curls = [
                requests.enter_context(Curl(server.port, path, "-d", f"add={topic}", "-X", "POST")) for topic in added
            ]
            wait_until(lambda: all(not one.is_open() for one in curls), "all are answered")
        for topic in added:
            server.publish(topic, topic)
        wait_until(lambda: data(curl)[-20:] == added, "all topics were added")
        assert request(server.port, "POST", "/streams/0123/topics?add=a")[0] == 404


@pytest.fixture
def start_node(tmp_path: Path, redis: Redis) -> Iterator[Callable[..., Martlet]]:  # noqa: F811
    """Starts a node that knows the tokens of one key."""
    with ExitStack() as stack:
        def start(key: Key, *options: str) -> Martlet:
            directory = tmp_path / f"node-{len(list(tmp_path.iterdir()))}"
            directory.mkdir()
            environment = {"MARTLET_SUBSCRIBER_KEY": key.public_text, "MARTLET_PUBLISHER_KEY": key.public_text}
            return stack.enter_context(
                Martlet(directory, "--log", redis.url, "--heartbeat", "500ms", *options, environment=environment))

        yield start


def test_tickets_renewals_and_revocations_reach_all_nodes(start_node: Callable[..., Martlet]) -> None:
    key = Key.make("HS256")
    here, there = start_node(key), start_node(key)

    def bearer(**claims: object) -> dict[str, str]:
        return {"Authorization": f"Bearer {key.token(**claims)}"}  # type: ignore[arg-type]

    owner = bearer(subscribe=["a"], sub="alice")
    ticket = json.loads(request(here.port, "POST", "/tickets?topic=a", headers=owner)[1])["ticket"]
    with stream(there, "a", query=f"?ticket={ticket}") as curl:
        wait_until(lambda: opened(curl), "the ticket of one node opens a stream on the other")
        for node in (here, there):
            assert request(node.port, "GET", f"/events/a?ticket={ticket}")[0] == 401

    everything = bearer(publish=["*"])

    def told(node: Martlet) -> int:
        answer = request(node.port, "POST", "/revoke?principal=nobody", headers=everything)
        return int(json.loads(answer[1]).get("told", 0))

    wait_until(lambda: told(here) == 1 and told(there) == 1, "the nodes know each other")
    short = ["-H", f"Authorization: Bearer {key.token(subscribe=['a'], lifetime=8, sub='alice')}"]
    with stream(there, "a", *short, query="?stream=kept") as kept, stream(there, "a", *short, query="?stream=left") as left:
        wait_until(lambda: opened(kept) and opened(left), "both streams are open")
        answer = request(here.port, "POST", "/streams/kept", headers=owner)
        assert answer == (200, '{"renewed":0,"ended":0,"told":1}\n')
        wait_until(lambda: not left.is_open(), "the one that was not renewed has ended")
        assert kept.is_open()
        answer = request(here.port, "POST", "/revoke?principal=alice", headers=everything)
        assert answer == (200, '{"ended":0,"told":1}\n')
        wait_until(lambda: not kept.is_open(), "the other was revoked from another node")
