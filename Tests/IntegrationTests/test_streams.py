# SPDX-License-Identifier: Apache-2.0
"""Topics that end, streams for readers that are no browser, history without a stream, and the state of topics."""

import http.client
import json
import random
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.message import Message
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page

from faulty_proxy import FaultyProxy
from streams import data, opened, resumed, stream
from support import DEADLINE, HOST, Curl, Martlet, request, sample, wait_until
from tokens import Key

StartServer = Callable[..., Martlet]
KEYED = "a secret that is long enough for HS256, which is 32 bytes"


class Answer(NamedTuple):
    status: int
    headers: Message
    text: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def next(self) -> str | None:
        link = re.fullmatch(r'<(.+)>; rel="next"', self.headers["Link"] or "")
        return link[1] if link else None

    @property
    def last_id(self) -> str:
        return str(self.headers["Last-Event-ID"])


def ask(server: Martlet, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=DEADLINE)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read().decode())
    finally:
        connection.close()


def close(server: Martlet, topic: str) -> str:
    status, text = request(server.port, "POST", f"/events/{topic}?close=1")
    assert status == 200
    return text.strip()


# The life of a topic


def test_a_topic_ends_for_those_who_are_there_and_for_those_who_come_back(server: Martlet) -> None:
    with stream(server, "chat/1") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        ids = [server.publish("chat/1", word) for word in ["a", "b"]]
        end = close(server, "chat/1")
        wait_until(lambda: not curl.is_open(), "the stream has ended")
        assert data(curl)[:2] == ["a", "b"]
        assert json.loads(data(curl)[2]) == {"topic": "chat/1", "reason": "closed", "lastEventID": end}
    assert close(server, "chat/1") == end
    status, problem = request(server.port, "POST", "/events/chat/1", "late")
    assert status == 409 and json.loads(problem)["field"] == "topic"
    with resumed(server, "chat/1", ids[0]) as curl:
        wait_until(lambda: not curl.is_open(), "the rest was sent")
        assert data(curl)[0] == "b" and json.loads(data(curl)[1])["reason"] == "closed"
    gone = ask(server, "/events/chat/1", Last_Event_ID=end)
    assert (gone.status, gone.text, gone.headers["Martlet-End"]) == (204, "", "closed")


# Readers that take every block for an event


class BrokenReader(Exception):
    """The reader got JSON that is no chunk."""


def resume_chat(server: Martlet, query: str = "") -> tuple[str, list[str]] | None:
    """A chat that resumes by the rules of the AI SDK: with GET, 204 means that nothing is to be resumed. Otherwise each
    event is a chunk in JSON, from the first on, and the stream ends normally. Other JSON breaks the reader.
    """
    connection = http.client.HTTPConnection(HOST, server.port, timeout=DEADLINE)
    try:
        connection.request("GET", f"/events/chat/1?profile=plain{query}")
        response = connection.getresponse()
        if response.status == 204:
            return None
        assert response.status == 200 and response.headers["Content-Type"] == "text/event-stream"
        text, types = "", []
        # A stream that is cut raises http.client.IncompleteRead.
        for block in response.read().decode().split("\n\n"):
            lines = [line.removeprefix("data:").strip() for line in block.splitlines() if line.startswith("data:")]
            if not lines or lines == ["[DONE]"]:
                assert "id:" not in block or lines, "a block that only sets the id"
                continue
            chunk = json.loads("\n".join(lines))
            if chunk.get("type") not in ("start", "text-delta", "finish"):
                raise BrokenReader(chunk)
            types.append(chunk["type"])
            text += chunk.get("delta", "")
        return text, types
    finally:
        connection.close()


def test_a_chat_resumes_by_the_rules_of_the_ai_sdk(start_server: StartServer) -> None:
    server = start_server("--heartbeat", "100ms")
    words = ["Streams ", "survive ", "a ", "reload."]
    server.publish("chat/1", '{"type":"start"}')
    for word in words[:2]:
        server.publish("chat/1", json.dumps({"type": "text-delta", "delta": word}))
    with ThreadPoolExecutor() as readers:
        # A page that is reloaded in the middle reads from the start, whether it names the start or a time.
        early = [readers.submit(resume_chat, server, query) for query in ["&lastEventID=earliest", "&since=1h"]]
        with stream(server, "chat/1", query="?profile=plain") as curl:
            wait_until(lambda: curl.lines.count(":") >= 3, "some heartbeats have passed")
        for word in words[2:]:
            server.publish("chat/1", json.dumps({"type": "text-delta", "delta": word}))
        server.publish("chat/1", '{"type":"finish"}')
        server.publish("chat/1", "[DONE]", "?close=1")
        whole = ("".join(words), ["start", *["text-delta"] * 4, "finish"])
        assert [reader.result() for reader in early] == [whole, whole]
    assert resume_chat(server) is None
    assert resume_chat(server, "&since=1h") is None
    assert resume_chat(server, "&lastEventID=earliest") == whole
    # The usual profile has other events, which break such a reader.
    usual = ask(server, "/events/chat/1?lastEventID=earliest")
    assert "event: end" in usual.text and usual.headers["Martlet-End"] == "closed"


