# SPDX-License-Identifier: Apache-2.0

from pathlib import Path

DURABILITIES = ["commit", "os"]


def sqlite(file: Path, durability: str = "os") -> list[str]:
    """The options of a server whose log is in a file."""
    return ["--log", f"sqlite:{file}", "--durability", durability]
