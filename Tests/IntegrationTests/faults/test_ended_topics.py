# SPDX-License-Identifier: Apache-2.0
"""A server that is killed between the end of a topic and its answer: afterwards the topic has ended, or is open, for all.

What was acknowledged holds: an end, the writer of a topic, and the newest value of each key, also if history has lost
their events.
"""

import http.client
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from scale import scale, seeded
from sqlite_log import DURABILITIES, sqlite
from support import HOST, Martlet, request, wait_until

KILLS = scale("KILLS", 5)


class Ender:
    """Opens and ends topics, one after the other, and remembers what was acknowledged."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.opened: list[str] = []  # was told that the topic has an event
        self.ended: dict[str, str] = {}  # by topic, the answer to its end
        self.unknown: set[str] = set()  # no answer to its end
        self.values: dict[str, str] = {}
        self.stopping = threading.Event()
        self.number = 0

    def _publish(self, path: str, data: str) -> str | None:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("POST", path, data)
            answer = connection.getresponse()
            text = answer.read().decode().strip()
            return text if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def run(self) -> None:
        while not self.stopping.is_set():
            self.number += 1
            topic = f"chat/{self.number}"
            if self._publish(f"/events/{topic}", "open") is None:
                self.stopping.wait(0.02)
                continue
            self.opened.append(topic)
            key = f"k{self.number % 20}"
            if self._publish(f"/events/values?key={key}", str(self.number)) is not None:
                self.values[key] = str(self.number)
            else:
                self.values.pop(key, None)
            answer = self._publish(f"/events/{topic}?close=1", "last")
            if answer is None:
                self.unknown.add(topic)
            else:
                self.ended[topic] = answer


@pytest.mark.parametrize("durability", DURABILITIES)
def test_an_acknowledged_end_holds_when_the_server_is_killed(
    start_server: Callable[..., Martlet], tmp_path: Path, durability: str
) -> None:
    random = seeded()
    # So that most ends and values are no longer in history.
    server = start_server(*sqlite(tmp_path / "log", durability), "--history-events", "20")
    ender = Ender(server.port)
    for _ in range(KILLS):
        ender.stopping.clear()
        thread = threading.Thread(target=ender.run)
        thread.start()
        goal = len(ender.ended) + random.randint(10, 30)
        wait_until(lambda goal=goal: len(ender.ended) >= goal, "topics have ended")
        server.kill()
        ender.stopping.set()
        thread.join()
        server.start()
        for topic in ender.ended:
            assert request(server.port, "POST", f"/events/{topic}", "late")[0] == 409, topic
        for topic in sorted(ender.unknown):
            # To end it again works whether or not it has ended, and then it has.
            status, answer = request(server.port, "POST", f"/events/{topic}?close=1", "")
            assert status == 200, answer
            assert request(server.port, "POST", f"/events/{topic}", "late")[0] == 409, topic
            again = request(server.port, "POST", f"/events/{topic}?close=1", "")
            assert again == (200, answer)
            ender.ended[topic] = answer
        ender.unknown.clear()
        values = current_values(server.port)
        for key, value in ender.values.items():
            assert values.get(key) == value, (key, value, values)
    print(f"--- {KILLS} kills, {len(ender.ended)} topics")


def current_values(port: int) -> dict[str, str]:
    """The numbers that a newcomer to the topic `values` gets, by their keys."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    connection.request("GET", "/events/values?state=latest")
    answer = connection.getresponse()
    assert answer.status == 200
    numbers: list[int] = []
    seen = ""
    while True:
        line = answer.readline().decode()
        seen += line
        if line.startswith("data:"):
            numbers.append(int(json.loads(line[5:])))
        # The block with only an id ends the values.
        if seen.endswith("\n\n"):
            block = [part for part in seen.split("\n\n") if part][-1]
            if block.startswith("id:") and "data:" not in block:
                break
    connection.close()
    return {f"k{number % 20}": str(number) for number in numbers}
