"""Signing in over the accounts of a real workspace: guessing is stopped, and old cookies die with the password."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from connectors.governance import Role
from connectors.settings.template import TEMPLATE
from dashboard.app import create_dashboard
from twin.cli.control_room import open_control_room
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import services_of
from twin.errors import RefusedError

PASSWORD = "correct horse battery"
ORIGIN = {"Origin": "http://localhost"}
HTML = {"Accept": "text/html"}


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    (tmp_path / "site.yaml").write_text(TEMPLATE, encoding="utf-8")
    identity = open_control_room(tmp_path, connectors={}).identity
    identity.add("otto", PASSWORD, [Role.OPERATOR])
    return Rooms(tmp_path)


def browser_of(rooms: Rooms) -> FlaskClient:
    return create_dashboard(services_of(rooms)).server.test_client()


def sign_in(browser: FlaskClient, user: str, password: str) -> int:
    return browser.post("/signin", data={"user": user, "password": password}, headers=ORIGIN).status_code


def test_a_cookie_from_before_a_change_of_password_is_dead(rooms: Rooms) -> None:
    browser = browser_of(rooms)
    assert sign_in(browser, "otto", PASSWORD) == 303
    assert browser.get("/plans", headers=HTML).status_code == 200
    rooms.room().identity.change_password("otto", PASSWORD, "another horse battery")
    answer = browser.get("/plans", headers=HTML)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/signin?next=/plans")
    assert browser.get("/api/v1/plans").status_code == 401


def test_a_thousand_guesses_from_one_place_are_stopped_after_twenty_and_noted_once(rooms: Rooms) -> None:
    browser = browser_of(rooms)
    answers = [sign_in(browser, f"guess{i}", "wrong password") for i in range(1000)]
    assert set(answers) == {403}
    assert sign_in(browser, "otto", PASSWORD) == 403
    said = browser.post("/signin", data={"user": "otto", "password": PASSWORD}, headers=ORIGIN).text
    assert "20 sign-ins from 127.0.0.1 failed" in said
    rows = [row for row in rooms.room().store.audit() if row.event == "source locked"]
    assert [row.subject for row in rows] == ["source 127.0.0.1"]


def test_guesses_at_one_account_lock_it_and_are_in_the_log(rooms: Rooms) -> None:
    browser = browser_of(rooms)
    for _ in range(5):
        assert sign_in(browser, "otto", "wrong password") == 403
    with pytest.raises(RefusedError, match="locked until"):
        rooms.room().identity.authenticate("otto", PASSWORD)
    events = [row.event for row in rooms.room().store.audit() if row.subject == "user otto"]
    assert events == ["user added", *["login failed"] * 4, "account locked"]
