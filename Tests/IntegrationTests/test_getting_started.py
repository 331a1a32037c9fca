# SPDX-License-Identifier: Apache-2.0
"""The guide "Getting started" is followed to the letter, and nothing is built that a program does not use.

How it is read: indented lines are commands. A block of Swift is a file if the line before it ends with the
file's name in backticks and a colon. Other blocks are not looked at. The dependency on this package is one on this
checkout, and what is built is kept in `.build-readme`, which `scripts/examples` uses, too.
"""

import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from support import DEADLINE, HOST, ROOT, plain_environment, program, wait_until

GUIDE = ROOT / "Sources/Martlet/Martlet.docc/GettingStarted.md"
PORT = 8080
BUILD_DEADLINE = 1800.0  # seconds
START_DEADLINE = 120.0  # seconds; the package manager looks at everything before it runs something
SCRATCH = ROOT / ".build-readme"
FILE = re.compile(r"`(?P<path>[\w./-]+\.swift)`:\n+```swift\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^    (.+)$", re.MULTILINE)
VERSION = r'(?:(?:from|exact|branch|revision): "[^"]*"|"[^"]*"\s*\.\.[.<]\s*"[^"]*")'
DEPENDENCY = re.compile(rf'url: "[^"]*/martlet(?:\.git)?",\s*{VERSION}')

NOT_USED = {
    "GRDB", "JWTKit", "ArgumentParser", "AsyncHTTPClient",
    "MartletAuth", "MartletBench", "MartletClient", "MartletCommand", "MartletMercure", "MartletMetrics", "MartletSQLite",
}


class Section:
    def __init__(self, title: str) -> None:
        found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", GUIDE.read_text(), re.M | re.S)
        assert found, f"the guide has no section {title}"
        self.files = {match["path"]: match["text"] for match in FILE.finditer(found[1])}
        self.commands = COMMAND.findall(FENCED.sub("", found[1]))

    def beginning_with(self, *words: str) -> list[list[str]]:
        commands = (shlex.split(command) for command in self.commands)
        return [command for command in commands if tuple(command[:len(words)]) == words]


def is_served() -> bool:
    with suppress(OSError), socket.create_connection((HOST, PORT), timeout=DEADLINE):
        return True
    return False


@pytest.fixture(scope="module")
def section() -> Section:
    return Section("An application")


@pytest.fixture(scope="module")
def application(section: Section) -> Path:
    """The folder that the section makes, with its files, built."""
    # At the same place each time, so that only what has changed is built.
    directory = SCRATCH / "application"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    preparation = [command for command in section.commands if command.split()[0] in ("mkdir", "cd")]
    script = "\n".join(["set -e", *preparation, "pwd"])
    made = subprocess.run(["bash", "-c", script], cwd=directory, stdout=subprocess.PIPE, text=True, check=True)
    folder = Path(made.stdout.strip())

    assert {"Package.swift"} < {Path(path).name for path in section.files}, "the guide shows a package and its source"
    for path, text in section.files.items():
        if path.endswith("Package.swift"):
            text, count = DEPENDENCY.subn(f'name: "martlet", path: "{ROOT}"', text)
            assert count == 1, f"{path} depends on martlet by its URL:\n{text}"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)

    # A cached build manifest would be that of the package that was built before, in the same folder.
    command = [program("swift"), "build", "--scratch-path", str(SCRATCH), "--disable-build-manifest-caching"]
    built = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=BUILD_DEADLINE,
        check=False)
    assert built.returncode == 0, built.stdout
    assert [line for line in built.stdout.splitlines() if "warning:" in line and str(folder) in line] == []
    return folder


def test_the_application_of_the_guide_ticks_and_sends_what_is_published(section: Section, application: Path) -> None:
    assert not is_served(), f"something else serves port {PORT}, which the guide uses: stop it"
    (run,) = section.beginning_with("swift", "run")
    run[2:2] = ["--skip-build", "--scratch-path", str(SCRATCH)]
    curls = section.beginning_with("curl")
    clock, orders = [command for command in curls if "-N" in command]
    (publish,) = [command for command in curls if "-d" in command]

    def curl(command: list[str]) -> list[str]:
        return [program("curl"), "--silent", "--show-error", "--noproxy", "*", *command[1:]]

    with ExitStack() as stack:
        def start(command: list[str], output: Path) -> subprocess.Popen[bytes]:
            file = stack.enter_context(output.open("wb"))
            process = subprocess.Popen(
                command, cwd=application, stdout=file, stderr=subprocess.STDOUT, env=plain_environment())
            stack.callback(process.wait)
            stack.callback(process.kill)
            stack.callback(lambda: print(f"--- {shlex.join(command)}\n{output.read_text(errors='replace')}"))
            return process

        server = start(run, application / "server.log")
        wait_until(lambda: server.poll() is not None or is_served(), "the application listens", START_DEADLINE)
        assert server.poll() is None, f"exited with {server.returncode}"
        ticks, printed = application / "clock.log", application / "orders.log"
        start(curl(clock), ticks)
        wait_until(lambda: ticks.read_text().count("data: ") >= 2, "the clock ticks")
        start(curl(orders), printed)
        wait_until(lambda: "id: " in printed.read_text(), "the stream is open")
        id = subprocess.run(curl(publish), stdout=subprocess.PIPE, text=True, timeout=DEADLINE, check=True).stdout
        block = f"id: {id.strip()}\ndata: {publish[publish.index('-d') + 1]}\n\n"
        wait_until(lambda: block in printed.read_text(), f"the subscriber prints {block!r}")
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=DEADLINE) == 0


def test_the_application_of_the_guide_builds_nothing_that_it_does_not_use(application: Path) -> None:
    # The package manager makes folders for what other products need, too, and leaves them empty.
    built = {module.stem for module in (SCRATCH / "debug/Modules").glob("*.swiftmodule")}
    assert built >= {"Martlet", "MartletHTTP", "Hummingbird"}
    assert built & NOT_USED == set()


def test_the_lines_of_swift_in_the_readme_are_from_this_application(section: Section) -> None:
    blocks = re.findall(r"^```swift\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    assert blocks
    for block in blocks:
        assert any(block in text for text in section.files.values()), block


def test_a_worker_with_typed_values_builds_no_server() -> None:
    command = [program("swift"), "package", "--scratch-path", str(SCRATCH), "dump-package"]
    described = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=BUILD_DEADLINE, check=True)
    package = json.loads(described.stdout)
    targets = {target["name"]: target for target in package["targets"]}
    (product,) = [product for product in package["products"] if product["name"] == "MartletValues"]
    found, left = set(), list(product["targets"])
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [next(iter(needed.values()))[0] for needed in targets.get(name, {}).get("dependencies", [])]
    assert {"Martlet", "MartletValues", "Logging"} <= found
    assert [name for name in found if "Hummingbird" in name or "HTTP" in name] == []
