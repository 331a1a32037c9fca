# SPDX-License-Identifier: Apache-2.0
"""A log belongs to one server, and what is not a log, or not a whole one, is left as it is."""

import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sqlite_log import sqlite
from support import DEADLINE, HOST, Martlet, free_port, martlet, plain_environment


def refusal(file: Path) -> str:
    """What a server says that does not start with this file."""
    command = [martlet(), "serve", "--host", HOST, "--port", str(free_port()), *sqlite(file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=plain_environment())
    assert ended.returncode == 1, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("martlet: ") and str(file) in line
    return line


def test_a_second_server_is_refused_and_the_first_goes_on(start_server: Callable[..., Martlet], tmp_path: Path) -> None:
    file = tmp_path / "log"
    server = start_server(*sqlite(file))
    server.publish("a", "before")
    assert "in use" in refusal(file)
    server.publish("a", "after")
    server.stop()
    server.start()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The file of a log with some events, of a server that was stopped."""
    file = tmp_path / "log"
    with Martlet(tmp_path, *sqlite(file)) as server:
        for number in range(100):
            server.publish("a", str(number) * 500)
    return file


def no_database(file: Path) -> None:
    file.write_text("This is somebody's diary.\n" * 200)


def other_database(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE diary (day TEXT, entry TEXT)")


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute(f"PRAGMA user_version = {version + 1}")


def cut_short(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def overwritten(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[100:4096] = b"\xff" * 3996  # the table of tables
    file.write_bytes(content)


@pytest.mark.parametrize("spoil", [no_database, other_database, newer, cut_short, overwritten])
def test_a_file_that_is_no_whole_log_is_refused_and_not_changed(log: Path, spoil: Callable[[Path], None]) -> None:
    spoil(log)
    before = log.read_bytes()
    refusal(log)
    assert log.read_bytes() == before
