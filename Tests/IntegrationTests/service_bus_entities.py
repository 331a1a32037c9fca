# SPDX-License-Identifier: Apache-2.0
"""What a namespace of the Service Bus double holds: queues, topics, subscriptions, locked messages. No network."""

import heapq
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from proton import symbol, timestamp, uint

import amqp_bytes as amqp

DEAD_LETTERS = "$deadletterqueue"
REASON, DESCRIPTION = "DeadLetterReason", "DeadLetterErrorDescription"


@dataclass
class Counts:
    """What an entity has done. A topic or queue counts what is sent, a subscription or queue what is delivered."""

    sends: int = 0       # transfers that were accepted; a batch is one
    sent: int = 0        # messages in them
    duplicates: int = 0  # of these, dropped because their id was known
    refused: int = 0     # transfers that were answered with an injected error
    delivered: int = 0   # transfers to receivers, redeliveries included
    settled: int = 0     # deliveries that receivers ended with any outcome in time, or that were sent settled
    expired: int = 0     # locks that ran out
    attached: int = 0    # links


@dataclass(frozen=True)
class Message:
    """A message as it was sent. Everything from the properties on stays as the sender encoded it."""

    header: tuple[Any, ...]  # durable, priority, time to live
    annotations: dict[Any, Any]
    bare: bytes
    id: Any

    @classmethod
    def parse(cls, encoded: bytes) -> "Message":
        """Raises ValueError if these bytes are not a message."""
        header: tuple[Any, ...] = ()
        annotations: dict[Any, Any] = {}
        bare, id = b"", None
        for code, part in amqp.sections(encoded):
            if code == amqp.HEADER:
                header = tuple(amqp.decode(part).value[:3])
            elif code == amqp.ANNOTATIONS:
                annotations = amqp.decode(part).value
            elif code != amqp.DELIVERY_ANNOTATIONS:
                bare += part
                if code == amqp.PROPERTIES:
                    id = next(iter(amqp.decode(part).value), None)
        return cls(header, annotations, bare, id)

    @classmethod
    def parse_transfer(cls, encoded: bytes, format: int) -> list["Message"]:
        """The message, or those of a batch."""
        if format != amqp.BATCH_FORMAT:
            return [cls.parse(encoded)]
        return [cls.parse(amqp.binary(part)) for code, part in amqp.sections(encoded) if code == amqp.DATA]

    def with_properties(self, more: dict[str, str]) -> "Message":
        """With additional application properties."""
        before, after, properties = b"", b"", {}
        for code, part in amqp.sections(self.bare):
            if code == amqp.APPLICATION_PROPERTIES:
                properties = amqp.decode(part).value
            elif code == amqp.PROPERTIES:
                before += part
            else:
                after += part
        return replace(self, bare=before + amqp.section(amqp.APPLICATION_PROPERTIES, properties | more) + after)


@dataclass
class Stored:
    """A message in a queue or subscription."""

    message: Message
    sequence: int
    enqueued: float  # seconds since 1970
    delivery_count: int = 0

    def __lt__(self, other: "Stored") -> bool:
        return self.sequence < other.sequence

    def encoded(self, locked_until: float | None = None) -> bytes:
        durable, priority, ttl = (*self.message.header, None, None, None)[:3]
        header = [durable is not False, priority, ttl, self.delivery_count == 0, uint(self.delivery_count)]
        annotations = self.message.annotations | {
            symbol("x-opt-sequence-number"): self.sequence,
            symbol("x-opt-enqueued-time"): timestamp(round(self.enqueued * 1000)),
        }
        if locked_until is not None:
            annotations[symbol("x-opt-locked-until")] = timestamp(round(locked_until * 1000))
        return amqp.section(amqp.HEADER, header) + amqp.section(amqp.ANNOTATIONS, annotations) + self.message.bare


@dataclass
class Lock:
    stored: Stored
    until: float  # seconds since 1970
    token: uuid.UUID = field(default_factory=uuid.uuid4)


