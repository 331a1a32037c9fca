# SPDX-License-Identifier: Apache-2.0
"""The hub as clients of the Mercure ecosystem use it: tokens of another library, a published client, pages with cookies."""

import json
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from mercure_publisher import MercureConfig, MercurePublisher
from mercure_publisher.exceptions import MercurePublishError
from playwright.sync_api import Browser, Page

from support import DEADLINE, HOST, Curl, Martlet, martlet, plain_environment, request, wait_until
from tokens import Key, KeySetServer

HUB = "/.well-known/mercure"
BOOK = "https://example.com/books/1"
USER = "https://example.com/users/1"

StartServer = Callable[..., Martlet]


def subscribe(server: Martlet, *topics: str, token: str | None = None, after: str | None = None) -> Curl:
    query = [("topic", topic) for topic in topics] + ([("lastEventID", after)] if after else [])
    options = ["-H", f"Authorization: Bearer {token}"] if token else []
    return Curl(server.port, f"{HUB}?{urllib.parse.urlencode(query)}", *options)


def publish(server: Martlet, token: str | None, *fields: tuple[str, str], **headers: str) -> tuple[int, str]:
    if token:
        headers["Authorization"] = f"Bearer {token}"
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return request(server.port, "POST", HUB, urllib.parse.urlencode(fields), headers)


def data(curl: Curl) -> list[str]:
    return [line.removeprefix("data: ") for line in curl.lines if line.startswith("data: ")]


def reference_environment(publisher: Key, subscriber: Key, directives: str = "") -> dict[str, str]:
    """What the image of the reference hub is configured with."""
    return {
        "MERCURE_PUBLISHER_JWT_KEY": publisher.public_text,
        "MERCURE_PUBLISHER_JWT_ALG": publisher.algorithm,
        "MERCURE_SUBSCRIBER_JWT_KEY": subscriber.public_text,
        "MERCURE_SUBSCRIBER_JWT_ALG": subscriber.algorithm,
        "MERCURE_EXTRA_DIRECTIVES": directives,
    }


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "PS512", "ES256", "EdDSA"])
def test_a_private_update_reaches_exactly_those_granted_live_and_on_replay(
    start_server: StartServer, algorithm: str
) -> None:
    publisher, subscriber = Key.make(algorithm), Key.make(algorithm)
    server = start_server(environment=reference_environment(publisher, subscriber, "anonymous"))
    sender = publisher.token(publish=["*"])
    granted = subscriber.token(subscribe=["https://example.com/users/{id}"])
    other = subscriber.token(subscribe=["https://example.com/users/2"])

    with (
        subscribe(server, BOOK, USER, token=granted) as mine,
        subscribe(server, BOOK, USER, token=other) as theirs,
        subscribe(server, "*") as anonymous,
    ):
        wait_until(lambda: all(len(curl.lines) > 2 for curl in (mine, theirs, anonymous)), "all streams are open")
        assert publish(server, sender, ("topic", BOOK), ("data", "public 1"))[0] == 200
        # To who is granted another of its topics, too.
        assert publish(server, sender, ("topic", BOOK), ("topic", USER), ("data", "secret"), ("private", ""))[0] == 200
        assert publish(server, sender, ("topic", BOOK), ("data", "public 2"))[0] == 200
        wait_until(lambda: all("public 2" in data(curl) for curl in (mine, theirs, anonymous)), "the last arrives")
        assert data(mine) == ["public 1", "secret", "public 2"]
        assert data(theirs) == data(anonymous) == ["public 1", "public 2"]

    for token, expected in [(granted, ["public 1", "secret", "public 2"]), (other, ["public 1", "public 2"])]:
        with subscribe(server, BOOK, token=token, after="earliest") as replay:
            wait_until(lambda: "public 2" in data(replay), "history is read")
            assert data(replay) == expected


def test_a_published_client_publishes(start_server: StartServer) -> None:
    publisher, subscriber = Key.make("HS256"), Key.make("HS256")
    server = start_server(environment=reference_environment(publisher, subscriber, "anonymous"))

    def client(*topics: str) -> MercurePublisher:
        url = f"http://{HOST}:{server.port}{HUB}"
        return MercurePublisher(MercureConfig(url, publisher.private_text, list(topics)))

    with subscribe(server, "https://example.com/books/{id}") as stream, client(BOOK, "news") as own:
        wait_until(lambda: len(stream.lines) > 2, "the stream is open")
        id = own.publish([BOOK, "news"], {"title": "caf\u00e9"}, type="changed", retry=1500)
        assert own.publish("news", "not asked for", id="urn:own") == "urn:own"
        last = own.publish(BOOK, "last", id="urn:last")
        wait_until(lambda: "last" in data(stream), "the last arrives")
        assert [json.loads(line) if line.startswith("{") else line for line in data(stream)] == [
            {"title": "caf\u00e9"}, "last"]
        for line in ("event: changed", "retry: 1500", f"id: {id}", f"id: {last}"):
            assert line in stream.lines
    with client("news") as narrow, pytest.raises(MercurePublishError) as refusal:
        narrow.publish(BOOK, "x")
    assert refusal.value.status_code == 401
    assert BOOK in (refusal.value.response_body or "")


