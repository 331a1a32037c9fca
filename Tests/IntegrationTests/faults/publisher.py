# SPDX-License-Identifier: Apache-2.0
"""Publishes numbers and remembers which of them were acknowledged."""

import http.client
import threading
import time
from collections import Counter
from contextlib import suppress
from itertools import count
from typing import Self

from support import HOST, wait_until
from verdict import Sent


class Publisher:
    """Publishes one number after the other on one connection, in a thread of its own, until it is to stop.

    What is not answered is either published again with the same Idempotency-Key until it is acknowledged, or let be.
    What the server refuses because it cannot accept it now, and what never reached it, is published again in any case.
    """

    DEADLINE = 60.0  # seconds until a number has to be accepted
    PAUSE = 0.02  # seconds before it is tried again

    def __init__(
        self, port: int, first: int = 1, repeats: bool = True, interval: float = 0.01, timeout: float = 5.0,
        path: str = "/events/numbers", size: int = 0
    ) -> None:
        self.sent = Sent()
        self.refusals: Counter[int] = Counter()  # by status
        self.unanswered = 0  # requests
        self._numbers = count(first)
        self._repeats, self._interval, self._path, self._size = repeats, interval, path, size
        self._connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
        self._stopping = threading.Event()
        self._is_abandoned = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_abandoned = True
        self._stopping.set()
        self._thread.join()
        self._connection.close()

    @property
    def progress(self) -> int:
        """How many numbers were acknowledged."""
        if self._error:
            raise self._error
        return len(self.sent.acknowledged)

    def let_publish(self, count: int) -> None:
        """Waits until so many more numbers are acknowledged."""
        goal = self.progress + count
        wait_until(lambda: self.progress >= goal, f"{count} more numbers are acknowledged", self.DEADLINE)

    def finish(self) -> int:
        """Stops, publishes numbers until one more is acknowledged, and returns it."""
        self._stopping.set()
        self._thread.join()
        before = self.progress
        while self.progress == before:
            self._publish(next(self._numbers))
        return self.sent.acknowledged[-1]

    def _run(self) -> None:
        try:
            while not self._stopping.wait(self._interval):
                self._publish(next(self._numbers))
        except BaseException as error:
            self._error = error

    def _publish(self, number: int) -> None:
        """Publishes a number until it is acknowledged, or unanswered and let be."""
        end = time.monotonic() + self.DEADLINE
        while not self._is_abandoned:
            if self._is_connected():
                match self._post(number):
                    case 200:
                        return self.sent.acknowledged.append(number)
                    case None:
                        self.unanswered += 1
                        if not self._repeats:
                            return self.sent.unanswered.add(number)
                    case 503 | 507 as status:
                        self.refusals[status] += 1
                    case status:
                        raise AssertionError(f"{number} was answered with {status}")
            assert time.monotonic() < end, f"{number} was not accepted within {self.DEADLINE:.0f} s"
            time.sleep(self.PAUSE)

    def _is_connected(self) -> bool:
        with suppress(OSError):
            if self._connection.sock is None:
                self._connection.connect()
        return self._connection.sock is not None

    def _post(self, number: int) -> int | None:
        """The status of the answer; `None` where there is none."""
        headers = {"Idempotency-Key": str(number)} if self._repeats else {}
        # From here on the connection is not served at the front door.
        if number % 16 == 0:
            headers["Proxy-Connection"] = "keep-alive"
        try:
            self._connection.request("POST", self._path, str(number).ljust(self._size).encode(), headers)
            response = self._connection.getresponse()
            response.read()
            return response.status
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return None
