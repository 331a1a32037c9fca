# SPDX-License-Identifier: Apache-2.0

import json
import signal
import subprocess
from pathlib import Path
from typing import Self

from conftest import output
from support import DEADLINE, program, wait_until


class Machine:
    """A Debian that has booted with systemd in a container, with no network but its own loopback."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root.with_name("machine.log")
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [program("systemd-nspawn"), "--register=no", "--keep-unit", "--private-network", "--boot"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*command, "-D", str(self.root)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(self._has_booted, "the machine has booted", deadline=60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        print("--- machine", self.log.read_text(errors="replace"), sep="\n")

    def _has_booted(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log.read_text(errors="replace")
        if not self._children():
            return False
        state = subprocess.run(self.inside("systemctl", "is-system-running"), capture_output=True, text=True)
        return state.stdout.strip() in ("running", "degraded")

    def _children(self) -> list[str]:
        assert self.process is not None
        id = self.process.pid
        return Path(f"/proc/{id}/task/{id}/children").read_text().split()

    def inside(self, *command: str) -> list[str]:
        """The command that runs a command in the machine."""
        return [program("nsenter"), "--target", self._children()[0], "--all", *command]

    def run(self, *command: str) -> str:
        """What a command prints in the machine."""
        return output(*self.inside(*command))

    def curl(self, *arguments: str) -> str:
        """What curl of this system prints in the network of the machine, which has none."""
        network = [program("nsenter"), "--target", self._children()[0], "--net"]
        return output(*network, program("curl"), "-sSf", "-m", str(DEADLINE), *arguments)

    def succeeds(self, *command: str) -> bool:
        return subprocess.run(self.inside(*command), capture_output=True).returncode == 0

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        lines = self.run("systemctl", "show", unit, "--property", ",".join(names)).splitlines()
        return dict(line.split("=", 1) for line in lines)

    def setting(self, name: str, value: object) -> None:
        """Changes the settings file of the service."""
        file = self.root / "etc/martlet/martlet.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}, indent=2))
