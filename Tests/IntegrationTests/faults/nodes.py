# SPDX-License-Identifier: Apache-2.0

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from shared_log import SharedLog
from support import Martlet


def node(directory: Path, name: str, log: SharedLog, *options: str, through: int | None = None) -> Martlet:
    """A server, with more options, whose log is shared, and which may reach it `through` another port."""
    folder = directory / name
    folder.mkdir()
    return Martlet(folder, *log.log_options(folder, through), *options)


@contextmanager
def running_nodes(directory: Path, count: int, log: SharedLog, *options: str) -> Iterator[list[Martlet]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(node(directory, f"node-{number}", log, *options)) for number in range(count)
        ]
