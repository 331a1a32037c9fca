# SPDX-License-Identifier: Apache-2.0
"""Many subscribers that behave as an EventSource does, whatever happens to their connections."""

import asyncio
import resource
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Self

from event_stream import EventStream, Response
from loop_thread import LoopThread
from support import HOST, wait_until
from verdict import Received


class Subscriber:
    """One EventSource: whenever its connection ends it comes back, with the id that it saw last.

    It gives up where an EventSource would, on any answer but a stream of status 200, and where the answer is not HTTP.
    """

    FLOOR = 0.02  # the shortest time between two connections, in seconds

    def __init__(self, herd: "Herd") -> None:
        self.herd = herd
        self.received = Received()
        self.last_id: str | None = None
        self.retry = 1.0  # what it is told, in seconds
        self.is_open = False  # it has been told where its stream begins
        # How many events it had each time that a stream was brought to its end, or cut off.
        self.ends: list[int] = []
        self.cuts: list[int] = []
        self.sent_away = 0  # how often it was told to come back, and nothing else

    async def live(self) -> None:
        while self.received.failure is None:
            with suppress(OSError):
                await self._connect()
            await asyncio.sleep(max(self.FLOOR, self.retry * self.herd.pace * self.herd.random.uniform(0.8, 1.2)))

    async def _connect(self) -> None:
        """Returns when the connection has ended."""
        loop = asyncio.get_running_loop()
        transport, connection = await loop.create_connection(lambda: Connection(self), HOST, self.herd.port)
        try:
            # Whoever knocks at a port of his own machine where nobody listens may be given that port, and meet himself.
            if transport.get_extra_info("sockname") == transport.get_extra_info("peername"):
                return
            resume = "" if self.last_id is None else f"Last-Event-ID: {self.last_id}\r\n"
            # Half of them are not answered at the front door.
            way = self.herd.random.choice(["", "Proxy-Connection: keep-alive\r\n"])
            head = f"GET {self.herd.path} HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/event-stream\r\n{way}{resume}\r\n"
            transport.write(head.encode())
            await connection.ended
        finally:
            transport.abort()


class Connection(asyncio.Protocol):
    """One response to one subscriber."""

    def __init__(self, subscriber: Subscriber) -> None:
        self.subscriber = subscriber
        self.ended = asyncio.get_running_loop().create_future()
        self._response = Response()
        self._stream = EventStream()

    def data_received(self, data: bytes) -> None:
        if self.ended.done():
            return
        try:
            body = self._response.feed(data)
            if self._response.status not in (0, 200):
                raise ValueError(f"status {self._response.status}")
            if self._response.status and self._response.headers.get("content-type") != "text/event-stream":
                raise ValueError("not an event stream")
            for kind, text in self._stream.feed(body):
                if kind == "gap":
                    self.subscriber.received.gaps.append(text)
                else:
                    self.subscriber.received.numbers.append(int(text))
        except ValueError as error:
            self.subscriber.received.failure = str(error)
            return self._end()
        if self._stream.retry is not None:
            self.subscriber.retry = self._stream.retry
        if self._stream.last_id is not None:
            self.subscriber.last_id = self._stream.last_id
            self.subscriber.is_open = True
        if self._response.is_complete:
            self._end()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self._end()

    def _end(self) -> None:
        self.ended.set_result(None)
        if self.subscriber.is_open:
            self.subscriber.is_open = False
            ends = self.subscriber.ends if self._response.is_complete else self.subscriber.cuts
            ends.append(len(self.subscriber.received.numbers))
        elif self._response.is_complete:
            self.subscriber.sent_away += 1


class Herd:
    """Subscribers in a thread of their own. They wait `pace` times as long as they are told before they come back."""

    DEADLINE = 60.0  # seconds; a bound for what should take far less

    def __init__(self, port: int, count: int, random: Random, pace: float = 1.0, path: str = "/events/numbers") -> None:
        self.port, self.random, self.pace, self.path = port, random, pace, path
        self.subscribers = [Subscriber(self) for _ in range(count)]
        _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
        self._loop = LoopThread()

    def __enter__(self) -> Self:
        self._loop.start()
        self._loop.run(self._start())
        self.wait_until_open()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.stop()

    async def _start(self) -> None:
        self._lives = [asyncio.ensure_future(subscriber.live()) for subscriber in self.subscribers]

    @property
    def received(self) -> list[Received]:
        return [subscriber.received for subscriber in self.subscribers]

    @property
    def deliveries(self) -> int:
        return sum(len(received.numbers) for received in self.received)

    def wait_until_open(self) -> None:
        self.wait_until(lambda subscriber: subscriber.is_open, "all streams are open")

    def wait_for(self, number: int) -> None:
        """Waits until all have received a number. That somebody does not get it is for the verdict to say."""
        with suppress(AssertionError):
            self.wait_until(lambda subscriber: number in subscriber.received.numbers, f"all have {number}")

    def wait_until(self, condition: Callable[[Subscriber], object], what: str) -> None:
        """Waits until something is so for each that has not given up, all at once or one after the other."""
        for subscriber in self.subscribers:
            wait_until(lambda: subscriber.received.failure or condition(subscriber), what, self.DEADLINE)
