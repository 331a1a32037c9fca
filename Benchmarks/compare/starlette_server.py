# SPDX-License-Identifier: Apache-2.0
"""usage: starlette_server.py <port>

GET (any path) is answered with an event stream. POST (any path) publishes its body, one line of data, to all streams.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

import uvicorn
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MOST_PENDING = 4096  # events; a client that has more to take is cut

queues: set[asyncio.Queue[ServerSentEvent]] = set()


async def events() -> AsyncIterator[ServerSentEvent]:
    queue: asyncio.Queue[ServerSentEvent] = asyncio.Queue(MOST_PENDING)
    queues.add(queue)
    try:
        while queue in queues:
            yield await queue.get()
    finally:
        queues.discard(queue)


async def subscribe(request: Request) -> Response:
    return EventSourceResponse(events())


async def publish(request: Request) -> Response:
    event = ServerSentEvent((await request.body()).decode())
    for queue in tuple(queues):
        if queue.full():
            queues.discard(queue)
        else:
            queue.put_nowait(event)
    return Response()


app = Starlette(
    routes=[
        Route("/{path:path}", subscribe, methods=["GET"]),
        Route("/{path:path}", publish, methods=["POST"]),
    ]
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
