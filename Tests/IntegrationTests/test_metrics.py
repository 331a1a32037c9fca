# SPDX-License-Identifier: Apache-2.0
"""What happens is counted for Prometheus."""

from collections.abc import Callable

from support import Curl, Martlet, free_port, is_ready, request, sample, wait_until


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