def test_a_plain_stream_has_no_gap_and_tells_it_in_its_head(start_server: StartServer) -> None:
    server = start_server("--history-events", "3", "--heartbeat", "100ms")
    ids = [server.publish("a", str(number)) for number in range(10)]
    with resumed(server, "a", ids[0], "?profile=plain") as curl:
        wait_until(lambda: "data: 9" in curl.lines, "the rest was sent")
        wait_until(lambda: curl.lines.count(":") >= 3, "heartbeats are comments")
        assert ask(server, "/history/a", "DELETE").status == 204
        server.publish("a", "10")
        wait_until(lambda: "data: 10" in curl.lines, "the stream goes on behind a purge")
        assert [line for line in curl.lines if line.startswith("event:")] == []
        assert sum(line.startswith("id: ") for line in curl.lines) == len(data(curl)) == 4
    head = ask(server, "/events/a?profile=plain", "HEAD", Last_Event_ID=ids[0])
    assert head.headers["Martlet-Gap"] == "trimmed"


def test_the_routes_of_mercure_know_no_profiles(server: Martlet) -> None:
    server.publish("a", "1")
    close(server, "a")
    path = "/.well-known/mercure?topic=a&profile=plain&heartbeat=never"
    with Curl(server.port, path) as curl:
        wait_until(lambda: not curl.is_open(), "the stream has ended")
        assert "event: end" in curl.lines and opened(curl)


SUBSCRIBE = """path => {
    window.seen = [];
    window.beats = 0;
    window.source = new EventSource(path);
    source.onmessage = event => seen.push(event.data);
    source.addEventListener("heartbeat", event => { beats += 1; JSON.parse(event.data); });
}"""


@contextmanager
def page_of(browser: Browser, port: int, path: str) -> Iterator[Page]:
    with browser.new_context() as context:
        context.set_default_timeout(DEADLINE * 1000)
        page = context.new_page()
        page.goto(f"http://{HOST}:{port}/health/live")
        page.evaluate(SUBSCRIBE, path)
        yield page


@pytest.mark.parametrize("query", ["?lastEventID=earliest", "?lastEventID=earliest&profile=plain"])
def test_an_event_source_stops_when_a_topic_has_ended(server: Martlet, browser: Browser, query: str) -> None:
    server.publish("job/1", "1", "?retry=50")
    with FaultyProxy(server.port) as proxy, page_of(browser, proxy.port, f"/events/job/1{query}") as page:
        page.wait_for_function("seen.length === 1")
        proxy.cut()
        server.publish("job/1", "2")
        page.wait_for_function("seen.length === 2")
        server.publish("job/1", "3", "?close=1")
        page.wait_for_function("source.readyState === EventSource.CLOSED")
        assert page.evaluate("seen") == ["1", "2", "3"]


def test_a_script_sees_heartbeats_that_are_events(start_server: StartServer, browser: Browser) -> None:
    server = start_server("--heartbeat", "100ms")
    with page_of(browser, server.port, "/events/a?heartbeat=event") as page:
        page.wait_for_function("beats >= 3")
        server.publish("a", "1")
        page.wait_for_function("seen.length === 1")
    with page_of(browser, server.port, "/events/a") as page:
        page.wait_for_function("source.readyState === EventSource.OPEN")
        server.publish("a", "2")
        page.wait_for_function("seen.length === 1")
        assert page.evaluate("beats") == 0


# History without a stream


def read_all(server: Martlet, path: str) -> list[dict[str, Any]]:
    """Follows the links of pages to the last one."""
    lines: list[dict[str, Any]] = []
    target: str | None = path
    while target is not None:
        answer = ask(server, target)
        assert answer.status == 200
        assert (answer.next is None) or answer.lines, "a page with a link is not empty"
        lines += answer.lines
        target = answer.next
    return lines


