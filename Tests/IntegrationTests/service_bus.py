# SPDX-License-Identifier: Apache-2.0
"""A test double of Azure Service Bus on loopback, which Microsoft's SDK takes for the service."""

import asyncio
import base64
import hashlib
import hmac
import random
import re
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, quote_plus, unquote_plus

from proton import (
    UNDESCRIBED, Array, Collector, Condition, Connection, Data, Delivery, Event, Link, Message as ProtonMessage, Sender,
    Terminus, Transport, int32, symbol, timestamp,
)

import amqp_bytes as amqp
from loop_thread import LoopThread
from service_bus_entities import DESCRIPTION, REASON, Counts, Entity, Lock, Message, Store
from support import HOST, free_port

CBS, MANAGEMENT = "$cbs", "/$management"
UNAUTHORIZED, NOT_FOUND, NOT_IMPLEMENTED = "amqp:unauthorized-access", "amqp:not-found", "amqp:not-implemented"
SERVER_BUSY, LOCK_LOST = "com.microsoft:server-busy", "com.microsoft:message-lock-lost"
DETACH_FORCED, CONNECTION_FORCED = "amqp:link:detach-forced", "amqp:connection:forced"
_SCHEDULED = "x-opt-scheduled-enqueue-time"
_CREDIT = 1000  # what the service gives a sender
_PRE_SETTLED = 1
_REQUEST_LIMIT = 64 * 1024
_TOKEN_TYPES = ("servicebus.windows.net:sastoken", "jwt")  # the SDK calls SAS tokens jwt as well
# The SDK reads the third field of an error, and proton leaves out a map that is empty.
_INFO: Any = {symbol("tracking-id"): "martlet-tests"}
_Result = TypeVar("_Result")


