# SPDX-License-Identifier: Apache-2.0
"""A log belongs to one server, and what is not a log, or not a whole one, is left as it is."""

import os
import shutil
import socket
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sqlite_log import sqlite
from support import DEADLINE, HOST, Martlet, free_port, martlet, plain_environment, request, wait_until


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


@pytest.mark.parametrize("name", [os.symlink, os.link])
def test_another_name_of_the_file_is_the_same_log(
    start_server: Callable[..., Martlet], tmp_path: Path, name: Callable[[Path, Path], None]
) -> None:
    file, other = tmp_path / "log", tmp_path / "other"
    server = start_server(*sqlite(file))
    assert server.process is not None
    name(file, other)
    command = [martlet(), "serve", "--host", HOST, "--port", str(free_port()), *sqlite(other)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=plain_environment())
    assert ended.returncode == 1 and f"in use by process {server.process.pid}" in ended.stderr
    server.publish("a", "still here")


def test_the_files_are_readable_only_by_their_owner(start_server: Callable[..., Martlet], tmp_path: Path) -> None:
    file = tmp_path / "log"
    server = start_server(*sqlite(file))
    server.publish("a", "secret")
    files = sorted(path.name for path in tmp_path.glob("log*"))
    assert files == ["log", "log-shm", "log-wal"]
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in files} == {0o600}


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_path_that_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "log")
    assert "Choose a regular file" in refusal(tmp_path / "log")


def events(port: int, topic: str) -> list[str]:
    """The types and the data of all events of a topic that are in history, up to the first heartbeat."""
    with closing(socket.create_connection((HOST, port), DEADLINE)) as connection:
        connection.sendall(f"GET /events/{topic}?lastEventID=earliest HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        found, type_, blocks = [], "message", 0
        with connection.makefile(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("event: "):
                    type_ = line[7:].strip()
                elif line.startswith("data: "):
                    found.append(f"{type_} {line[6:].strip()[:40]}")
                    type_ = "message"
                elif line.strip() == "":
                    blocks += 1
                # The blocks without data are the head, the opening, and heartbeats.
                if blocks - len(found) > 3:
                    return found
    return found


def errors(server: Martlet) -> list[str]:
    return [line for line in server.log.read_text().splitlines() if " error " in line]


def expect_failure(server: Martlet) -> None:
    """Publishing and readiness fail with a reason, and the log has one line about it."""
    for _ in range(3):
        status, body = request(server.port, "POST", "/events/a", "more")
        assert status == 503 and "restart the hub" in body
    status, body = request(server.port, "GET", "/health/ready")
    assert status == 503 and "restart the hub" in body
    assert request(server.port, "GET", "/health/live")[0] == 200
    assert len(errors(server)) == 1


def test_a_changed_byte_is_a_gap_to_its_readers_and_stops_publishing(log: Path, start_server: Callable[..., Martlet]) -> None:
    server = start_server(*sqlite(log), "--heartbeat", "1s")
    content = log.read_bytes()
    with log.open("r+b") as file:
        file.seek(content.index(b"50505050") + 100)
        file.write(b"x")
    for _ in range(2):
        found = events(server.port, "a")
        assert [event.startswith('gap {"reason":"damaged"') for event in found].index(True) == 50
        assert len(found) == 100
    expect_failure(server)


def removed(file: Path) -> None:
    for name in ["", "-wal", "-shm"]:
        Path(f"{file}{name}").unlink()


def replaced(file: Path) -> None:
    copy = file.with_name("copy")
    shutil.copy(file, copy)
    copy.rename(file)


def journal_removed(file: Path) -> None:
    Path(f"{file}-wal").unlink()


@pytest.mark.parametrize("change", [removed, replaced, journal_removed])
def test_files_that_change_stop_publishing_without_a_publish(
    log: Path, start_server: Callable[..., Martlet], change: Callable[[Path], None]
) -> None:
    server = start_server(*sqlite(log), "--heartbeat", "1s")
    change(log)
    wait_until(lambda: request(server.port, "GET", "/health/ready")[0] == 503, "the hub has noticed")
    expect_failure(server)
    assert len(events(server.port, "a")) == 100
