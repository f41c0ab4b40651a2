"""The example dashboard and signed-in clients for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from dashboard_example import ORIGIN, PASSWORD, Client, Example, example
from flask.testing import FlaskClient

from dashboard.app import Dashboard, create_dashboard

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a file."""
    from browser import launched
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = launched(playwright)
        yield running
        running.close()


@pytest.fixture
def world() -> Example:
    return example()


@pytest.fixture
def made(world: Example) -> Dashboard:
    return create_dashboard(world.services)


@pytest.fixture
def client(made: Dashboard) -> Client:
    """A browser of the person named."""

    def signed_in(user: str) -> FlaskClient:
        browser = made.server.test_client()
        answer = browser.post("/signin", data={"user": user, "password": PASSWORD}, headers=ORIGIN)
        assert answer.status_code == 303
        return browser

    return signed_in
