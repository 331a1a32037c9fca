# SPDX-License-Identifier: Apache-2.0

import asyncio
import socket
import struct
import sys
from contextlib import suppress
from typing import Self

from loop_thread import LoopThread
from support import HOST, free_port


class FaultyProxy:
    """A TCP relay in a thread of its own. Its port stays; its connections can be cut, and new ones refused.

    What it relays it may hold up: `delay` seconds at each read of `size` bytes at most, and while it is stalled. After
    `most` bytes of answers it ends a connection, wherever that is. New connections go to `target`, which may change;
    `accepted` counts them.
    """

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_port()
        self.delay, self.size, self.most = 0.0, 65536, sys.maxsize
        self.accepted = 0
        self._loop = LoopThread()
        self._listener: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._flow = asyncio.Event()
        self._held: list[asyncio.Event] = []
        self._servers: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        self._parted: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}  # clients; their servers

    def __enter__(self) -> Self:
        self._loop.start()
        self.flow()
        self.accept()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self.cut()
        self._loop.run(self._end_parted())
        self._loop.stop()

    def accept(self) -> None:
        self._loop.run(self._accept())

    def refuse(self) -> None:
        self._loop.run(self._refuse())

    def cut(self, reset: bool = True) -> int:
        """Ends all connections, with a reset or with an orderly end of TCP. Returns how many there were."""
        return int(self._loop.run(self._cut(reset)))

    def part(self) -> int:
        """Ends all connections for the clients alone, as when a machine loses its power. Returns how many there were."""
        return int(self._loop.run(self._part()))

    def stall(self) -> None:
        """Passes on nothing more, and closes nothing."""
        self._loop.run(self._stall())

    def hold(self) -> None:
        """Passes on nothing more on the connections there are, and closes nothing; new ones flow."""
        self._loop.run(self._hold())

    def flow(self) -> None:
        self._loop.run(self._unstall())

    async def _accept(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._relay, HOST, self.port, backlog=1024)

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _cut(self, reset: bool) -> int:
        clients, self._clients = self._clients, set()
        for client in clients:
            if reset:
                linger = struct.pack("ii", 1, 0)  # close() then sends RST
                client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                client.transport.abort()
            else:
                client.close()
        return len(clients)

    async def _part(self) -> int:
        self._parted |= {client: self._servers[client] for client in self._clients if client in self._servers}
        return await self._cut(reset=True)

    async def _end_parted(self) -> None:
        for server in self._parted.values():
            server.close()

    async def _stall(self) -> None:
        self._flow.clear()

    async def _hold(self) -> None:
        await self._stall()
        self._held.append(self._flow)
        self._flow = asyncio.Event()
        self._flow.set()

    async def _unstall(self) -> None:
        for flow in [*self._held, self._flow]:
            flow.set()
        self._held.clear()

    async def _relay(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._clients.add(client)
        try:
            answers, server = await asyncio.open_connection(HOST, self.target)
        except OSError:
            self._clients.discard(client)
            client.close()
            return
        self._servers[client] = server
        flow = self._flow
        pumps = [
            asyncio.ensure_future(self._pump(reader, server, flow, sys.maxsize)),
            asyncio.ensure_future(self._pump(answers, client, flow, self.most)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in pumps:
                task.cancel()
            self._clients.discard(client)
            self._servers.pop(client, None)
            client.close()
            if client not in self._parted:
                server.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, flow: asyncio.Event, most: int
    ) -> None:
        with suppress(OSError):
            while data := await source.read(min(self.size, most)):
                most -= len(data)
                if self.delay:
                    await asyncio.sleep(self.delay)
                await flow.wait()
                sink.write(data)
                await sink.drain()