def test_keys_rotate_and_go_away(start_server: StartServer) -> None:
    old, new = Key.make("ES256", "old"), Key.make("RS256", "new")
    with KeySetServer(old) as keys:
        server = start_server("--publisher-jwks", keys.url, "--publisher-audience", "https://hub", "--anonymous")
        assert publish(server, old.token(publish=["*"], aud=["https://app", "https://hub"]), ("topic", "a"))[0] == 200
        keys.keys = [new]
        token = new.token(publish=["*"], aud="https://hub")
        # A key that is not known is looked for at once, unless it was just looked for.
        wait_until(lambda: publish(server, token, ("topic", "a"))[0] == 200, "the new key is known")
        assert publish(server, old.token(publish=["*"], aud="https://hub"), ("topic", "a"))[0] == 401
        for claims in ({"aud": "https://app"}, {}):
            status, body = publish(server, new.token(publish=["*"], **claims), ("topic", "a"))
            assert status == 401 and "aud" in body
        keys.status = 500
        assert publish(server, token, ("topic", "a"))[0] == 200
        assert keys.requests < 10


def test_a_key_set_needs_an_audience() -> None:
    result = subprocess.run(
        [martlet(), "serve", "--port", "0", "--publisher-jwks", "https://login.example.com/jwks.json", "--anonymous"],
        env=plain_environment(), capture_output=True, text=True, timeout=DEADLINE, check=False,
    )
    assert result.returncode == 2
    assert "publisher-audience" in result.stderr and "allow-any-audience" in result.stderr


def test_a_token_is_of_the_issuer_and_of_the_kind_that_is_taken(start_server: StartServer) -> None:
    key = Key.make("HS256")
    environment = reference_environment(key, key, "anonymous") | {"MARTLET_PUBLISHER_ISSUER": "https://a/ https://b/"}
    server = start_server(environment=environment)
    assert publish(server, key.token(publish=["*"], iss="https://b/"), ("topic", "a"))[0] == 200
    identity = {"iss": "https://b/", "nonce": "n"}
    for claims, reason in [({"iss": "https://b"}, "iss"), ({}, "iss"), (identity, "ID token")]:
        status, body = publish(server, key.token(publish=["*"], **claims), ("topic", "a"))
        assert status == 401 and reason in body


