# SPDX-License-Identifier: Apache-2.0
"""Control of open streams: their topics, and what all nodes learn of tickets, renewals and revocations."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bus_support import TOPIC, address
from kafka_support import MockCluster
from service_bus import ServiceBus
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


@pytest.fixture(params=["redis", "kafka", "service-bus"])
def start_node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Martlet]]:
    """Starts a node that knows the tokens of one key, on each log that nodes can share."""
    with ExitStack() as stack:
        names = iter("ab")
        if request.param == "redis":
            log = request.getfixturevalue("redis").url
        elif request.param == "kafka":
            mock = stack.enter_context(MockCluster(tmp_path, martlet=1))
            log = f"kafka://{mock.servers}/martlet?fetch.wait.max.ms=5"
        else:
            bus = stack.enter_context(ServiceBus())
            bus.create_topic(TOPIC)
            for name in "ab":
                bus.create_subscription(TOPIC, name)
            log = address(bus)

        def start(key: Key, *options: str) -> Martlet:
            name = next(names)
            directory = tmp_path / name
            directory.mkdir()
            if request.param == "service-bus":
                options = ("--node", name, "--store", f"sqlite:{directory / 'history.db'}", *options)
            environment = {
                "MARTLET_LOG": log, "MARTLET_SUBSCRIBER_KEY": key.public_text, "MARTLET_PUBLISHER_KEY": key.public_text,
            }
            return stack.enter_context(
                Martlet(directory, "--heartbeat", "500ms", *options, environment=environment))

        yield start


def test_what_is_done_on_one_node_reaches_the_streams_of_all(start_node: Callable[..., Martlet]) -> None:
    key = Key.make("HS256")
    here, there = start_node(key, "--subscriptions"), start_node(key, "--subscriptions")

    def bearer(**claims: object) -> dict[str, str]:
        return {"Authorization": f"Bearer {key.token(**claims)}"}  # type: ignore[arg-type]

    def told(node: Martlet) -> int:
        answer = request(node.port, "POST", "/revoke?principal=nobody", headers=everything)
        return int(json.loads(answer[1]).get("told", 0))

    everything = bearer(publish=["*"])
    wait_until(lambda: told(here) == 1 and told(there) == 1, "the nodes know each other")
    owner = bearer(subscribe=["a"], sub="alice")
    ticket = json.loads(request(here.port, "POST", "/tickets?topic=a", headers=owner)[1])["ticket"]
    with stream(there, "a", query=f"?ticket={ticket}") as curl:
        wait_until(lambda: opened(curl), "the ticket of one node opens a stream on the other")
        for node in (here, there):
            assert request(node.port, "GET", f"/events/a?ticket={ticket}")[0] == 401

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

    # The topics of a stream are changed by the node that has it.
    both = ["-H", f"Authorization: Bearer {key.token(subscribe=['a', 'b'], sub='alice')}"]
    with Curl(there.port, "/events/a?control=1", *both) as curl:
        path = f"/streams/{control_name(curl)}/topics"
        code, text = request(here.port, "POST", f"{path}?add=b&remove=a", headers=bearer(subscribe=["a", "b"], sub="alice"))
        assert code == 200 and json.loads(text)["topics"] == ["b"], text
        for topic, text in (("a", "not this"), ("b", "this")):
            assert request(here.port, "POST", f"/events/{topic}", text, everything)[0] == 200
        wait_until(lambda: data(curl)[1:] == ["this"], "the new topic is delivered, and the old one is not")
        stranger = bearer(subscribe=["a", "b"], sub="mallory")
        assert request(here.port, "POST", f"{path}?add=a", headers=stranger)[0] == 404
        assert request(here.port, "POST", "/streams/0123/topics?add=a", headers=owner)[0] == 404

        everyone = bearer(subscribe=["/.well-known/mercure/subscriptions{/topic}{/subscriber}"])

        def subscribed(node: Martlet) -> list[str]:
            code, text = request(node.port, "GET", "/.well-known/mercure/subscriptions", headers=everyone)
            assert code == 200, text
            return [item["topic"] for item in json.loads(text)["subscriptions"]]

        mercure = "/.well-known/mercure?topic=seen"
        with Curl(there.port, mercure, *both[:1], f"Authorization: Bearer {key.token(subscribe=['seen'])}"):
            wait_until(lambda: subscribed(here) == ["seen"] == subscribed(there), "both nodes know the subscription")
        wait_until(lambda: subscribed(here) == [] == subscribed(there), "both nodes know that it has ended")