@pytest.mark.parametrize("log", ["memory", "sqlite"])
def test_pages_have_each_event_once_while_others_are_published(
    start_server: StartServer, log: str, tmp_path: Any
) -> None:
    server = start_server("--log", f"sqlite:{tmp_path / 'hub.db'}" if log == "sqlite" else "memory")
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    published: list[tuple[str, str]] = []

    def publish(count: int) -> None:
        events = [(chance.choice(["a", "b", "c"]), f"{len(published) + number}") for number in range(count)]
        lines = "".join(json.dumps({"topic": topic, "data": text}) + "\n" for topic, text in events)
        kind = {"Content-Type": "application/x-ndjson"}
        assert request(server.port, "POST", "/events", lines, kind)[0] == 200
        published.extend(events)

    publish(300)
    expected = [pair for pair in published if pair[0] != "c"]
    assert [(line["topic"], line["data"]) for line in read_all(server, "/history/a?topic=b")] == expected
    read: list[tuple[str, str]] = []
    last = "earliest"
    while len(published) < 600 or len(read) < sum(topic != "c" for topic, _ in published):
        if len(published) < 600 and chance.random() < 0.5:
            publish(chance.randrange(1, 40))
        answer = ask(server, f"/history/a?topic=b&after={last}&limit={chance.randrange(1, 60)}")
        assert answer.headers["Martlet-Gap"] is None
        read += [(line["topic"], line["data"]) for line in answer.lines]
        # Both the header and the ids of events are places to go on from.
        last = answer.lines[-1]["id"] if answer.lines and chance.random() < 0.5 else answer.last_id
    assert read == [pair for pair in published if pair[0] != "c"]


def test_a_long_poll_is_answered_by_the_next_event(server: Martlet) -> None:
    last = server.publish("a", "1")
    with ThreadPoolExecutor() as readers:
        start = time.monotonic()
        poll = readers.submit(ask, server, f"/history/a?after={last}&wait=20s")
        other = readers.submit(ask, server, f"/history/a?after={last}&wait=200ms")
        empty = other.result()
        assert (empty.status, empty.text, empty.next) == (200, "", None)
        assert time.monotonic() - start >= 0.2
        assert not poll.done()
        server.publish("b", "other")
        server.publish("a", "2")
        answer = poll.result()
        assert [line["data"] for line in answer.lines] == ["2"]
        assert time.monotonic() - start < 15
        # Nothing was missed in between.
        assert [line["data"] for line in ask(server, f"/history/a?after={empty.last_id}").lines] == ["2"]
        last = answer.last_id
        poll = readers.submit(ask, server, f"/history/a?after={last}&wait=20s")
        server.publish("a", "3", "?close=1")
        answer = poll.result()
        if not answer.headers["Martlet-End"]:  # the event came before the end was known
            answer = ask(server, f"/history/a?after={answer.last_id}&wait=20s")
            assert answer.lines == []
        assert answer.headers["Martlet-End"] == "closed"
        start = time.monotonic()
        end = ask(server, f"/history/a?after={answer.last_id}&wait=20s")
        assert (end.lines, end.headers["Martlet-End"], end.next) == ([], "closed", None)
        assert time.monotonic() - start < 15


def test_many_polls_are_answered_when_the_server_stops(start_server: StartServer) -> None:
    server = start_server("--grace", "1s")
    with ThreadPoolExecutor(50) as readers:
        polls = [readers.submit(ask, server, f"/history/{number % 7}?wait=60s") for number in range(50)]
        wait_until(lambda: sample(server.port, "martlet_feeds") == 7, "all are waiting")
        assert not any(poll.done() for poll in polls)
        server.stop()
        assert [poll.result().status for poll in polls] == [200] * 50


def test_history_is_removed_for_clients_and_subscribers_are_told(server: Martlet) -> None:
    first = server.publish("a", "secret")
    server.publish("b", "kept")
    server.publish("a", "value", "?key=k")
    with stream(server, "a") as curl:
        wait_until(lambda: opened(curl), "the stream is open")
        assert ask(server, "/history/a", "DELETE").status == 204
        wait_until(lambda: "event: gap" in curl.lines, "the subscriber is told")
        assert '"reason":"purged"' in "".join(data(curl))
    assert read_all(server, "/history/a?topic=b")[0]["data"] == "kept"
    assert ask(server, f"/history/a?after={first}").headers["Martlet-Gap"] == "expired"
    assert json.loads(ask(server, "/state/a").text)["values"] == {}
    with stream(server, "a", query="?lastEventID=earliest") as curl:
        wait_until(lambda: opened(curl) or curl.lines, "the stream is open")
        server.publish("a", "new")
        wait_until(lambda: "data: new" in curl.lines, "the event arrives")
        assert "data: secret" not in curl.lines
    # Also after the topic has ended.
    close(server, "a")
    assert ask(server, "/history/a", "DELETE").status == 204
    assert ask(server, "/history/a").text == ""


