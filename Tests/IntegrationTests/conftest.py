# SPDX-License-Identifier: Apache-2.0

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, expect, sync_playwright

from faulty_proxy import FaultyProxy
from support import DEADLINE, HOST, Martlet, Nginx, program

expect.set_options(timeout=DEADLINE * 1000)

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    path = program("chromium", "chromium-browser", "google-chrome")
    browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def firefox(playwright: Playwright) -> Iterator[Browser]:
    """Firefox as it is installed, over WebDriver BiDi. Playwright's own is another build."""
    browser = playwright.firefox.launch(executable_path=program("firefox-esr", "firefox"), channel="moz-firefox")
    yield browser
    browser.close()


@pytest.fixture
def browser(request: pytest.FixtureRequest) -> Browser:
    """Chromium, or the browser that a test names as the parameter of this fixture."""
    browser = request.getfixturevalue(getattr(request, "param", "chromium"))
    assert isinstance(browser, Browser)
    return browser


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Martlet]]:
    """Starts `martlet serve` with more options; it is stopped, and must exit with 0, after the test."""
    with ExitStack() as stack:
        yield lambda *options, **more: stack.enter_context(Martlet(tmp_path, *options, **more))


@pytest.fixture
def server(start_server: Callable[..., Martlet]) -> Martlet:
    return start_server()


@pytest.fixture
def proxy(server: Martlet) -> Iterator[FaultyProxy]:
    with FaultyProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def nginx(server: Martlet, tmp_path: Path) -> Iterator[Nginx]:
    """nginx in front of the server, with nothing set for it but `proxy_pass`."""
    with Nginx(tmp_path, f"location / {{ proxy_pass http://{HOST}:{server.port}; }}") as nginx:
        yield nginx


@pytest.fixture
def console() -> list[str]:
    """What the pages of the test wrote to the console as warnings and errors."""
    return []


@pytest.fixture
def visit(browser: Browser, console: list[str]) -> Iterator[OpenPage]:
    """Opens a page on a port, each as a visitor who shares nothing with the others."""
    uncaught: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("warning", "error"):
            console.append(message.text)

    with ExitStack() as stack:
        def visit(port: int, path: str = "/", **options: Any) -> Page:
            context = stack.enter_context(browser.new_context(**options))
            context.set_default_timeout(DEADLINE * 1000)
            page = context.new_page()
            page.on("console", note)
            page.on("pageerror", lambda error: uncaught.append(str(error)))
            page.goto(f"http://{HOST}:{port}{path}")
            return page

        yield visit
    assert uncaught == []


@pytest.fixture
def open_page(visit: OpenPage) -> OpenPage:
    """Opens the demo page on a port and waits until all its streams are open."""
    def open_page(port: int, path: str = "/", **options: Any) -> Page:
        page = visit(port, path, **options)
        expect(page.locator("body")).to_have_attribute("data-state", "open")
        return page

    return open_page
