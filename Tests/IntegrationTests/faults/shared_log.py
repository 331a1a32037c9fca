# SPDX-License-Identifier: Apache-2.0

from contextlib import AbstractContextManager
from pathlib import Path
from random import Random
from typing import Protocol


class SharedLog(Protocol):
    """The server of a log that nodes share, and what can go wrong with it."""

    has_one_order: bool  # whether all nodes have the events in the same order

    def log_options(self, node: Path, port: int | None = None) -> list[str]:
        """The options of a node, with its folder, whose log is here. It may reach it through another port."""

    def numbers(self) -> list[int]:
        """The data of the events in the log, in its order, or in one of those that nodes may have."""

    def cut(self) -> None:
        """Ends all connections of nodes."""

    def outage(self, random: Random) -> AbstractContextManager[None]:
        """The server is away, or changes over to another machine, for a while."""