# The state


def test_a_state_is_fetched_again_only_when_it_has_changed(server: Martlet) -> None:
    server.publish("sensors", "20", "?key=hall&type=celsius")
    server.publish("sensors", "21", "?key=attic")
    first = ask(server, "/state/sensors")
    document = json.loads(first.text)
    assert {key: value["data"] for key, value in document["values"].items()} == {"hall": "20", "attic": "21"}
    assert document["values"]["hall"]["type"] == "celsius"
    assert ask(server, "/state/sensors", If_None_Match=first.headers["ETag"]).status == 304
    server.publish("sensors", "note")
    server.publish("other", "1", "?key=hall")
    assert ask(server, "/state/sensors", If_None_Match=first.headers["ETag"]).status == 304
    server.publish("sensors", "22", "?key=hall")
    changed = ask(server, "/state/sensors", If_None_Match=first.headers["ETag"])
    assert (changed.status, json.loads(changed.text)["values"]["hall"]["data"]) == (200, "22")
    several = json.loads(ask(server, "/state/sensors?topic=other").text)["values"]
    assert [(value["topic"], value["key"], value["data"]) for value in several] == [
        ("sensors", "attic", "21"), ("other", "hall", "1"), ("sensors", "hall", "22"),
    ]
    # A stream goes on from there.
    with resumed(server, "sensors", document["lastEventID"]) as curl:
        wait_until(lambda: data(curl) == ["note", "22"], "the changes since then")
    server.publish("sensors", "", "?key=hall")
    assert list(json.loads(ask(server, "/state/sensors").text)["values"]) == ["attic"]


def test_a_state_is_of_one_moment_while_values_change(server: Martlet) -> None:
    kind = {"Content-Type": "application/x-ndjson"}

    def publish(number: int) -> None:
        # All keys change, one after the other, so a state has at most two numbers, the newer ones first.
        lines = [json.dumps({"topic": "a", "key": f"{key}", "data": f"{number}"}) for key in range(300)]
        assert request(server.port, "POST", "/events", "\n".join(lines), kind)[0] == 200

    publish(0)
    with ThreadPoolExecutor() as publisher:
        changes = publisher.submit(lambda: [publish(number) for number in range(1, 40)])
        count = 0
        while not changes.done() or count == 0:
            answer = ask(server, "/state/a")
            if answer.status == 503:
                continue
            values = json.loads(answer.text)["values"]
            numbers = [int(values[f"{key}"]["data"]) for key in range(300)]
            assert numbers == sorted(numbers, reverse=True) and numbers[0] - numbers[-1] <= 1
            count += 1
        changes.result()
    assert {value["data"] for value in json.loads(ask(server, "/state/a").text)["values"].values()} == {"39"}


# Rights


def test_a_client_without_the_right_sees_nothing_of_others(start_server: StartServer) -> None:
    key = Key("HS256", KEYED)
    server = start_server(
        "--anonymous", environment={"MARTLET_PUBLISHER_KEY": KEYED, "MARTLET_SUBSCRIBER_KEY": KEYED})
    writer = {"Authorization": f"Bearer {key.token(publish=['*'])}"}
    events = [("a", "open", "?key=shown"), ("a", "secret", "?private=1&key=hidden"), ("b", "foreign", "?key=other")]
    for topic, text, query in events:
        assert request(server.port, "POST", f"/events/{topic}{query}", text, writer)[0] == 200
    granted = f"Bearer {key.token(subscribe=['a'])}"
    other = f"Bearer {key.token(subscribe=['b'])}"
    for path in ["/history/a", "/state/a", "/history/a?wait=1s"]:
        for reader in [{}, {"Authorization": other}]:
            answer = ask(server, path, **reader)
            assert answer.status == 200 and "open" in answer.text
            assert not re.search("secret|hidden|foreign|other", answer.text)
        mine = ask(server, path, Authorization=granted)
        assert "secret" in mine.text and "hidden" in mine.text and "foreign" not in mine.text
    assert ask(server, "/history/a", "DELETE").status in (401, 403)
    assert ask(server, "/history/a", "DELETE", Authorization=f"Bearer {key.token(publish=['b'])}").status == 403
    assert ask(server, "/history/a", "DELETE", Authorization=f"Bearer {key.token(publish=['a'])}").status == 204
    assert ask(server, "/history/a").text == ""
