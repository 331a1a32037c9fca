# SPDX-License-Identifier: Apache-2.0
"""The examples: each is built as the package that it is, started, and opened in a browser.

`scripts/examples` builds them, and keeps what is built in `.build-readme`.
"""

import http.client
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from conftest import OpenPage
from faulty_proxy import FaultyProxy
from support import HOST, ROOT, Curl, Program, free_port, request, wait_until

BUILD_DEADLINE = 1800.0  # seconds
EXAMPLES = ["JobProgress", "LiveAnswer", "Notifications", "OrderTracking", "SystemMetrics"]

Start = Callable[[str], int]


class Example(Program):
    def __init__(self, name: str, directory: Path) -> None:
        port = free_port()
        binary = ROOT / ".build-readme/debug" / name
        super().__init__([str(binary)], port, directory / f"{name}.log", {"PORT": str(port)})

    def answers(self) -> bool:
        with suppress(OSError, http.client.HTTPException):
            return request(self.port, "GET", "/")[0] == 200
        return False


@pytest.fixture(scope="session")
def built() -> None:
    command = [str(ROOT / "scripts/examples")]
    made = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=BUILD_DEADLINE, check=False)
    assert made.returncode == 0, made.stdout
    assert [line for line in made.stdout.splitlines() if "warning:" in line and "/Examples/" in line] == []


@pytest.fixture
def start(built: None, tmp_path: Path) -> Iterator[Start]:
    """Starts an example and returns its port; it is stopped, and must exit with 0, after the test."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(Example(name, tmp_path)).port


def test_the_folder_has_these_examples() -> None:
    assert sorted(path.parent.name for path in ROOT.glob("Examples/*/Package.swift")) == EXAMPLES


# What all pages have in common.

@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_a_page_fits_its_window_and_asks_nobody_else(
    start: Start, visit: OpenPage, console: list[str], example: str, width: int, scheme: str
) -> None:
    port = start(example)
    page = visit(port, viewport={"width": width, "height": 800}, color_scheme=scheme)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.reload(wait_until="load")
    if example == "OrderTracking":
        log_in(page, "alice", "wonderland")
    use(example, page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "light dark"
    assert {url for url in requests if not url.startswith((f"http://{HOST}:{port}/", "data:"))} == set()
    assert re.findall(r"""(?:src|href)=["'](?!data:)|@import|url\(""", request(port, "GET", "/")[1]) == []
    assert console == []


@pytest.mark.parametrize("example", ["JobProgress", "LiveAnswer", "Notifications", "OrderTracking"])
def test_a_page_is_used_with_the_keyboard_alone(start: Start, visit: OpenPage, example: str) -> None:
    page = visit(start(example))
    if example == "OrderTracking":
        walk_to(page, "input[name=user]")
        page.keyboard.type("alice")
        walk_to(page, "input[name=password]")
        page.keyboard.type("wonderland")
        page.keyboard.press("Enter")
        expect(page.locator("#order")).to_be_visible()
    controls = page.locator("input:visible, button:visible, a:visible").evaluate_all(
        "all => all.filter(one => !one.disabled).map(one => one.id || one.name || one.textContent)")
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(3 * len(controls)):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("(e => e.id || e.name || e.textContent)(document.activeElement)"))
        if reached >= set(controls):
            break
        assert page.evaluate(
            "document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== 'none'")
    assert reached >= set(controls)
    use(example, page)


def walk_to(page: Page, selector: str) -> None:
    for _ in range(20):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not reach {selector}")


