"""A fresh sign-in that signs, in a real browser: strict cookies, the page's policy, and a provider on another site."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")
pytest.importorskip("joserfc", reason="the extra 'oidc' is not installed")

from browser import CHROMIUM, Watched, context_of, serving
from identity_provider import IdentityProvider, configured
from playwright.sync_api import Browser

from connectors.governance import Role, propose
from connectors.simulated.trial_site import room_step, trial_plan
from dashboard.app import create_dashboard
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import services_of
from twin.plan import PlanState

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium (see .ci/packages.txt)"),
]
PASSWORD = "correct horse battery"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def rooms(tmp_path: Path, port: int) -> Iterator[Rooms]:
    """The dashboard is ``localhost``, the provider ``127.0.0.1``: for a browser they are two sites."""
    provider = IdentityProvider(f"http://localhost:{port}/signin/sso/back")
    provider.person["groups"] = ["deciders"]
    configured(tmp_path, provider)
    yield Rooms(tmp_path)
    provider.close()


def proposed(rooms: Rooms) -> str:
    room = rooms.room()
    room.identity.add("pia", PASSWORD, [Role.PROPOSER])
    plan = trial_plan([room_step("room-0")], site=room.site.name, created_at=room.clock.now(), proposer="pia")
    return propose(room.store, plan, room.identity.authenticate("pia", PASSWORD)).plan_id


@pytest.mark.parametrize(("verb", "state"), [("approve", PlanState.APPROVED), ("reject", PlanState.REJECTED)])
def test_a_person_of_the_provider_signs_with_a_browser(
    rooms: Rooms, port: int, browser: Browser, verb: str, state: PlanState
) -> None:
    with serving(create_dashboard(services_of(rooms)).server, port):
        base = f"http://localhost:{port}"
        one = Watched(context_of(browser, base, "light"), base)
        one.page.goto(f"{base}/signin")
        one.page.click("a[href^='/signin/sso']")
        one.page.wait_for_selector("#page h1")
        plan_id = proposed(rooms)
        one.see(f"/plans/{plan_id}")
        one.page.click(f"#{verb}-open")
        one.page.fill(f"#{verb}-reason", "looked at")
        one.page.click(f"#{verb}-afresh")
        one.page.wait_for_url(re.compile(f"/plans/{plan_id}$"))
        one.page.get_by_text(f"paula: {verb}").wait_for()
    assert rooms.room().store.record(plan_id).state is state
    assert one.faults == []
