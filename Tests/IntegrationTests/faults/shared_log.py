# SPDX-License-Identifier: Apache-2.0

from contextlib import AbstractContextManager
from random import Random
from typing import Protocol


class SharedLog(Protocol):
    """The server of a log that nodes share, and what can go wrong with it."""

    def log_options(self, port: int | None = None) -> list[str]:
        """The options of a node whose log is here, which it may reach through another port."""

    def numbers(self) -> list[int]:
        """The data of the events in the log, in its order."""

    def cut(self) -> None:
        """Ends all connections of nodes."""

    def outage(self, random: Random) -> AbstractContextManager[None]:
        """The server is away, or changes over to another machine, for a while."""
