"""A real Chromium for the tests, and a server for it to look at."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, Playwright
from werkzeug.serving import make_server

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def launched(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))


@contextmanager
def serving(server: Flask, port: int = 0) -> Iterator[str]:
    """The address of a server in this process, on a free port unless one is named."""
    made = make_server("127.0.0.1", port, server, threaded=True)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.port}"
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


class Watched:
    """A page with all that went wrong on it."""

    def __init__(self, context: BrowserContext, base: str, patience_s: float = 15.0) -> None:
        self.base = base
        self.page: Page = context.new_page()
        self.faults: list[str] = []
        self.strangers: list[str] = []
        self.page.on("console", lambda m: self.faults.append(m.text) if m.type in {"error", "warning"} else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda r: self._note(r.url))
        self.page.set_default_timeout(1000 * patience_s)

    def _note(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "blob:")):
            self.strangers.append(url)

    def sign_in(self, user: str, password: str) -> None:
        self.page.goto(f"{self.base}/signin")
        self.page.fill("#user", user)
        self.page.fill("#password", password)
        self.page.click("button")
        self.page.wait_for_selector("#page h1")

    def see(self, path: str) -> None:
        """Opens a screen and waits until nothing is loading any more."""
        self.page.goto(self.base + path)
        self.page.wait_for_selector("#page h1")
        self.settle()

    def settle(self) -> None:
        self.page.wait_for_load_state("networkidle")
        self.wait("!document.querySelector('[data-dash-is-loading=true]')")

    def wait(self, expression: str, seconds: float = 15.0) -> None:
        """Until an expression holds; Playwright's own way needs eval, which the pages' policy forbids."""
        for _ in range(int(seconds * 10)):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(100)
        message = f"{expression} did not come true within {seconds} s"
        raise AssertionError(message)


def context_of(browser: Browser, base: str, look: str, width: int = 1440, height: int = 900) -> BrowserContext:
    context = browser.new_context(viewport={"width": width, "height": height})
    context.add_cookies([{"name": "look", "value": look, "url": base}])
    return context