def use(example: str, page: Page) -> None:
    """Does what a page is for, with the keyboard."""
    if example == "JobProgress":
        walk_to(page, "#sample")
        page.keyboard.press("Enter")
        expect(page.locator("#state")).to_have_text("Running")
    elif example == "LiveAnswer":
        walk_to(page, "input[name=question]")
        page.keyboard.press("Enter")
        expect(page.locator("#text")).to_contain_text("martlet")
        walk_to(page, "#stop")
        page.keyboard.press("Enter")
        expect(page.locator("#state")).to_have_text("Stopped")
    elif example == "Notifications":
        walk_to(page, "input[name=text]")
        page.keyboard.press("Enter")
        expect(page.locator("#badge")).to_have_text("1")
        walk_to(page, "#read")
        page.keyboard.press("Space")
        expect(page.locator("#badge")).to_be_hidden()
    elif example == "OrderTracking":
        walk_to(page, "input[name=item]")
        page.keyboard.press("Enter")
        expect(page.locator("#orders > li")).to_have_count(2)
    else:
        expect(page.locator("#cpu path.line")).to_have_attribute("d", re.compile("L"))


# Job progress

def test_an_uploaded_file_shows_progress_and_its_end_and_then_the_stream_is_closed_for_good(
    start: Start, visit: OpenPage, console: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("a line\n" * 150)
    page = visit(start("JobProgress"))
    page.add_init_script("""
        window.bars = [];
        addEventListener("DOMContentLoaded", () => new MutationObserver(() =>
            bars.push(document.querySelector("#bar").value)).observe(document.querySelector("#bar"), { attributes: true }));
    """)
    page.reload()
    answers: list[int] = []
    page.on("response", lambda response: answers.append(response.status) if "/imports/" in response.url else None)
    page.locator("#file").set_input_files(file)
    expect(page.locator("#state")).to_have_text("Running")
    expect(page.locator("#state")).to_have_text("Done")
    expect(page.locator("#percent")).to_have_text("100 %")
    expect(page.locator("#message")).to_have_text("Line 150 of 150")
    expect(page.locator("#stream")).to_have_text("The stream is closed.")
    assert answers == [200, 204]
    bars = page.evaluate("bars")
    assert bars == sorted(bars) and len([bar for bar in bars if 0 < bar < 1]) >= 5, bars
    assert console == []

    # Who opens the address later sees how it ended.
    page.reload()
    expect(page.locator("#state")).to_have_text("Done")
    expect(page.locator("#stream")).to_have_text("The stream is closed.")


def test_a_job_that_fails_says_why_and_the_next_one_has_its_turn(
    start: Start, visit: OpenPage, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    page = visit(start("JobProgress"))
    page.locator("#file").set_input_files(empty)
    expect(page.locator("#state")).to_have_text("Failed")
    expect(page.locator("#message")).to_have_text("The file has no lines.")
    page.locator("#sample").click()
    expect(page.locator("#state")).to_have_text("Running")


def test_an_import_that_the_server_does_not_know_is_not_waited_for(start: Start, visit: OpenPage) -> None:
    page = visit(start("JobProgress"), "/#unknown")
    expect(page.locator("#state")).to_have_text("The server does not know this import")


def test_a_file_that_is_too_large_is_refused_with_the_reason(start: Start, visit: OpenPage, tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    large.write_bytes(b"x\n" * (6 * 1024 * 1024))
    page = visit(start("JobProgress"))
    page.locator("#file").set_input_files(large)
    expect(page.locator("#problem")).to_have_text("The server refused the file (413).")


# Live answer

def ask(page: Page, question: str = "What is a martlet?") -> None:
    page.fill("input[name=question]", question)
    page.click("#ask button")
    expect(page.locator("#state")).to_have_text("The model answers")


def words(page: Page) -> int:
    return len((page.locator("#text").text_content() or "").split(" "))


def test_an_answer_grows_word_by_word_and_then_the_stream_is_closed_for_good(
    start: Start, visit: OpenPage, console: list[str]
) -> None:
    page = visit(start("LiveAnswer"))
    answers: list[int] = []
    page.on("response", lambda response: answers.append(response.status) if "lastEventID" in response.url else None)
    page.evaluate("""
        window.lengths = [];
        new MutationObserver(() => lengths.push(document.querySelector("#text").textContent.length))
            .observe(document.querySelector("#text"), { childList: true });
    """)
    ask(page, "<b>Why</b> & how?")
    expect(page.locator("#question")).to_have_text("<b>Why</b> & how?")
    expect(page.locator("#text")).to_have_attribute("aria-busy", "true")
    expect(page.locator("#state")).to_have_text("Complete")
    expect(page.locator("#stream")).to_have_text("The stream is closed.")
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator("#text")).to_have_attribute("aria-busy", "false")
    text = page.locator("#text").text_content() or ""
    assert text.startswith("You asked: <b>Why</b> & how?\n\nA martlet is") and text.endswith("asking for more.")
    lengths = page.evaluate("lengths")
    assert lengths == sorted(lengths) and len(lengths) > 20
    assert answers == [200, 204]
    assert console == []


def test_a_page_that_is_reloaded_in_the_middle_of_an_answer_shows_each_word_once(
    start: Start, visit: OpenPage, console: list[str]
) -> None:
    page = visit(start("LiveAnswer"))
    ask(page)
    for count in (5, 20, 40):
        wait_until(lambda: words(page) >= count, f"{count} words have come")
        page.reload()
        expect(page.locator("#question")).to_have_text("What is a martlet?")
    expect(page.locator("#state")).to_have_text("Complete")
    text = page.locator("#text").text_content()
    expect(page.locator("#stream")).to_have_text("The stream is closed.")
    page.reload()  # of a complete answer
    expect(page.locator("#state")).to_have_text("Complete")
    expect(page.locator("#stream")).to_have_text("The stream is closed.")
    assert page.locator("#text").text_content() == text
    other = visit(int(page.url.split(":")[2].split("/")[0]))
    ask(other)
    expect(other.locator("#state")).to_have_text("Complete")
    assert other.locator("#text").text_content() == text, "an answer that no page was reloaded in has the same words"
    assert console == []


def test_an_answer_goes_on_where_the_connection_was_cut(start: Start, visit: OpenPage) -> None:
    with FaultyProxy(start("LiveAnswer")) as proxy:
        page = visit(proxy.port)
        ask(page)
        wait_until(lambda: words(page) >= 5, "five words have come")
        proxy.refuse()
        proxy.cut()
        expect(page.locator("#stream")).to_have_text("The browser reconnects.")
        proxy.accept()
        expect(page.locator("#state")).to_have_text("Complete")
        text = page.locator("#text").text_content() or ""
        assert text.count("A martlet is the bird") == 1 and text.endswith("asking for more.")
        page.reload()
        expect(page.locator("#state")).to_have_text("Complete")
        assert page.locator("#text").text_content() == text


def test_an_answer_that_is_stopped_ends_for_all_its_readers(start: Start, visit: OpenPage) -> None:
    port = start("LiveAnswer")
    page = visit(port)
    ask(page)
    wait_until(lambda: words(page) >= 5, "five words have come")
    other = visit(port, "/" + page.evaluate("location.hash"))
    wait_until(lambda: words(other) >= 5, "the other page has them, too")
    other.click("#stop")
    for each in (page, other):
        expect(each.locator("#state")).to_have_text("Stopped")
        expect(each.locator("#stream")).to_have_text("The stream is closed.")
    text = page.locator("#text").text_content() or ""
    assert other.locator("#text").text_content() == text and not text.endswith("asking for more.")
    ask(page, "And now?")
    wait_until(lambda: "And now?" in (page.locator("#text").text_content() or ""), "the next answer has begun")


def test_an_answer_that_the_server_does_not_know_is_not_waited_for(start: Start, visit: OpenPage) -> None:
    page = visit(start("LiveAnswer"), "/#unknown")
    expect(page.locator("#state")).to_have_text("The server does not know this answer")


# Order tracking

STATUS = """async path => {
    const end = new AbortController();
    const { status } = await fetch(path, { signal: end.signal });
    end.abort();
    return status;
}"""


def log_in(page: Page, user: str, password: str) -> None:
    page.fill("input[name=user]", user)
    page.fill("input[name=password]", password)
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text("Live")


def test_two_users_see_their_own_orders_only(start: Start, visit: OpenPage, console: list[str]) -> None:
    port = start("OrderTracking")
    alice, bob = visit(port), visit(port)
    log_in(alice, "alice", "wonderland")
    log_in(bob, "bob", "builder")
    expect(alice.locator("#orders > li")).to_have_count(1)
    expect(bob.locator("#orders")).to_be_empty()

    bob.fill("input[name=item]", "<b>Bricks</b>")
    bob.click("#order button")
    bricks = bob.locator("#orders > li")
    expect(bricks.locator("h2")).to_have_text("2. <b>Bricks</b>")
    for status in ("packed", "shipped", "delivered"):
        expect(bricks.locator("[aria-current]")).to_have_text(status)
    expect(alice.locator("#orders > li")).to_have_count(1)
    assert console == []
    assert [alice.evaluate(STATUS, f"/events/orders/{user}") for user in ("alice", "bob")] == [200, 403]


def test_a_client_that_is_not_logged_in_is_refused(start: Start) -> None:
    port = start("OrderTracking")
    status, text = request(port, "GET", "/events/orders/alice")
    assert status == 401 and "Log in." in text
    assert request(port, "POST", "/events/orders/alice", "forged")[0] == 401
    assert request(port, "POST", "/orders", '{"item": "tea"}', {"Content-Type": "application/json"})[0] == 401
    wrong = '{"user": "alice", "password": "builder"}'
    assert request(port, "POST", "/session", wrong, {"Content-Type": "application/json"})[0] == 401


def test_who_logs_out_receives_nothing_more(start: Start, visit: OpenPage) -> None:
    port = start("OrderTracking")
    here, there = visit(port), visit(port)
    log_in(here, "alice", "wonderland")
    log_in(there, "alice", "wonderland")
    here.click("#logout")
    expect(here.locator("#login")).to_be_visible()
    there.click("#order button")
    expect(there.locator("#orders > li")).to_have_count(2)


# System metrics

CONDITION = re.compile("^(Calm|Busy) since ")
POINTS = "document.querySelector('#cpu path.line').getAttribute('d').split('L').length"


def test_charts_open_with_the_past_and_the_condition_with_its_current_value(
    start: Start, visit: OpenPage, console: list[str]
) -> None:
    port = start("SystemMetrics")
    with Curl(port, "/samples?since=2m") as samples, Curl(port, "/condition") as condition:
        wait_until(lambda: sum(line.startswith("data: ") for line in samples.lines) >= 5, "there are five samples")
        wait_until(lambda: any(line.startswith("data: ") for line in condition.lines), "there is a condition")
    page = visit(port, "/", viewport={"width": 1280, "height": 800})
    page.add_init_script("""
        addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
            const line = document.querySelector("#cpu path.line");
            if (line) window.first ??= line.getAttribute("d").split("L").length;
        }).observe(document.body, { childList: true, subtree: true }));
    """)
    page.reload()
    page.wait_for_function("window.first")
    assert page.evaluate("first") >= 5, "the first picture has the samples from before the page was opened"
    expect(page.locator("#condition")).to_have_text(CONDITION)
    for chart, value in [("cpu", r"\d+ %"), ("memory", r"[\d.]+ GiB"), ("load", r"[\d.]+"), ("network", r"[\d.]+ [kM]B/s")]:
        expect(page.locator(f"#{chart} .now")).to_have_text(re.compile(f"^{value}$"))
    page.wait_for_function(f"before => {POINTS} > before", arg=page.evaluate(POINTS))
    assert console == []


def test_a_dashboard_goes_on_after_a_cut_and_after_a_restart(built: None, visit: OpenPage, tmp_path: Path) -> None:
    with Example("SystemMetrics", tmp_path) as server, FaultyProxy(server.port) as proxy:
        page = visit(proxy.port)
        condition = page.locator("#condition")
        expect(condition).to_have_text(CONDITION)
        proxy.refuse()
        proxy.cut()
        expect(condition).to_have_text("Reconnecting")
        proxy.accept()
        expect(condition).to_have_text(CONDITION)
        server.stop()
        expect(condition).to_have_text("Reconnecting")
        server.start()
        expect(condition).to_have_text(CONDITION)
        page.wait_for_function(f"before => {POINTS} > before", arg=page.evaluate(POINTS))


# Notifications

def notify(port: int, text: str) -> None:
    assert request(port, "POST", "/notifications", text)[0] == 202


def test_two_tabs_show_the_same_badge_and_the_server_renders_it_for_the_next(
    start: Start, visit: OpenPage, console: list[str]
) -> None:
    port = start("Notifications")
    first, second = visit(port), visit(port)
    expect(first.locator("#items")).to_be_empty()
    first.fill("input[name=text]", "<img src=x onerror=\"document.title='run'\"> & more")
    first.click("#send button")
    expect(second.locator("#badge")).to_have_text("1")
    notify(port, "second")
    for tab in (first, second):
        expect(tab.locator("#badge")).to_have_text("2")
        expect(tab).to_have_title("(2) Notifications")
        expect(tab.locator("#items li span").nth(1)).to_have_text("<img src=x onerror=\"document.title='run'\"> & more")
    wait_until(lambda: ">2</output>" in request(port, "GET", "/")[1], "the server renders both")
    third = visit(port, java_script_enabled=False)
    expect(third.locator("#badge")).to_have_text("2")
    expect(third.locator("#items li.unread")).to_have_count(2)

    second.click("#read")
    for tab in (first, second):
        expect(tab.locator("#badge")).to_be_hidden()
        expect(tab).to_have_title("Notifications")
    wait_until(lambda: ">0</output>" in request(port, "GET", "/")[1], "the server renders that all are read")
    third.reload()
    expect(third.locator("#badge")).to_have_text("0")
    assert console == []


def test_a_tab_that_was_away_receives_what_it_missed_once(start: Start, visit: OpenPage) -> None:
    port = start("Notifications")
    with FaultyProxy(port) as proxy:
        notify(port, "before the page")
        tab, other = visit(proxy.port), visit(port)
        notify(port, "seen")
        expect(tab.locator("#badge")).to_have_text("2")

        proxy.refuse()
        proxy.cut()
        expect(tab.locator("#state")).to_contain_text("Offline")
        other.click("#read")
        expect(other.locator("#badge")).to_be_hidden()
        for number in range(3):
            notify(port, f"missed {number}")
        expect(other.locator("#badge")).to_have_text("3")
        expect(tab.locator("#badge")).to_have_text("2")
        proxy.accept()
        expect(tab.locator("#state")).to_have_text("Live")
        expect(tab.locator("#badge")).to_have_text("3")
        texts = ["missed 2", "missed 1", "missed 0", "seen", "before the page"]
        assert tab.locator("#items li span").all_text_contents() == texts
        assert tab.locator("#items li.unread").count() == 3


def test_after_a_restart_without_history_the_page_is_rendered_again(built: None, visit: OpenPage, tmp_path: Path) -> None:
    with Example("Notifications", tmp_path) as server:
        page = visit(server.port)
        notify(server.port, "forgotten")
        expect(page.locator("#badge")).to_have_text("1")
        server.stop()
        server.start()
        expect(page.locator("#badge")).to_be_hidden()
        expect(page.locator("#items")).to_be_empty()
        notify(server.port, "new")
        expect(page.locator("#items li span")).to_have_text("new")
