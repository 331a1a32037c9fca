# SPDX-License-Identifier: Apache-2.0
"""What is measured, and of whom."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import Generators, Herd, RunningServer, Server, Usage
from report import Column, Metrics, median, ratio, spread, worst
from servers import Floor, Martlet, Nchan, Node, Starlette


@dataclass(frozen=True)
class Load:
    """What a scenario does to a running server."""

    generators: Generators
    server: RunningServer
    path: str
    subscribers: int
    seconds: float


@dataclass(frozen=True)
class Candidate:
    """A row of a table."""

    label: str
    server: Server
    path: str


@dataclass(frozen=True)
class Scenario:
    title: str
    subscribers: int
    candidates: list[Candidate]
    measure: Callable[[Load], Metrics]
    columns: list[Column]


# Loads with `martlet bench`.

def delivery(load: Load) -> Metrics:
    return stream(load, rate=10)


def saturation(load: Load) -> Metrics:
    return stream(load, rate=1000)


def stream(load: Load, rate: int) -> Metrics:
    report = load.generators.bench(
        load.server, load.path, subscribers=load.subscribers, rate=rate, seconds=load.seconds)
    subscribers, published = report["subscribers"], report["published"]
    latency = report.get("latencyMicroseconds")
    return {
        "cpu": report["server"].get("cpuMicrosecondsPerDelivery"),
        "p50": latency and latency["p50"] / 1000,
        "p99": latency and latency["p99"] / 1000,
        "deliveries": report["deliveries"]["perSecond"],
        "accepted": published["acceptedPerSecond"],
        "cut": subscribers["failed"] + subscribers["closed"],
        "lost": published["lost"],
        "generator": report["generator"]["cpuPercent"],
    }


# Loads with a herd.

@dataclass(frozen=True)
class Visit:
    """What a herd cost the server."""

    subscribers: int
    before: Usage
    present: Usage
    after: Usage
    arrivals: float  # a second
    events: int
    closed: int

    @property
    def cpu(self) -> float:
        """Microseconds to accept a subscriber."""
        return (self.present.cpu - self.before.cpu) * 1e6 / self.subscribers

    @property
    def memory(self) -> float:
        """Kilobytes (1000 bytes) of a subscriber."""
        return (self.present.anonymous - self.before.anonymous) / 1e3 / self.subscribers


def visit(load: Load, rate: int, meanwhile: Callable[[], None] = lambda: None) -> Visit:
    """Subscribers come, all are connected while `meanwhile` is called, and they go. Each time the server settles."""
    before = load.server.settle()
    with Herd(load.generators.herd, load.server, load.path, load.subscribers, rate) as herd:
        present = load.server.settle()
        meanwhile()
    after = load.server.settle()
    arrivals = load.subscribers / max(herd.seconds, 1e-9)
    return Visit(load.subscribers, before, present, after, arrivals, herd.events, herd.closed)


def idle(load: Load) -> Metrics:
    first, second = visit(load, rate=4000), visit(load, rate=4000)
    fresh, warm, present, left = (
        usage.anonymous for usage in (first.before, second.before, second.present, second.after))
    return {
        # Not above the warm start, because most servers keep what the first herd has freed.
        "memory": (present - fresh) / 1e3 / load.subscribers,
        "first": first.memory,
        "growth": second.memory,
        "fresh": fresh / 1e6,
        "warm": warm / 1e6,
        "present": present / 1e6,
        "left": (left - warm) / 1e6,
        "cut": first.closed + second.closed,
    }


def accept(load: Load) -> Metrics:
    first, second = visit(load, rate=4000), visit(load, rate=4000)
    return {"cpu": second.cpu, "first": first.cpu, "arrivals": second.arrivals, "cut": first.closed + second.closed}


# How many publish at the same time.
PUBLISHERS = 16


def publish(load: Load) -> Metrics:
    """Publishers that each wait for their answer, and one subscriber, as servers do less for topics without any."""
    with Herd(load.generators.herd, load.server, load.path, 1, 1):
        before = load.server.usage
        report = load.generators.publish(
            load.server, load.server.server.publish_path, connections=PUBLISHERS, seconds=load.seconds)
        after = load.server.usage
    return {
        "cpu": (after.cpu - before.cpu) * 1e6 / max(report["accepted"], 1),
        "accepted": report["accepted"] / report["seconds"],
        "refused": report["refused"],
    }


def private(load: Load) -> Metrics:
    """The events are published by a generator that is one more subscriber, of the common topic only."""
    report: dict[str, dict[str, float]] = {}

    def publish() -> None:
        common = load.server.server.publish_path
        report.update(load.generators.bench(load.server, common, subscribers=1, rate=10, seconds=load.seconds))
        load.server.settle()

    herd = visit(load, rate=2000, meanwhile=publish)
    published = report["published"]
    deliveries = published["acceptedPerSecond"] * (load.subscribers + 1)  # a second
    return {
        "cpu": report["server"]["cpuPercent"] / 100 * 1e6 / deliveries if deliveries else None,
        "memory": herd.memory,
        "cut": herd.closed,
        "lost": published["accepted"] * load.subscribers - herd.events,
    }


# How many subscribers are live while others replay, how many of those come in a second, and how much each has missed.
LIVE, RETURNS, MISSED = 5000, 1000, 1000
# Seconds until `martlet bench` has them all, and measures.
PREPARATION = 4.7


def replay(load: Load) -> Metrics:
    """Events go to live subscribers, first undisturbed, then while others come back that have missed as many events."""
    publish, seconds = load.server.server.publish_path, max(load.seconds, load.subscribers / RETURNS)

    def live() -> dict[str, Any]:
        return load.generators.bench(load.server, publish, subscribers=LIVE, rate=10, seconds=seconds)

    alone = live()
    # In the log alone, because nobody is subscribed.
    last = load.server.publish("bench", 1 + MISSED)[0]
    with ThreadPoolExecutor() as executor:
        measuring = executor.submit(live)
        time.sleep(PREPARATION)
        before = load.server.usage
        with Herd(
            load.generators.herd, load.server, f"{load.path}lastEventID={last}", load.subscribers, RETURNS, events=MISSED
        ) as herd:
            after = load.server.usage
            busy = measuring.result()
    p99, base = busy["latencyMicroseconds"]["p99"], alone["latencyMicroseconds"]["p99"]
    return {
        "alone": base / 1000,
        "p99": p99 / 1000,
        "slower": p99 / base,
        "worst": busy["latencyMicroseconds"]["max"] / 1000,
        "replayed": load.subscribers * MISSED / herd.seconds,
        "cpu": (after.cpu - before.cpu) * 1e6 / load.subscribers,
        "memory": after.anonymous / 1e6,
        "lost": busy["published"]["lost"],
        "cut": herd.closed + busy["subscribers"]["closed"],
        "generator": busy["generator"]["cpuPercent"],
    }


# How many subscribers are live, how many others come in a second, and how many publish.
WATCHERS, ARRIVALS, SENDERS = 1000, 4000, 64


def crowd(load: Load) -> Metrics:
    """Events go to live subscribers: first undisturbed, then while others connect, then while others publish."""
    publish = load.server.server.publish_path

    def live(meanwhile: Callable[[Future[dict[str, Any]]], None]) -> dict[str, Any]:
        with ThreadPoolExecutor() as executor:
            measuring = executor.submit(
                lambda: load.generators.bench(
                    load.server, publish, subscribers=WATCHERS, rate=100, seconds=load.seconds))
            meanwhile(measuring)
            return measuring.result()

    def arrive(measuring: Future[dict[str, Any]]) -> None:
        time.sleep(1)
        count = int(ARRIVALS * (load.seconds - 0.5))
        # Many that leave at once would keep the generator from reading, so they stay until it has ended.
        with Herd(load.generators.herd, load.server, f"{load.path}other", count, ARRIVALS):
            wait([measuring])

    def send(measuring: Future[dict[str, Any]]) -> None:
        while not measuring.done():
            load.generators.publish(load.server, f"{publish}other", connections=SENDERS, seconds=1)

    runs = [live(lambda _: None), live(arrive), live(send)]
    alone, arriving, sending = (run["latencyMicroseconds"]["p99"] / 1000 for run in runs)
    return {
        "alone": alone,
        "arriving": arriving,
        "arrivals": arriving / alone,
        "sending": sending,
        "sends": sending / alone,
        "lost": sum(run["published"]["lost"] for run in runs),
        "cut": sum(run["subscribers"]["failed"] + run["subscribers"]["closed"] for run in runs),
    }


def scenarios(martlet: Path, before: Path, folder: Path) -> dict[str, Scenario]:
    """
    - martlet: The program.
    - before: An older build of it.
    - folder: Where programs are built.
    """
    floor, hub, nchan, node, starlette = Floor(folder), Martlet(martlet), Nchan(), Node(), Starlette()
    older = Martlet(before, name="before")
    hub_with_file = Martlet(martlet, log="sqlite:hub.db")
    coalescing = Floor(folder, mode="coalesce")
    peers: list[Server] = [hub, older, nchan, node, starlette]

    def candidates(*servers: Server) -> list[Candidate]:
        return [Candidate(server.name, server, server.path) for server in servers]

    loss = [worst("lost or late", "lost"), worst("cut", "cut")]
    memory = [
        median("KB/subscriber", "memory", ".2f"), spread("range", "memory", ".2f"), ratio("nchan", "memory"), ratio("before", "memory"),
        median("first herd", "first", ".2f"), median("above warm", "growth", ".2f"), median("fresh MB", "fresh"),
        median("warm MB", "warm"), median("with all MB", "present"), median("left MB", "left", "+.2f"),
        worst("cut", "cut"),
    ]
    return {
        "delivery": Scenario(
            "delivery: one topic, 10 events/s of 200 B", 5000, candidates(floor, *peers), delivery,
            [median("CPU µs/delivery", "cpu", ".2f"), spread("range", "cpu", ".2f"), ratio("floor", "cpu"),
             ratio("nchan", "cpu"), ratio("before", "cpu"), median("p50 ms", "p50"), median("p99 ms", "p99"),
             median("events/s accepted", "accepted"), *loss, median("generator CPU %", "generator", ".0f")]),
        "saturation": Scenario(
            "saturation: one topic, 1 000 events/s of 200 B", 5000, candidates(coalescing, *peers), saturation,
            [median("deliveries/s", "deliveries", ",.0f"), spread("range", "deliveries", ",.0f"),
             ratio("floor", "deliveries"), ratio("nchan", "deliveries"), ratio("before", "deliveries"), median("events/s accepted", "accepted"),
             median("p50 ms", "p50"), median("p99 ms", "p99"), *loss, median("generator CPU %", "generator", ".0f")]),
        "idle": Scenario(
            "idle: memory of subscribers of one topic", 18_000, candidates(floor, *peers), idle, memory),
        "topics": Scenario(
            "topics: memory of subscribers of a topic each", 18_000,
            [Candidate(server.name, server, server.own_path) for server in (hub, older, nchan)], idle, memory),
        "accept": Scenario(
            "accept: processor time to accept a subscriber, at 4 000 a second", 5000, candidates(floor, *peers), accept,
            [median("CPU µs/subscriber", "cpu"), spread("range", "cpu"), ratio("floor", "cpu"), ratio("nchan", "cpu"), ratio("before", "cpu"),
             median("first herd: µs", "first"), median("accepted/s", "arrivals", ".0f"), worst("cut", "cut")]),
        "publish": Scenario(
            f"publish: {PUBLISHERS} publishers over keep-alive, each waits for its answer, 200 B, one subscriber", 1,
            candidates(hub, older, nchan, node) + [Candidate("martlet, SQLite", hub_with_file, hub_with_file.path)],
            publish,
            [median("CPU µs/publish", "cpu", ".1f"), spread("range", "cpu", ".1f"), ratio("nchan", "cpu"),
             ratio("before", "cpu"), median("accepted/s", "accepted", ",.0f"), worst("refused", "refused")]),
        "private": Scenario(
            "private: the common topic only, and besides it an own topic each; 10 events/s of 200 B to the common one",
            5000,
            [Candidate("common", hub, hub.path), Candidate("own", hub, f"{hub.path}?topic=own-%d")], private,
            [median("CPU µs/delivery", "cpu", ".2f"), spread("range", "cpu", ".2f"), ratio("common", "cpu"),
             median("KB/subscriber", "memory", ".2f"), *loss]),
        "replay": Scenario(
            f"replay: {LIVE} live subscribers, 10 events/s of 200 B, while others come back, {RETURNS} a second, "
            f"each {MISSED} events behind",
            5000,
            [Candidate("one topic", hub, f"{hub.path}?"), Candidate("own topics", hub, f"{hub.path}?topic=own-%d&")], replay,
            [median("live p99 ms", "alone"), median("while replaying", "p99"), median("ratio", "slower", ".2f"),
             spread("range", "slower", ".2f"), median("max ms", "worst"), median("events/s replayed", "replayed", ",.0f"),
             median("CPU µs/replay", "cpu", ".0f"), median("MB then", "memory"), *loss,
             median("generator CPU %", "generator", ".0f")]),
        "crowd": Scenario(
            f"crowd: {WATCHERS} live subscribers, 100 events/s of 200 B, alone, while others come at {ARRIVALS} "
            f"a second, and while {SENDERS} publishers send as fast as they are answered",
            1, candidates(hub, older), crowd,
            [median("live p99 ms", "alone"), median("while others come", "arriving"), median("ratio", "arrivals", ".2f"),
             spread("range", "arrivals", ".2f"), median("while others publish", "sending"), median("ratio", "sends", ".2f"),
             spread("range", "sends", ".2f"), *loss]),
    }
