# SPDX-License-Identifier: Apache-2.0
"""What happens is counted for Prometheus."""

import json
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from support import HOST, ROOT, Curl, Martlet, free_port, is_ready, request, sample, wait_until
from test_redis import Redis
from tokens import Key, KeySetServer


def families(port: int) -> list[Metric]:
    """All metrics, as the parser of the Prometheus project reads them."""
    status, text = request(port, "GET", "/metrics")
    assert status == 200
    return list(text_string_to_metric_families(text))


def test_what_is_published_and_delivered_is_counted(server: Martlet) -> None:
    port = server.port
    with Curl(port, "/events/counted") as curl:
        wait_until(lambda: sample(port, "martlet_streams") == 1, "the stream is counted")
        server.publish("counted", "one")
        wait_until(lambda: "data: one" in curl.lines, "the event is printed")
        wait_until(lambda: sample(port, "martlet_deliveries_total") == 1, "the delivery is counted")
        assert sample(port, "martlet_events_published_total") == 1
        assert sample(port, "martlet_delivered_bytes_total") > len("data: one")
    closed = 'martlet_streams_closed_total{reason="client"}'
    wait_until(lambda: sample(port, closed) == 1, "the end is counted")


def test_metrics_may_have_a_port_of_their_own(start_server: Callable[..., Martlet]) -> None:
    port = free_port()
    server = start_server("--metrics-port", str(port))
    wait_until(lambda: is_ready(port), "the other port answers")
    assert sample(port, "martlet_streams") == 0
    assert request(server.port, "GET", "/metrics")[0] == 404
    assert request(port, "GET", "/events/a")[0] == 404


def test_refusals_are_counted_by_status_and_reason(server: Martlet) -> None:
    def refusals(status: int, reason: str) -> float:
        name = f'martlet_refusals_total{{reason="{reason}",status="{status}"}}'
        return sample(server.port, name)

    assert refusals(404, "not_found") == 0
    assert request(server.port, "GET", "/nothing")[0] == 404
    assert refusals(404, "not_found") == 1
    assert request(server.port, "POST", "/events/a?id=%23x", "1")[0] == 400
    assert refusals(400, "invalid_id") == 1
    server.publish("a", "1", "?close=1")
    assert request(server.port, "POST", "/events/a", "2")[0] == 409
    assert refusals(409, "topic_ended") == 1
    with socket.create_connection((HOST, server.port)) as connection:
        connection.sendall(b"NONSENSE\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert refusals(400, "bad_request") == 1


def test_a_parser_of_prometheus_reads_all_metrics(server: Martlet) -> None:
    with Curl(server.port, "/events/a") as curl:
        wait_until(lambda: curl.lines, "the stream is open")
        server.publish("a", "1")
        assert request(server.port, "GET", "/nothing")[0] == 404
    found = families(server.port)
    names = [family.name for family in found]
    assert len(names) == len(set(names))
    for family in found:
        assert family.documentation, f"{family.name} has no HELP"
        assert family.type in ("counter", "gauge", "histogram"), family.name
        # Base units only.
        assert not re.search(r"_(ms|milliseconds|kb|mb|percent)$", family.name), family.name
    values = {sample.name: sample.value for family in found for sample in family.samples if not sample.labels}
    assert 1 << 20 < values["process_resident_memory_bytes"] < 1 << 34
    assert 10 < values["process_open_fds"] < values["process_max_fds"]
    assert values["process_cpu_seconds_total"] > 0
    assert values["martlet_history_events"] == 1
    assert values["martlet_history_bytes"] > 0
    assert values["martlet_publish_duration_seconds_count"] == 1


def test_no_duration_contains_the_life_of_a_stream(server: Martlet) -> None:
    with Curl(server.port, "/events/a") as curl:
        wait_until(lambda: curl.lines, "the stream is open")
        server.publish("a", "1")
        wait_until(lambda: "data: 1" in curl.lines, "the event is printed")
    wait_until(lambda: sample(server.port, 'martlet_streams_closed_total{reason="client"}') == 1, "the end is counted")
    histograms = [family for family in families(server.port) if family.type == "histogram"]
    assert {family.name for family in histograms} == {"martlet_delivery_lag_seconds", "martlet_publish_duration_seconds"}


def expressions(value: object) -> list[str]:
    """All queries in a file for Prometheus or Grafana."""
    if isinstance(value, list):
        return [query for item in value for query in expressions(item)]
    if not isinstance(value, dict):
        return []
    own = [item for name, item in value.items() if name in ("expr", "query") and isinstance(item, str)]
    return own + [query for item in value.values() for query in expressions(item)]


# A metric, and the labels that it is selected by.
SELECTOR = re.compile(r"\b((?:martlet|process)_\w+)(?:\{([^}]*)\})?")


@pytest.fixture
def all_samples(tmp_path: Path) -> list[tuple[str, dict[str, str]]]:
    """What two hubs count that have done some of everything: one with a file and a key set, and one with Redis."""
    key = Key.make("ES256", "k")
    redis = Redis(tmp_path)
    redis.start()
    with ExitStack() as stack:
        stack.callback(redis.kill)
        keys = stack.enter_context(KeySetServer(key))
        ports = [free_port(), free_port()]
        (tmp_path / "file").mkdir()
        file = stack.enter_context(
            Martlet(
                tmp_path / "file", "--log", f"sqlite:{tmp_path}/hub.db", "--metrics-port", str(ports[0]),
                "--subscriber-jwks", keys.url, "--publisher-jwks", keys.url, "--allow-any-audience", "--access-log"))
        headers = {"Authorization": f"Bearer {key.token(publish=['*'], subscribe=['*'])}"}
        with Curl(file.port, "/events/a", *[f"-H{name}: {value}" for name, value in headers.items()]) as curl:
            wait_until(lambda: curl.lines, "the stream is open")
            assert request(file.port, "POST", "/events/a?key=k", "1", headers)[0] == 200
            wait_until(lambda: "data: 1" in curl.lines, "the event is printed")
        assert request(file.port, "POST", "/events/a", "1")[0] == 401
        (tmp_path / "shared").mkdir()
        shared = stack.enter_context(
            Martlet(tmp_path / "shared", "--log", redis.url, "--metrics-port", str(ports[1])))
        shared.publish("a", "1")
        return [
            (sample.name, sample.labels) for port in ports for family in families(port) for sample in family.samples]


def test_alerts_and_dashboard_name_only_metrics_that_there_are(all_samples: list[tuple[str, dict[str, str]]]) -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/martlet.rules.yaml").read_text())
    board = json.loads((ROOT / "deploy/grafana/martlet.json").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert re.fullmatch(r"Martlet[A-Za-z]+", rule["alert"])
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert rule["annotations"]["summary"].endswith(".")
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(places) == len(set(places))
    for queries in (expressions(rules), expressions(board)):
        assert len(queries) > 10
        for query in queries:
            selectors = SELECTOR.findall(query)
            assert selectors or query in ("prometheus", 'up{job="martlet"} == 0'), query
            for name, labels in selectors:
                wanted = dict(re.findall(r'(\w+)="([^"$]*)"', labels))
                wanted.pop("job", None)
                assert any(
                    found == name and wanted.items() <= values.items() for found, values in all_samples
                ), f"{name}{{{labels}}} of {query}"