def sas_token(resource: str, key_name: str, key: str, expires: float) -> str:
    """A shared access signature. `resource`: as sb://host/topic; `expires`: seconds since 1970."""
    encoded, expiry = quote_plus(resource), str(int(expires))
    digest = hmac.new(key.encode(), f"{encoded}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = quote_plus(base64.b64encode(digest))
    return f"SharedAccessSignature sr={encoded}&sig={signature}&se={expiry}&skn={key_name}"


def path(address: str) -> str:
    """The path of an entity, in lower case, as its names do not depend on the case. Takes full URIs as well."""
    return re.sub(r"^(?:amqps?|sb)://[^/]*", "", address, flags=re.IGNORECASE).strip("/").lower()


class ServiceBus:
    """A namespace. Entities are created here, never by clients.

    Clients log in by SASL PLAIN with the key, or by SASL ANONYMOUS and a token that they put to `$cbs`. There is one
    key, with all rights. All that is stored stays over `stop` and `start`; locks run on meanwhile, as in the service.
    """

    def __init__(
        self, tls: ssl.SSLContext | None = None, key_name: str = "RootManageSharedAccessKey", key: str = "test+key/=",
        idle_timeout: float = 120, max_message_size: int = 256 * 1024,
    ) -> None:
        """`idle_timeout`: seconds after which a connection ends on which nothing came."""
        self.key_name, self.key, self.port = key_name, key, free_port()
        self.idle_timeout, self.max_message_size = idle_timeout, max_message_size
        self._tls = tls
        self._thread = LoopThread()
        self._entities: dict[str, Entity] = {}
        self._stores: dict[str, Store] = {}
        self._receivers: dict[Store, list[_Outgoing]] = {}
        self._timers: dict[Store, asyncio.TimerHandle] = {}
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._running = asyncio.Event()
        self._busy_attaches = self._lost_settlements = 0
        self._lost_acceptances: list[bool] = []
        self._delays: dict[Store, float] = {}
        self._places: dict[Store, dict[str, float]] = {}  # when the newest message of each sender is there
        self._logins: list[str] = []
        self._tokens = 0

    # Life.

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._running.set)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.resume()
        self.stop()
        self._thread.stop()

    def start(self) -> None:
        """Accepts connections, on the same port as before."""
        self._thread.run(self._start())

    def stop(self) -> None:
        """Ends all connections as a crash does, and refuses new ones."""
        self._thread.run(self._stop())

    def pause(self) -> None:
        """Neither reads nor answers any more. Connections stay open, and new ones are accepted by the kernel."""
        self._call(self._running.clear)

    def resume(self) -> None:
        self._call(self._resume)

    @contextmanager
    def paused(self) -> Iterator[None]:
        self.pause()
        try:
            yield
        finally:
            self.resume()

    # Addresses.

    @property
    def host(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def connection_string(self) -> str:
        """What Microsoft's SDKs take. Without TLS it says so in the way that they understand."""
        key = f"SharedAccessKeyName={self.key_name};SharedAccessKey={self.key}"
        if self._tls is None:
            return f"Endpoint=sb://{self.host};{key};UseDevelopmentEmulator=true"
        return f"Endpoint=sb://localhost:{self.port};{key}"

    def token(self, entity: str = "", lifetime: float = 3600) -> str:
        """A token for an entity, or for all, that is valid for so many seconds. Tokens count whole seconds."""
        return sas_token(f"sb://{self.host}/{entity}", self.key_name, self.key, time.time() + lifetime)

    # Entities.

    def create_topic(self, name: str, duplicate_window: float | None = None) -> None:
        """`duplicate_window`: for so many seconds a message whose id was seen before is dropped."""
        self._call(lambda: self._add_entity(Entity(name, [], Counts(), duplicate_window)))

    def create_subscription(
        self, topic: str, name: str, first_sequence: int = 1, lock_duration: float = 30, max_delivery_count: int = 10
    ) -> None:
        """A subscription that receives what is sent to the topic from now on."""
        full = f"{topic}/Subscriptions/{name}"

        def add() -> None:
            store = Store(full, Counts(), first_sequence, lock_duration, max_delivery_count)
            self._entities[path(topic)].stores.append(store)
            self._add_store(store)
        self._call(add)

    def create_queue(
        self, name: str, first_sequence: int = 1, lock_duration: float = 30, max_delivery_count: int = 10,
        duplicate_window: float | None = None,
    ) -> None:
        def add() -> None:
            store = Store(name, Counts(), first_sequence, lock_duration, max_delivery_count)
            self._add_entity(Entity(name, [store], store.counts, duplicate_window))
            self._add_store(store)
        self._call(add)

    def delete(self, entity: str) -> None:
        """Deletes a topic with its subscriptions, a subscription, or a queue. Links to it are detached."""
        def remove() -> None:
            prefix = path(entity)
            for known in (self._entities, self._stores):
                for name in [name for name in known if f"{name}/".startswith(f"{prefix}/")]:
                    known.pop(name)
            for other in self._entities.values():
                other.stores = [store for store in other.stores if path(store.path) in self._stores]
            self._detach(prefix, Condition("amqp:resource-deleted", f"{entity} was deleted", _INFO))
        self._call(remove)

    def counts(self, entity: str) -> Counts:
        """What a topic, subscription or queue has done so far."""
        return self._call(lambda: replace(self._counts(path(entity))))

    def waiting(self, entity: str) -> int:
        """How many messages a subscription or queue holds, locked and deferred ones included."""
        return self._call(lambda: sum(1 for _ in self._stores[path(entity)].messages()))

    def locked(self, entity: str) -> int:
        """How many messages of a subscription or queue receivers hold at the moment."""
        return self._call(lambda: len(self._stores[path(entity)].locks))

    @property
    def connections(self) -> int:
        return self._call(lambda: len(self._connections))

    @property
    def logins(self) -> list[str]:
        """The SASL mechanism of each login so far; those that were refused begin with `!`."""
        return self._call(lambda: list(self._logins))

    @property
    def tokens(self) -> int:
        """How many tokens were accepted so far."""
        return self._call(lambda: self._tokens)

    # Faults.

    def throttle(self, entity: str = "", sends: int = 0, attaches: int = 0, after: int = 0) -> None:
        """Answers the next transfers to a topic or queue, and the next attaches anywhere, with "server busy".

        `after`: so many transfers pass before.
        """
        def set() -> None:
            if entity:
                self._entities[path(entity)].busy = [False] * after + [True] * sends
            self._busy_attaches = attaches
        self._call(set)

    def lose_settlements(self, count: int = 1) -> None:
        """Cuts the connection in place of each of the next settlements, which have no effect."""
        self._call(lambda: setattr(self, "_lost_settlements", count))

    def lose_acceptances(self, count: int = 1, after: int = 0) -> None:
        """Cuts the connection in place of answering each of the next transfers, which are stored.

        `after`: so many transfers are answered before.
        """
        self._call(lambda: setattr(self, "_lost_acceptances", [False] * after + [True] * count))

    def delay(self, subscription: str, most: float) -> None:
        """What is sent reaches a subscription up to so many seconds later, in the order of each client.

        It is accepted when it is in all subscriptions, so what is sent after that follows it everywhere.
        """
        self._call(lambda: self._delays.update({self._stores[path(subscription)]: most}))

    def end_tokens(self) -> None:
        """All tokens that clients have put are over."""
        def end() -> None:
            for connection in list(self._connections):
                connection.end_tokens()
        self._call(end)

    def detach(self, entity: str, condition: str = DETACH_FORCED, description: str = "detached by the test") -> None:
        """Detaches all links of a topic, subscription or queue with an error."""
        self._call(lambda: self._detach(path(entity), Condition(condition, description, _INFO)))

    def close_connections(self, condition: str = CONNECTION_FORCED, description: str = "closed by the test") -> None:
        """Closes all connections with an error, in the way that AMQP has for it."""
        def close() -> None:
            for connection in list(self._connections):
                connection.close(Condition(condition, description, _INFO))
        self._call(close)

    def cut(self) -> None:
        """Ends all connections without a word."""
        def cut() -> None:
            for connection in list(self._connections):
                connection.cut()
        self._call(cut)

    # Everything below runs on the loop's thread.

    def _call(self, work: Callable[[], _Result]) -> _Result:
        async def call() -> _Result:
            return work()
        result: _Result = self._thread.run(call())
        return result

    async def _start(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, HOST, self.port, ssl=self._tls)

    async def _stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in list(self._connections):
            connection.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _resume(self) -> None:
        self._running.set()
        for store in list(self._receivers):
            self.offer(store)
        for connection in list(self._connections):
            connection.flush()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = _Connection(self, writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._running.wait()
                if await self._login(reader, writer, connection):
                    self._connections.add(connection)
                    await connection.run(reader)
        finally:
            self._connections.discard(connection)
            self._tasks.discard(task)
            connection.forget()
            writer.close()

    async def _login(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: "_Connection"
    ) -> bool:
        header = await reader.readexactly(len(amqp.SASL_HEADER))
        writer.write(amqp.SASL_HEADER)
        if header != amqp.SASL_HEADER:
            return False  # the answer says what would do
        writer.write(amqp.sasl_mechanisms("MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"))
        size = await reader.readexactly(4)
        rest = min(int.from_bytes(size), _REQUEST_LIMIT) - 4
        mechanism, response = amqp.sasl_init(size + await reader.readexactly(rest))
        await self._running.wait()
        if mechanism == "PLAIN":
            accepted = response.split(b"\0")[1:] == [self.key_name.encode(), self.key.encode()]
            connection.has_key = accepted
        else:
            accepted = mechanism in ("ANONYMOUS", "MSSBCBS")
        self._logins.append(mechanism if accepted else f"!{mechanism}")
        writer.write(amqp.sasl_outcome(accepted))
        return accepted

    def _add_entity(self, entity: Entity) -> None:
        assert path(entity.name) not in self._entities, f"{entity.name} exists"
        self._entities[path(entity.name)] = entity

    def _add_store(self, store: Store) -> None:
        for each in filter(None, (store, store.dead_letters)):
            assert path(each.path) not in self._stores, f"{each.path} exists"
            self._stores[path(each.path)] = each
            self._receivers[each] = []
            each.changed = lambda each=each: self._changed(each)  # type: ignore[misc]

    def _counts(self, name: str) -> Counts:
        entity = self._entities.get(name)
        return entity.counts if entity is not None else self._stores[name].counts

    def _changed(self, store: Store) -> None:
        if (timer := self._timers.pop(store, None)) is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        if (until := min((lock.until for lock in store.locks.values()), default=None)) is not None:
            self._timers[store] = loop.call_later(max(until - time.time(), 0), self._expire, store)
        loop.call_soon(self.offer, store)

    def _expire(self, store: Store) -> None:
        self._timers.pop(store, None)
        store.expire()
        self._changed(store)

    def _detach(self, name: str, condition: Condition) -> None:
        for connection in list(self._connections):
            connection.detach(lambda link: f"{link.name}/".startswith(f"{name}/"), condition)

    def offer(self, store: Store) -> None:
        """Sends what is there to the receivers that want it, in turns."""
        receivers = self._receivers.get(store, [])
        if not self._running.is_set():
            return
        changed = set()
        while (receiver := next((each for each in receivers if each.link.credit > 0), None)) is not None:
            if (stored := store.take()) is None:
                break
            receiver.deliver(store, stored)
            receivers.remove(receiver)
            receivers.append(receiver)
            changed.add(receiver.connection)
        for receiver in receivers:
            if receiver.link.drain_mode and receiver.link.credit > 0:
                receiver.link.drained()
                changed.add(receiver.connection)
        for connection in changed:
            connection.flush()

    def add_receiver(self, store: Store, receiver: "_Outgoing") -> None:
        self._receivers[store].append(receiver)
        store.counts.attached += 1

    def remove_receiver(self, store: Store, receiver: "_Outgoing") -> None:
        with suppress(ValueError):
            self._receivers[store].remove(receiver)

    def entity(self, name: str) -> Entity | None:
        return self._entities.get(name)

    def store(self, name: str) -> Store | None:
        return self._stores.get(name)

    def is_known(self, name: str) -> bool:
        return name in self._entities or name in self._stores

    def takes_attach(self) -> bool:
        self._busy_attaches -= 1
        return self._busy_attaches < 0

    def loses_settlement(self) -> bool:
        self._lost_settlements -= 1
        return self._lost_settlements >= 0

    def loses_acceptance(self) -> bool:
        return bool(self._lost_acceptances) and self._lost_acceptances.pop(0)

    def put(self, store: Store, message: Message, sender: str) -> float:
        """What a sender has sent reaches a subscription. Returns when, in the time of the loop."""
        scheduled = message.annotations.get(symbol(_SCHEDULED))
        if scheduled is not None and scheduled > time.time() * 1000:
            asyncio.get_running_loop().call_later(scheduled / 1000 - time.time(), store.put, message)
            return 0
        if (most := self._delays.get(store)) is None:
            store.put(message)
            return 0
        loop, places = asyncio.get_running_loop(), self._places.setdefault(store, {})
        # Each time is another one, because the loop does not keep the order of those that are the same.
        places[sender] = max(places.get(sender, 0) + 1e-6, loop.time() + random.uniform(0, most))
        loop.call_at(places[sender], store.put, message)
        return places[sender]

    def accept_token(self, token: str, audience: str) -> tuple[int, str, float]:
        """Status, description and expiry for a token that a client puts."""
        kind, _, text = token.partition(" ")
        fields = dict(parse_qsl(text, keep_blank_values=True))
        if kind != "SharedAccessSignature" or not {"sr", "sig", "se", "skn"} <= fields.keys():
            return 401, "InvalidSignature: the token is no shared access signature", 0
        raw = dict(part.partition("=")[::2] for part in text.split("&"))
        digest = hmac.new(self.key.encode(), f"{raw['sr']}\n{raw['se']}".encode(), hashlib.sha256).digest()
        signature = base64.b64encode(digest).decode()
        if fields["skn"] != self.key_name or not hmac.compare_digest(unquote_plus(raw["sig"]), signature):
            return 401, "InvalidSignature: The token has an invalid signature.", 0
        if not fields["se"].isdecimal() or int(fields["se"]) <= time.time():
            return 401, "ExpiredToken: The token is expired.", 0
        if not covers(path(fields["sr"]), path(audience)):
            return 401, "InvalidAudience: the token is for another resource", 0
        self._tokens += 1
        return 202, "Accepted", int(fields["se"])

    @property
    def is_paused(self) -> bool:
        return not self._running.is_set()


def covers(resource: str, name: str) -> bool:
    """Whether a token for a resource is good for an entity."""
    return not resource or f"{name}/".startswith(f"{resource}/")


class _Outgoing:
    """A link on which a client receives."""

    def __init__(self, connection: "_Connection", link: Sender, name: str) -> None:
        self.connection, self.link, self.name = connection, link, name
        self.store: Store | None = None
        self.locks: dict[Delivery, Lock] = {}
        self.responses: list[ProtonMessage] = []

    def deliver(self, store: Store, stored: Any) -> None:
        store.counts.delivered += 1
        if self.link.remote_snd_settle_mode == _PRE_SETTLED:
            self._send(stored.encoded(), uuid.uuid4()).settle()
            store.counts.settled += 1
        else:
            lock = store.lock(stored)
            self.locks[self._send(stored.encoded(lock.until), lock.token)] = lock

    def respond(self) -> None:
        while self.responses and self.link.credit > 0:
            self._send(self.responses.pop(0).encode(), uuid.uuid4()).settle()

    def settled(self, delivery: Delivery) -> None:
        """A receiver has told the outcome of a delivery."""
        lock = self.locks.get(delivery)
        state = delivery.remote_state
        if lock is None or self.store is None or not (state or delivery.settled):
            delivery.settle()
            return
        if self.connection.bus.loses_settlement():
            self.connection.cut()
            return
        del self.locks[delivery]
        remote = delivery.remote
        properties: dict[str, str] = {}
        if state == Delivery.ACCEPTED:
            outcome = "completed"
        elif state == Delivery.REJECTED:
            outcome = "suspended"
            condition = remote.condition
            if condition is not None:
                properties = {DESCRIPTION: condition.description} if condition.description else {}
                info = condition.info if isinstance(condition.info, dict) else {}
                properties |= {str(key): str(value) for key, value in info.items() if value}
        elif state == Delivery.MODIFIED:
            outcome = "defered" if remote.undeliverable else "abandoned"
        else:
            outcome = "released"
        in_time = self.store.settle(lock.token, outcome, properties)
        if not delivery.settled:  # the receiver waits for the answer
            if in_time:
                delivery.local.failed, delivery.local.undeliverable = remote.failed, remote.undeliverable
                delivery.update(state)
            else:
                text = "The lock supplied is invalid. Either the lock expired, or the message has already been removed."
                delivery.local.condition = Condition(LOCK_LOST, text, _INFO)
                delivery.update(Delivery.REJECTED)
        delivery.settle()

    def _send(self, payload: bytes, token: uuid.UUID) -> Delivery:
        delivery = self.link.delivery(token.bytes_le)  # type: ignore[arg-type]
        self.link.stream(payload)
        self.link.advance()
        return delivery

    def forget(self) -> None:
        """The link is gone. What it holds stays locked until the locks run out."""
        if self.store is not None:
            self.connection.bus.remove_receiver(self.store, self)


class _Incoming:
    """A link on which a client sends, to an entity or, if `entity` is None, requests."""

    def __init__(self, connection: "_Connection", link: Link, name: str) -> None:
        self.connection, self.link, self.name = connection, link, name
        self.entity: Entity | None = None
        self._arrival = 0.0  # when the newest transfer is in all subscriptions; 0 if it is already

    def received(self, delivery: Delivery) -> None:
        if delivery.partial and not delivery.aborted:
            return
        payload = b"" if delivery.aborted else bytes(self.link.recv(delivery.pending) or b"")
        format = self.connection.formats.take(self.link.name)
        self.link.advance()
        if self.link.credit < _CREDIT // 2:
            self.link.flow(_CREDIT - self.link.credit)
        if delivery.aborted:
            delivery.settle()
            return
        self._arrival = 0.0
        error = self._store(payload, format) if self.entity is not None else self._request(payload)
        if self._arrival > 0:
            asyncio.get_running_loop().call_at(self._arrival, self._answer_late, delivery)
        else:
            self._answer(delivery, error)

    def _answer_late(self, delivery: Delivery) -> None:
        if not self.connection.is_over and self.connection.has(self.link):
            self._answer(delivery, None)
            self.connection.flush()

    def _answer(self, delivery: Delivery, error: Condition | None) -> None:
        if error is None and self.entity is not None and self.connection.bus.loses_acceptance():
            self.connection.cut()
            return
        if error is None:
            delivery.update(Delivery.ACCEPTED)
        else:
            delivery.local.condition = error
            delivery.update(Delivery.REJECTED)
        delivery.settle()

    def _store(self, payload: bytes, format: int) -> Condition | None:
        assert self.entity is not None
        bus = self.connection.bus
        if self.entity.busy and self.entity.busy.pop(0):
            self.entity.counts.refused += 1
            text = "The request was terminated because the entity is being throttled. Please wait 2 seconds."
            return Condition(SERVER_BUSY, text, _INFO)
        if len(payload) > bus.max_message_size:
            return Condition("amqp:link:message-size-exceeded", "The message is too large.", _INFO)
        try:
            sender = self.connection.container

            def put(store: Store, message: Message) -> None:
                self._arrival = max(self._arrival, bus.put(store, message, sender))

            self.entity.send(Message.parse_transfer(payload, format), put)
        except ValueError as error:
            return Condition("amqp:decode-error", str(error), _INFO)
        return None

    def _request(self, payload: bytes) -> Condition | None:
        request, response = ProtonMessage(), ProtonMessage()
        request.decode(payload)
        answer = _put_token if self.name == CBS else _manage
        response.correlation_id = amqp.copied(request.id)
        answer(self.connection, self.name, request, response)
        self.connection.respond(self, request.reply_to, response)
        return None

    def forget(self) -> None:
        pass


class _Connection:
    """A client's connection after its login. Proton does the protocol, on bytes that are read and written here."""

    def __init__(self, bus: ServiceBus, writer: asyncio.StreamWriter) -> None:
        self.bus, self._writer = bus, writer
        self.has_key = False
        self.formats = amqp.MessageFormats()
        self._tokens: dict[str, float] = {}
        self._links: dict[Link, _Incoming | _Outgoing] = {}
        self._collector, self._connection, self._transport = Collector(), Connection(), Transport(Transport.SERVER)
        self._connection.collect(self._collector)
        self._connection.container = f"service-bus-double-{uuid.uuid4()}"
        self._transport.bind(self._connection)
        self._transport.idle_timeout = bus.idle_timeout
        self._transport.max_frame_size = 64 * 1024
        self._timers: list[asyncio.TimerHandle] = []
        self.is_over = False

    async def run(self, reader: asyncio.StreamReader) -> None:
        self._tick()
        while data := await reader.read(64 * 1024):
            await self.bus._running.wait()
            self.formats.feed(data)
            while data and (room := self._transport.capacity()) > 0:
                self._transport.push(data[:room])
                data = data[room:]
                self._work()
            self.flush()
            if self.is_over:
                return
            await self._writer.drain()

    def flush(self) -> None:
        """Writes what proton has to say, unless the service is paused."""
        if self.bus.is_paused or self.is_over:
            return
        self._work()
        while (size := self._transport.pending()) > 0:
            self._writer.write(bytes(self._transport.peek(size) or b""))
            self._transport.pop(size)
            self._work()
        if size < 0:
            self.is_over = True
            self._writer.close()

    def cut(self) -> None:
        self.is_over = True
        self._writer.transport.abort()

    def close(self, condition: Condition) -> None:
        self._connection.condition = condition
        self._connection.close()
        self.flush()

    def forget(self) -> None:
        self.is_over = True
        for timer in self._timers:
            timer.cancel()
        for link in self._links.values():
            link.forget()
        self._links.clear()

    def detach(self, concerns: Callable[["_Incoming | _Outgoing"], bool], condition: Condition) -> None:
        for link in [link for link in self._links.values() if concerns(link)]:
            self._refuse(link.link, condition)
        self.flush()

    @property
    def container(self) -> str:
        """What the client calls itself."""
        return str(self._connection.remote_container or "")

    def has(self, link: Link) -> bool:
        return link in self._links

    def may_use(self, name: str) -> bool:
        now = time.time()
        return self.has_key or any(covers(each, name) and until > now for each, until in self._tokens.items())

    def add_token(self, audience: str, expires: float) -> None:
        self._tokens[audience] = expires
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(max(expires - time.time(), 0) + 0.01, self._check_tokens))

    def respond(self, request: _Incoming, reply_to: str | None, response: ProtonMessage) -> None:
        links = [link for link in self._links.values() if isinstance(link, _Outgoing) and link.name == request.name]
        named = [link for link in links if reply_to and link.link.remote_target.address == reply_to]
        for link in (named or links)[-1:]:
            link.responses.append(response)
            link.respond()

    def _tick(self) -> None:
        if not self.is_over:
            if not self.bus.is_paused:
                self._transport.tick(time.monotonic())
                self.flush()
            asyncio.get_running_loop().call_later(min(1, self.bus.idle_timeout / 4), self._tick)

    def end_tokens(self) -> None:
        self._tokens.clear()
        if not self.has_key:
            self._check_tokens()

    def _check_tokens(self) -> None:
        self.detach(
            lambda link: link.name != CBS and not self.may_use(link.name),
            Condition(UNAUTHORIZED, "ExpiredToken: The token is expired.", _INFO))

    def _work(self) -> None:
        while (event := self._collector.peek()) is not None:
            if not self.is_over:
                self._handle(event)
            self._collector.pop()

    def _handle(self, event: Event) -> None:
        kind = event.type
        of_event: Any = event.link
        link = self._links.get(of_event)
        if kind == Event.DELIVERY:
            delivery: Any = event.delivery
            if isinstance(link, _Incoming):
                link.received(delivery)
            elif link is not None:
                link.settled(delivery)
        elif kind == Event.LINK_FLOW:
            if isinstance(link, _Outgoing):
                link.respond()
                if link.store is not None:
                    asyncio.get_running_loop().call_soon(self.bus.offer, link.store)
        elif kind == Event.CONNECTION_REMOTE_OPEN:
            self._connection.open()
        elif kind == Event.CONNECTION_REMOTE_CLOSE:
            self._connection.close()
        elif kind == Event.SESSION_REMOTE_OPEN and event.session is not None:
            event.session.open()
        elif kind == Event.SESSION_REMOTE_CLOSE and event.session is not None:
            for gone in [each for each in self._links if each.session == event.session]:
                self._links.pop(gone).forget()
            event.session.close()
        elif kind == Event.LINK_REMOTE_OPEN:
            self._attach(of_event)
        elif kind in (Event.LINK_REMOTE_CLOSE, Event.LINK_REMOTE_DETACH):
            if link is not None:
                self._links.pop(of_event).forget()
            of_event.close() if kind == Event.LINK_REMOTE_CLOSE else of_event.detach()
            of_event.free()

    def _attach(self, link: Link) -> None:
        terminus = link.remote_source if link.is_sender else link.remote_target
        name = path(terminus.address or "")
        if (error := self._objection(link, name)) is not None:
            terminus = link.source if link.is_sender else link.target
            terminus.type = Terminus.UNSPECIFIED  # which says that a detach follows
            link.open()
            self._refuse(link, error)
            return
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode, link.rcv_settle_mode = link.remote_snd_settle_mode, link.remote_rcv_settle_mode
        link.max_message_size = self.bus.max_message_size
        link.open()
        if isinstance(link, Sender):
            outgoing = _Outgoing(self, link, name)
            self._links[link] = outgoing
            if (store := self.bus.store(name)) is not None:
                outgoing.store = store
                self.bus.add_receiver(store, outgoing)
        else:
            incoming = _Incoming(self, link, name)
            self._links[link] = incoming
            incoming.entity = self.bus.entity(name)
            if incoming.entity is not None:
                incoming.entity.counts.attached += 1
            link.flow(_CREDIT)

    def _objection(self, link: Link, name: str) -> Condition | None:
        """Why this link may not be attached."""
        if name == CBS:
            return None
        base = name.removesuffix(MANAGEMENT)
        if not self.may_use(base):
            claim = "Listen" if link.is_sender else "Send"
            text = f"Unauthorized access. '{claim}' claim(s) are required to perform this operation."
            return Condition(UNAUTHORIZED, text, _INFO)
        if not self.bus.takes_attach():
            return Condition(SERVER_BUSY, "The namespace is being throttled. Please wait 2 seconds.", _INFO)
        exists = self.bus.is_known(base) if base != name else (
            self.bus.store(name) if link.is_sender else self.bus.entity(name)) is not None
        if not exists:
            return Condition(NOT_FOUND, f"The messaging entity '{base}' could not be found.", _INFO)
        filters = _filters(link) if link.is_sender else {}
        if filters.get("com.microsoft:session-filter") is not None:
            return Condition(NOT_IMPLEMENTED, "The test double has no sessions.", _INFO)
        return None

    def _refuse(self, link: Link, condition: Condition) -> None:
        link.condition = condition
        link.close()
        if (known := self._links.pop(link, None)) is not None:
            known.forget()


def _filters(link: Link) -> dict[str, Any]:
    data = link.remote_source.filter
    data.rewind()
    found = data.get_dict() if data.next() and data.type() == Data.MAP else {}
    return {str(key): value.value if hasattr(value, "value") else value for key, value in found.items()}


def _answer(response: Any, status: int, description: str, condition: str | None = None) -> None:
    properties = {"statusCode": int32(status), "statusDescription": description}
    error = {"errorCondition": symbol(condition)} if condition is not None else {}
    response.properties = properties | error


def _put_token(connection: _Connection, _: str, request: Any, response: Any) -> None:
    properties = request.properties or {}
    status, description, expires = 400, "not a put-token request for a SAS token", 0.0
    audience = str(properties.get("name", ""))
    if (properties.get("operation") == "put-token" and isinstance(request.body, str)
            and properties.get("type") in _TOKEN_TYPES):
        status, description, expires = connection.bus.accept_token(request.body, audience)
    if status == 202:
        connection.add_token(path(audience), expires)
    response.properties = {"status-code": int32(status), "status-description": description}


def _manage(connection: _Connection, name: str, request: Any, response: Any) -> None:
    store = connection.bus.store(name.removesuffix(MANAGEMENT))
    body = request.body if isinstance(request.body, dict) else {}
    operation = str((request.properties or {}).get("operation", ""))
    if store is None:
        _answer(response, 404, "not a queue or subscription", NOT_FOUND)
    elif operation == "com.microsoft:renew-lock":
        locks = [store.renew(token) for token in _tokens(body)]
        ends = [timestamp(round(lock.until * 1000)) for lock in locks if lock is not None]
        if len(ends) < len(locks):
            _answer(response, 410, "The lock supplied is invalid.", LOCK_LOST)
        else:
            response.body = {"expirations": _array(Data.TIMESTAMP, ends)}
            _answer(response, 200, "OK")
    elif operation == "com.microsoft:peek-message":
        found = list(store.messages(body.get("from-sequence-number", 0)))[:body.get("message-count", 1)]
        response.body = {"messages": [{"message": stored.encoded()} for stored in found]}
        _answer(response, 200 if found else 204, "OK" if found else "No messages")
    elif operation == "com.microsoft:update-disposition":
        properties = {REASON: body.get("deadletter-reason"), DESCRIPTION: body.get("deadletter-description")}
        given = {key: str(value) for key, value in properties.items() if value}
        if all([store.settle(token, str(body.get("disposition-status")), given) for token in _tokens(body)]):
            _answer(response, 200, "OK")
        else:
            _answer(response, 410, "The lock supplied is invalid.", LOCK_LOST)
    else:
        _answer(response, 501, f"The test double does not know {operation}.", NOT_IMPLEMENTED)


def _array(kind: int, values: list[Any]) -> Any:
    undescribed: Any = UNDESCRIBED
    return Array(undescribed, kind, *values)


def _tokens(body: dict[Any, Any]) -> list[uuid.UUID]:
    return [token if isinstance(token, uuid.UUID) else uuid.UUID(str(token)) for token in body.get("lock-tokens", [])]
