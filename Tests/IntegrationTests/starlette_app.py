# SPDX-License-Identifier: Apache-2.0
"""An application of sse-starlette, as the tests of clients need it. Its streams end with 204 when all was seen."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tricky_events import EVENTS

SEPARATORS = {"lf": "\n", "cr": "\r", "crlf": "\r\n"}
Blocks = AsyncIterator[dict[str, Any] | bytes]
requests = count()


def stream(request: Request, blocks: Blocks, ping: float = 0) -> Response:
    return EventSourceResponse(blocks, sep=SEPARATORS[request.query_params.get("sep", "crlf")], ping=ping)


async def tricky(request: Request) -> Response:
    """What `tricky_events` has, with pings between; the id of each is its number."""

    async def blocks() -> Blocks:
        yield {"comment": "welcome", "retry": 1}
        for number, (_, type, data) in enumerate(EVENTS):
            yield {"id": f"{number}", "data": data} | ({} if type == "message" else {"event": type})
            await asyncio.sleep(0.02)
        yield {"id": "end"}  # remembered, and not an event

    is_seen = request.headers.get("Last-Event-ID") == "end"
    return Response(status_code=204) if is_seen else stream(request, blocks(), ping=0.01)


async def numbers(request: Request) -> Response:
    """The numbers up to `to`; `at_once` of them in a connection, which ends within the next. `every` so many seconds.

    Who reads them is asked to wait `retry` ms.
    """
    last, at_once = int(request.query_params["to"]), int(request.query_params.get("at_once", 1_000_000))
    seen = int(request.headers.get("Last-Event-ID", 0))
    is_orderly = next(requests) % 2 == 0

    async def blocks() -> Blocks:
        yield {"retry": int(request.query_params.get("retry", 1))}
        for number in range(seen + 1, last + 1):
            if number > seen + at_once:
                yield f"id: {number}\r\nevent: half\r\ndata: {number}\r\n".encode()
                if not is_orderly:
                    raise ConnectionAbortedError("within an event, as the test wants it")
                return
            yield {"id": f"{number}", "data": f"{number}"}
            await asyncio.sleep(float(request.query_params.get("every", 0)))

    return Response(status_code=204) if seen >= last else stream(request, blocks())


async def one(request: Request) -> Response:
    """One event, and then nothing for as long as the client stays."""

    async def blocks() -> Blocks:
        yield {"id": "1", "data": "1"}
        await asyncio.Event().wait()

    return stream(request, blocks())


async def ready(_: Request) -> Response:
    return Response()


app = Starlette(routes=[
    Route("/tricky", tricky), Route("/numbers", numbers), Route("/one", one), Route("/health/ready", ready),
])
