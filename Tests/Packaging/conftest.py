# SPDX-License-Identifier: Apache-2.0
"""What the tests here use beside some of the integration tests: what scripts/package has made, and roots of Debian."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "IntegrationTests"))

from support import ROOT, program  # noqa: E402

DIST = ROOT / "dist"


def made(pattern: str) -> Path:
    """The one file that scripts/package has made whose name looks like this."""
    found = list(DIST.glob(pattern))
    assert len(found) == 1, f"run scripts/package: {pattern} in dist/ is {found}"
    return found[0]


def output(*command: str | Path) -> str:
    """What a command prints. Its failure fails the test."""
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert ended.returncode == 0, f"{command} ended with {ended.returncode}: {ended.stdout}{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="session")
def version() -> str:
    return output(made("martlet"), "--version").strip()


@pytest.fixture(scope="session")
def debian() -> Path:
    """A root of the Debian or Ubuntu of this machine with as little in it as possible, and systemd. Copy it."""
    if os.geteuid() != 0:
        pytest.fail("needs root, for debootstrap and systemd-nspawn")
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines())
    name = release["VERSION_CODENAME"]
    root = ROOT / ".build/roots" / name
    if not root.exists():
        unfinished = root.with_name(f"{name}-unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        output(program("debootstrap"), "--variant=minbase", "--include=systemd,systemd-sysv", name, unfinished)
        output("chroot", unfinished, "apt-get", "update", "-qq")
        unfinished.rename(root)
    return root


@pytest.fixture
def root(debian: Path, tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "root"
    output("cp", "-a", debian, root)
    yield root
    shutil.rmtree(root)
