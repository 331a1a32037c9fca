# SPDX-License-Identifier: Apache-2.0
"""Tokens that another library makes are understood, and it understands those that `martlet token` makes."""

import subprocess
from pathlib import Path

import jwt
import pytest

from support import DEADLINE, martlet
from tokens import ALGORITHMS, SECRET, Key


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [martlet(), "token", *arguments], input=stdin, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


@pytest.fixture(params=ALGORITHMS)
def key(request: pytest.FixtureRequest) -> Key:
    return Key.make(request.param)


def inspect(key: Key, token: str, directory: Path) -> subprocess.CompletedProcess[str]:
    file = directory / "public"
    file.write_text(key.public_text)
    return run("inspect", "--key-file", str(file), "--alg", key.algorithm, stdin=token)


def test_tokens_of_another_library_are_verified(key: Key, tmp_path: Path) -> None:
    token = key.token(publish=["orders/{id}"], subscribe=["*"], payload={"n": 1}, sub="alice")
    result = inspect(key, token, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"Signed with {key.algorithm}" in result.stdout
    assert 'Subject     "alice"' in result.stdout
    assert '"orders/{id}"' in result.stdout
    assert "Good        signature and times" in result.stdout


def test_tokens_of_another_key_are_refused(key: Key, tmp_path: Path) -> None:
    other = Key(key.algorithm, SECRET + "!") if isinstance(key.private, str) else Key.make(key.algorithm)
    result = inspect(key, other.token(), tmp_path)
    assert result.returncode == 1
    assert "signature" in result.stdout.splitlines()[-1]
    assert result.stderr == "martlet: a hub refuses this token\n"


def test_expired_tokens_are_refused(key: Key, tmp_path: Path) -> None:
    result = inspect(key, key.token(lifetime=-60), tmp_path)
    assert result.returncode == 1
    assert "1 minute ago" in result.stdout
    assert "expired" in result.stdout.splitlines()[-1]


def test_another_library_verifies_tokens(key: Key, tmp_path: Path) -> None:
    file = tmp_path / "private"
    file.write_text(key.private_text)
    result = run(
        *("--key-file", str(file), "--alg", key.algorithm, "--publish", "orders/{id}", "--subscribe", "*"),
        *("--payload", '{"n": 1}', "--subject", "alice", "--for", "1m", "--kid", "one"),
    )
    assert result.returncode == 0, result.stderr
    claims = key.verify(result.stdout.strip())
    assert claims["sub"] == "alice"
    assert claims["exp"] - claims["iat"] == 60
    assert claims["mercure"] == {"publish": ["orders/{id}"], "subscribe": ["*"], "payload": {"n": 1}}
    assert jwt.get_unverified_header(result.stdout.strip())["kid"] == "one"
    other = Key(key.algorithm, SECRET + "!") if isinstance(key.private, str) else Key.make(key.algorithm)
    with pytest.raises(jwt.InvalidTokenError):
        other.verify(result.stdout.strip())


def test_what_is_probably_not_meant_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    result = run("--key-file", str(file), "--publish", "orders/*")
    assert result.returncode == 0
    assert "warning: --publish orders/*" in result.stderr
    assert Key("HS256", SECRET).verify(result.stdout.strip())["mercure"] == {"publish": ["orders/*"]}


def test_usage_errors_have_exit_code_2(tmp_path: Path) -> None:
    for arguments in [[], ["--key-file", str(tmp_path / "none")], ["inspect", "--alg", "none"], ["--key", "x"]]:
        assert run(*arguments).returncode == 2, arguments
