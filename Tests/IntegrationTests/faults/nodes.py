# SPDX-License-Identifier: Apache-2.0

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis_log import RedisServer
from support import Martlet


def node(directory: Path, name: str, redis: RedisServer, *options: str, through: int | None = None) -> Martlet:
    """A server, with more options, whose log is in Redis, which it may reach `through` another port."""
    folder = directory / name
    folder.mkdir()
    return Martlet(folder, *redis.log_options(through), *options)


@contextmanager
def running_nodes(directory: Path, count: int, redis: RedisServer, *options: str) -> Iterator[list[Martlet]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(node(directory, f"node-{number}", redis, *options)) for number in range(count)
        ]
