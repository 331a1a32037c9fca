# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/first-hub.md, as the page has them, on a clean machine with systemd."""

import re
import shlex
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import made, output
from machine import Machine
from support import ROOT, wait_until

PAGE = (ROOT / "docs/first-hub.md").read_text()


def commands(heading: str) -> list[str]:
    """The indented blocks below a heading."""
    (section,) = re.findall(rf"(?ms)^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE)
    # An empty line ends a block only if what follows is not indented.
    blocks = re.findall(r"(?m)(?:^    .*\n|^\n(?=    ))+", section)
    return [textwrap.dedent(block).strip() for block in blocks]


class Stream:
    """A command of the page that prints a stream. It goes on in the machine until the machine ends."""

    def __init__(self, machine: Machine, script: str, file: Path) -> None:
        self.file = file
        with file.open("xb") as out:
            self.process = subprocess.Popen(machine.inside("bash", "-c", script), stdout=out, stderr=subprocess.DEVNULL)

    def lines(self) -> list[str]:
        return self.file.read_text().splitlines()

    def wait_for(self, line: str) -> None:
        wait_until(lambda: line in self.lines() or self.process.poll() is not None, f"the stream has printed {line}")
        assert line in self.lines(), self.lines()

    def last_id(self) -> str:
        return [line.removeprefix("id: ") for line in self.lines() if line.startswith("id: ")][-1]


@contextmanager
def streaming(machine: Machine, script: str, file: Path) -> Iterator[Stream]:
    stream = Stream(machine, script, file)
    try:
        wait_until(lambda: any(line.startswith("id: ") for line in stream.lines()), "the stream has started")
        yield stream
    finally:
        stream.process.terminate()
        stream.process.wait()


def test_the_first_hub_is_set_up_as_the_page_says(root: Path, tmp_path: Path) -> None:
    (install,) = commands("1. Install the hub and nginx")
    keys, settings = commands("2. Make keys")
    (nginx,) = commands("3. Put nginx in front")
    subscribe, publish = commands("4. Subscribe and publish")
    restart, resume, page = commands("5. Resume")
    (private,) = commands("6. Private events")

    # The machine has no network: the packages come before it boots, and ours from dist/ in place of the release.
    (packages,) = [line for line in install.splitlines() if line.startswith("apt install -y ") and "./" not in line]
    package = made("martlet_*.deb")
    assert f"/{package.name}\n" in install and install.endswith(f"./{package.name}")
    (root / "martlet.deb").write_bytes(package.read_bytes())
    output("chroot", root, "apt-get", "update", "-qq")
    output("chroot", root, "apt-get", "install", "-qq", "-y", *shlex.split(packages)[3:], "/martlet.deb")

    with Machine(root) as machine:

        def run(script: str) -> str:
            return machine.run("bash", "-ec", script)

        for script in (keys, settings, nginx):
            run(script)
        token, send = publish.splitlines()
        with streaming(machine, subscribe, tmp_path / "first") as stream:
            answer = run(publish).strip()
            stream.wait_for("data: packed")
            assert stream.last_id() == answer
        unsigned = send.replace('-H "Authorization: Bearer $TOKEN" ', "-s -o /dev/null -w '%{http_code}' ")
        assert unsigned != send and run(unsigned) == "401"

        # The restart and what is missed, in the order of the page, without waiting between them.
        run(f"{token}\n{restart}")
        (example,) = re.findall("Last-Event-ID: ([^']*)", resume)
        with streaming(machine, resume.replace(example, answer), tmp_path / "resumed") as stream:
            stream.wait_for("data: shipped")
            assert "data: packed" not in stream.lines() and "event: gap" not in stream.lines()

        run(page)
        address = "https://localhost/orders.html"
        assert "new EventSource" in run(f"curl -kfsS {address}")

        publish_private, subscribe_private = private.split("\n\n")
        run(publish_private)
        with streaming(machine, subscribe_private, tmp_path / "private") as stream:
            stream.wait_for("data: paid")
        with streaming(machine, subscribe + "?since=1h", tmp_path / "public") as stream:
            stream.wait_for("data: shipped")
            assert "data: paid" not in stream.lines()