class Store:
    """A queue, a subscription, or their dead letters: messages in the order of their sequence numbers."""

    def __init__(
        self, path: str, counts: Counts, first_sequence: int = 1, lock_duration: float = 30,
        max_delivery_count: int = 10, is_dead_letters: bool = False,
    ) -> None:
        self.path, self.counts, self.lock_duration = path, counts, lock_duration
        self.locks: dict[uuid.UUID, Lock] = {}
        self.deferred: dict[int, Stored] = {}
        self.changed: Callable[[], None] = lambda: None  # after a message became available or was locked
        self._next_sequence, self._max_delivery_count = first_sequence, max_delivery_count
        self._ready: list[Stored] = []
        self.dead_letters = None if is_dead_letters else Store(
            f"{path}/{DEAD_LETTERS}", Counts(), 1, lock_duration, 2**31, is_dead_letters=True)

    def put(self, message: Message) -> Stored:
        stored = Stored(message, self._next_sequence, time.time())
        self._next_sequence += 1
        self._make_ready(stored)
        return stored

    def take(self) -> Stored | None:
        return heapq.heappop(self._ready) if self._ready else None

    def lock(self, stored: Stored) -> Lock:
        lock = Lock(stored, time.time() + self.lock_duration)
        self.locks[lock.token] = lock
        self.changed()
        return lock

    def renew(self, token: uuid.UUID) -> Lock | None:
        """None if this lock is over."""
        if (lock := self.locks.get(token)) is not None:
            lock.until = time.time() + self.lock_duration
            self.changed()
        return lock

    def settle(self, token: uuid.UUID, outcome: str, properties: dict[str, str] | None = None) -> bool:
        """Ends a lock with `completed`, `released`, `abandoned`, `defered` or `suspended`. False if it was over."""
        lock = self.locks.pop(token, None)
        if lock is None:
            return False
        self.counts.settled += 1
        if outcome == "released":
            self._make_ready(lock.stored)
        elif outcome == "abandoned":
            self._return(lock.stored)
        elif outcome == "defered":
            self.deferred[lock.stored.sequence] = lock.stored
        elif outcome == "suspended":
            self._bury(lock.stored, properties or {})
        return True

    def expire(self) -> None:
        """Ends the locks whose time is over."""
        now = time.time()
        for lock in [lock for lock in self.locks.values() if lock.until <= now]:
            del self.locks[lock.token]
            self.counts.expired += 1
            self._return(lock.stored)

    def messages(self, from_sequence: int = 0) -> Iterator[Stored]:
        """All messages from this sequence number on."""
        held = [*self._ready, *self.deferred.values(), *(lock.stored for lock in self.locks.values())]
        return (stored for stored in sorted(held) if stored.sequence >= from_sequence)

    def _return(self, stored: Stored) -> None:
        stored.delivery_count += 1
        if stored.delivery_count >= self._max_delivery_count:
            self._bury(stored, {REASON: "MaxDeliveryCountExceeded"})
        else:
            self._make_ready(stored)

    def _bury(self, stored: Stored, properties: dict[str, str]) -> None:
        if self.dead_letters is not None:
            self.dead_letters.put(stored.message.with_properties(properties))

    def _make_ready(self, stored: Stored) -> None:
        heapq.heappush(self._ready, stored)
        self.changed()


class Entity:
    """What clients send to: a topic, which copies each message into every subscription, or a queue."""

    def __init__(self, name: str, stores: list[Store], counts: Counts, duplicate_window: float | None) -> None:
        self.name, self.stores, self.counts = name, stores, counts
        self.busy: list[bool] = []  # whether the next transfers are answered with "server busy"
        self._window = duplicate_window
        self._known: dict[tuple[str, Any], float] = {}

    def send(self, messages: list[Message], put: Callable[[Store, Message], Any] = Store.put) -> None:
        self.counts.sends += 1
        for message in messages:
            self.counts.sent += 1
            if self._is_duplicate(message):
                self.counts.duplicates += 1
                continue
            for store in self.stores:
                put(store, message)

    def _is_duplicate(self, message: Message) -> bool:
        if self._window is None or message.id is None:
            return False
        now = time.monotonic()
        while self._known and now - next(iter(self._known.values())) >= self._window:
            del self._known[next(iter(self._known))]
        id = (type(message.id).__name__, message.id)
        if id in self._known:
            return True
        self._known[id] = now
        return False