@pytest.mark.parametrize("kind", ["public", "JWK", "URL"])
def test_what_others_may_have_is_no_secret(kind: str) -> None:
    key = Key.make("RS256")
    text = {
        "public": "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC",
        "JWK": json.dumps(key.jwk),
        "URL": "https://a.example/jwks",
    }
    environment = plain_environment() | {"MARTLET_PUBLISHER_KEY": text[kind], "MARTLET_ANONYMOUS": "true"}
    result = subprocess.run(
        [martlet(), "serve", "--port", "0"],
        env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("martlet: publisher-key: ") and text[kind] not in result.stderr


def test_refusals_say_why_and_never_repeat_the_token(start_server: StartServer) -> None:
    publisher, subscriber = Key.make("HS256"), Key.make("HS256")
    server = start_server(environment=reference_environment(publisher, subscriber))
    cases = {
        "expired": publisher.token(publish=["*"], lifetime=-10),
        "not valid before": publisher.token(publish=["*"], nbf=4_000_000_000),
        "signature": Key("HS256", "another secret that is long enough to be one").token(publish=["*"]),
        "algorithm not allowed": Key.make("ES256").token(publish=["*"]),
        "mercure.publish": publisher.token(subscribe=["*"]),
        "secret-topic": publisher.token(publish=["other"]),
    }
    for reason, token in cases.items():
        status, body = publish(server, token, ("topic", "secret-topic"))
        assert status == 401, reason
        assert reason in json.loads(body)["detail"], (reason, body)
        assert token not in body
    assert publish(server, None, ("topic", "a"))[0] == 401
    assert request(server.port, "GET", f"{HUB}?topic=a")[0] == 401
    assert request(server.port, "GET", "/events/a")[0] == 401
    assert request(server.port, "POST", "/events/a", "x")[0] == 401
    assert request(server.port, "GET", "/metrics")[0] == 404
    log = server.log.read_text()
    assert not [token for token in cases.values() if token in log]


def test_streams_end_are_renewed_and_revoked_with_tokens(start_server: StartServer) -> None:
    publisher, subscriber = Key.make("HS256"), Key.make("HS256")
    server = start_server(environment=reference_environment(publisher, subscriber))

    def bearer(key: Key, **claims: object) -> dict[str, str]:
        return {"Authorization": f"Bearer {key.token(**claims)}"}  # type: ignore[arg-type]

    short = subscriber.token(subscribe=["a"], lifetime=3, sub="alice")
    options = ["-H", f"Authorization: Bearer {short}"]
    with (
        Curl(server.port, "/events/a?stream=kept", *options) as kept,
        Curl(server.port, "/events/a?stream=left", *options) as left,
    ):
        wait_until(lambda: len(kept.lines) > 2 and len(left.lines) > 2, "both streams are open")
        renewal = bearer(subscriber, subscribe=["a"], sub="alice")
        assert request(server.port, "POST", "/streams/kept", headers=renewal) == (200, '{"renewed":1,"ended":0}\n')
        wait_until(lambda: not left.is_open(), "the one that was not renewed has ended")
        assert left.lines[-2].startswith("retry: ")
        assert kept.is_open()
        everything = bearer(publisher, publish=["*"])
        assert request(server.port, "POST", "/revoke?principal=alice", headers=everything) == (200, '{"ended":1}\n')
        wait_until(lambda: not kept.is_open(), "the other was revoked")

    owner = bearer(subscriber, subscribe=["a"], sub="alice")
    ticket = json.loads(request(server.port, "POST", "/tickets?topic=a", headers=owner)[1])["ticket"]
    with Curl(server.port, f"/events/a?ticket={ticket}") as stream:
        wait_until(lambda: len(stream.lines) > 2, "the ticket opens a stream")
        assert request(server.port, "GET", f"/events/a?ticket={ticket}")[0] == 401


@contextmanager
def site(directory: Path) -> Iterator[str]:
    """A web server for a page, of an origin of its own."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), partial(Quiet, directory=str(directory)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


# As any page for the reference hub: nothing but the URL says whose hub it is.
PAGE = """<!doctype html><title>Updates</title><script>
const url = new URL(new URLSearchParams(location.search).get("hub"));
url.searchParams.append("topic", "https://example.com/users/{id}");
window.seen = [];
const source = new EventSource(url, { withCredentials: true });
source.onmessage = (event) => window.seen.push(event.data);
source.onopen = () => { document.body.dataset.state = "open"; };
source.onerror = () => { document.body.dataset.state = source.readyState === EventSource.CLOSED ? "closed" : "retrying"; };
window.send = (data) => fetch(url.origin + url.pathname, {
  method: "POST", credentials: "include", body: new URLSearchParams({ topic: "https://example.com/users/1", data }),
}).then((response) => response.status, () => "unreadable");
</script><body></body>"""


def test_a_page_with_a_cookie_receives_from_an_allowed_origin_only(
    start_server: StartServer, browser: Browser, tmp_path: Path
) -> None:
    publisher, subscriber = Key.make("HS256"), Key.make("HS256")
    same = Key("HS256", publisher.private)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text(PAGE)
    with site(tmp_path / "site") as allowed, site(tmp_path / "site") as foreign:
        directives = f"cors_origins {allowed}\npublish_origins {allowed}"
        server = start_server(environment=reference_environment(publisher, same, directives))
        hub = f"http://{HOST}:{server.port}{HUB}"
        cookie = same.token(subscribe=["https://example.com/users/1"], publish=["https://example.com/users/1"])

        def visit(origin: str) -> Page:
            context = browser.new_context()
            context.set_default_timeout(DEADLINE * 1000)
            context.add_cookies([{"name": "mercureAuthorization", "value": cookie, "domain": HOST, "path": HUB}])
            page = context.new_page()
            page.goto(f"{origin}/?hub={urllib.parse.quote(hub)}")
            page.wait_for_selector("body[data-state]", state="attached")
            return page

        page, stranger = visit(allowed), visit(foreign)
        assert page.get_attribute("body", "data-state") == "open"
        assert stranger.get_attribute("body", "data-state") == "closed"

        sent = publish(server, publisher.token(publish=["*"]), ("topic", USER), ("data", "secret"), ("private", "on"))
        assert sent[0] == 200
        page.wait_for_function("window.seen.includes('secret')")
        assert page.evaluate("window.send('by cookie')") == 200
        page.wait_for_function("window.seen.includes('by cookie')")
        assert stranger.evaluate("window.send('forged')") == "unreadable"
        assert page.evaluate("window.send('last')") == 200
        page.wait_for_function("window.seen.includes('last')")
        assert page.evaluate("window.seen") == ["secret", "by cookie", "last"]
        assert stranger.evaluate("window.seen") == []
        page.context.close()
        stranger.context.close()
