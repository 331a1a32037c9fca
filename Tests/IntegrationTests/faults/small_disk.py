# SPDX-License-Identifier: Apache-2.0

import subprocess
from pathlib import Path
from typing import Self


class SmallDisk:
    """A file system that is soon full, at a folder, for those who `enter` its namespace."""

    def __init__(self, folder: Path, size: str) -> None:
        folder.mkdir()
        self.folder = folder
        mount = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && echo mounted && exec cat'
        self._holder = subprocess.Popen(
            ["unshare", "-rm", "sh", "-c", mount, "sh", size, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"mounted\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.communicate()

    @property
    def enter(self) -> list[str]:
        """What a command begins with that runs in there."""
        return ["nsenter", f"--target={self._holder.pid}", "--user", "--preserve-credentials", "--mount", "--"]

    def file(self, name: str) -> Path:
        """A file there, as it is seen from outside."""
        return Path(f"/proc/{self._holder.pid}/root{self.folder}/{name}")
