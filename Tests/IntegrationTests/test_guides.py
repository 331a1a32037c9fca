# SPDX-License-Identifier: Apache-2.0
"""What the guides tell applications in other languages to do, done to a hub: curl, Node, Django and Ruby.

The guide is read, not repeated: a block is the file that its first line names.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import DEADLINE, HOST, ROOT, Curl, Martlet, plain_environment, program, wait_until
from tokens import Key

GUIDES = ROOT / "Sources/Martlet/Martlet.docc"
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def block(guide: str, language: str) -> str:
    blocks = [match["text"] for match in BLOCK.finditer((GUIDES / guide).read_text()) if match["language"] == language]
    assert len(blocks) == 1, f"{guide} has {len(blocks)} blocks of {language}"
    return blocks[0]


def commands(path: Path, name: str) -> list[list[str]]:
    """The commands of a page that call this program, indented or in a block."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if re.match(rf" *{name} ", line) and "@-" not in line]


def on_port(command: list[str], port: int) -> list[str]:
    assert any("localhost:8080" in word for word in command), command
    here = [word.replace("localhost:8080", f"{HOST}:{port}") for word in command[1:]]
    return [program(command[0]), "--silent", "--show-error", "--noproxy", "*", *here]


def run(command: list[str], environment: dict[str, str] | None = None, directory: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=directory, env=plain_environment() | (environment or {}), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


# How a test calls `publish("orders/42", {"status": "shipped"})` of the code in the guide, and prints its result.
CALLERS: dict[str, tuple[str, str, list[str], str]] = {
    "js": ("live.mjs", "call.mjs", ["node"], """
import { publish } from "./live.mjs";
console.log(await publish("orders/42", { status: "shipped" }));
"""),
    "python": ("live.py", "call.py", [sys.executable], """
import os
from django.conf import settings
settings.configure(HUB_URL=os.environ["HUB_URL"], HUB_TOKEN=os.environ["HUB_TOKEN"])
from live import publish
print(publish("orders/42", {"status": "shipped"}))
"""),
    # What Rails has loaded: json and securerandom.
    "ruby": ("live.rb", "call.rb", ["ruby"], """
require "json"
require "securerandom"
require_relative "live"
puts Live.publish("orders/42", { status: "shipped" })
"""),
}


@pytest.mark.parametrize("language", CALLERS)
def test_the_code_for_another_language_publishes_with_a_token(
    start_server: Callable[..., Martlet], tmp_path: Path, language: str
) -> None:
    key = Key.make("HS256")
    assert isinstance(key.private, str)
    secret = tmp_path / "publisher.key"
    secret.write_text(key.private)
    server = start_server("--publisher-key", f"file:{secret}", "--anonymous")
    library, caller, command, call = CALLERS[language]
    (tmp_path / library).write_text(block("Publishing.md", language))
    (tmp_path / caller).write_text(call)
    command = [command[0] if Path(command[0]).is_absolute() else program(command[0]), caller]
    environment = {"HUB_URL": f"http://{HOST}:{server.port}", "no_proxy": "*"}

    id = run(command, environment | {"HUB_TOKEN": key.token(publish=["orders/{id}"])}, tmp_path)
    with Curl(server.port, "/events/orders/42?lastEventID=earliest") as stream:
        wait_until(lambda: f"id: {id}" in stream.lines, "the event arrives")
        data = [line.removeprefix("data: ") for line in stream.lines if line.startswith("data: ")]
        assert [value.replace(" ", "") for value in data] == ['{"status":"shipped"}']

    # A refusal is an error that says why, or at least which status it was.
    refused = subprocess.run(
        command, cwd=tmp_path, env=plain_environment() | environment | {"HUB_TOKEN": key.token(publish=["other"])},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE, check=False)
    assert refused.returncode != 0
    assert "403" in refused.stdout


@pytest.mark.parametrize("page", ["README.md", "Sources/Martlet/Martlet.docc/Publishing.md", "docs/http.md"])
def test_the_commands_of_curl_publish(server: Martlet, page: str) -> None:
    publishes = [command for command in commands(ROOT / page, "curl") if "-d" in command]
    assert publishes
    for command in publishes:
        id = run(on_port(command, server.port))
        topic = next(match[1] for word in command if (match := re.match(r"localhost:8080/events/([^?]+)", word)))
        with Curl(server.port, f"/events/{topic}?lastEventID=earliest") as stream:
            wait_until(lambda: f"id: {id}" in stream.lines, "the event arrives")


def test_the_batch_of_the_page_on_http_publishes_both_events(server: Martlet) -> None:
    lines = (ROOT / "docs/http.md").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("    printf"))
    script = "\n".join(line.strip() for line in lines[start:start + 2]).replace("curl ", "curl -s --noproxy '*' ")
    ids = run(["bash", "-c", script.replace("localhost:8080", f"{HOST}:{server.port}")])
    assert len(ids.splitlines()) == 2
    with Curl(server.port, "/events/a?topic=b&lastEventID=earliest") as stream:
        wait_until(lambda: {"data: 1", "data: 2"} <= set(stream.lines), "both events arrive")


def test_the_readme_subscribes_and_publishes(server: Martlet) -> None:
    *_, subscribe, publish = commands(ROOT / "README.md", "curl")
    path = subscribe[-1].removeprefix("localhost:8080")
    with Curl(server.port, path) as stream:
        wait_until(lambda: any(line.startswith("id: ") for line in stream.lines), "the stream is open")
        id = run(on_port(publish, server.port))
        wait_until(lambda: "data: shipped" in stream.lines, "the event arrives")
        assert f"id: {id}" in stream.lines


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in sorted(ROOT.glob("docs/*.md")))])
def test_the_links_of_a_page_lead_to_files(page: str) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
    assert [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()] == []


def test_the_pages_of_the_documentation_that_guides_link_to_exist() -> None:
    missing = []
    for page in sorted(ROOT.glob("Sources/*/*.docc/*.md")):
        for target in re.findall(r"github\.com/martlet/martlet/blob/main/([^)#\s]+)", page.read_text()):
            if not (ROOT / target).is_file():
                missing.append((page.name, target))
    assert missing == []
