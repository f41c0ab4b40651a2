"""Every screen in a real browser, light and dark, wide and narrow: nothing fails, nothing leaves the machine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from browser import CHROMIUM, Watched, context_of, serving
from dashboard_example import PASSWORD, Example, example
from example_office import EVIL
from playwright.sync_api import Browser

from dashboard.app import create_dashboard
from dashboard.views import Role

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium (see .ci/packages.txt)"),
]
SHOTS = Path(os.environ.get("UNDERSTUDY_SCREENSHOTS", "var/screenshots"))
SCREENS = {
    "now": "/now?room=west+2&clock=pick&day=2023-07-12&minute=840",
    "forecast": "/forecast",
    "scenarios": "/scenarios",
    "scenario": "/scenario/july-0123456789ab/both",
    "plans": "/plans",
    "push": "/push",
    "savings": "/savings",
    "health": "/health",
    "audit": "/audit",
    "settings": "/settings",
}


@pytest.fixture(scope="module")
def world() -> Example:
    return example()


@pytest.fixture(scope="module")
def base(world: Example) -> Iterator[str]:
    with serving(create_dashboard(world.services).server) as address:
        yield address


@pytest.fixture
def otto(browser: Browser, base: str) -> Iterator[Watched]:
    context = context_of(browser, base, "light")
    watched = Watched(context, base)
    watched.sign_in("otto", PASSWORD)
    yield watched
    context.close()


@pytest.mark.parametrize("look", ["light", "dark"])
def test_every_screen_is_drawn_without_an_error_and_asks_nobody_else(browser: Browser, base: str, look: str) -> None:
    context = context_of(browser, base, look)
    watched = Watched(context, base)
    watched.sign_in("otto", PASSWORD)
    for name, path in SCREENS.items():
        watched.see(path)
        SHOTS.mkdir(parents=True, exist_ok=True)
        watched.page.screenshot(path=SHOTS / f"{name}-{look}.png", full_page=True)
    context.close()
    assert watched.faults == []
    assert watched.strangers == []


def test_a_tablet_shows_every_screen_without_scrolling_sideways(browser: Browser, base: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    context = context_of(browser, base, "light", width=820, height=1180)
    watched = Watched(context, base)
    watched.sign_in("otto", PASSWORD)
    for name, path in SCREENS.items():
        watched.see(path)
        over = watched.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        watched.page.screenshot(path=SHOTS / f"{name}-tablet.png", full_page=True)
        assert over <= 0, name
    context.close()


def test_controls_write_the_address_and_the_address_sets_the_controls(otto: Watched) -> None:
    otto.see("/now")
    otto.page.get_by_text("People", exact=True).first.click()
    otto.wait("location.search.includes('measure=people')")
    otto.see("/now?measure=co2&floor=1")
    assert otto.page.locator("input[value=co2]").is_checked()
    assert otto.page.locator("#floor").inner_text().count("Floor") == 1


def test_a_click_on_a_room_shows_it_close_up(otto: Watched) -> None:
    otto.see("/now")
    otto.page.get_by_role("button", name="west 2, Temperature").click()
    otto.page.get_by_role("heading", name="west 2").wait_for()
    assert "served by ahu 2" in otto.page.inner_text("#room-card")
    otto.wait("document.querySelector('#floor [data-tile=\"west 2\"]').getAttribute('aria-pressed') === 'true'")


def test_arrow_keys_walk_over_the_floor_and_enter_picks(otto: Watched) -> None:
    otto.see("/now?floor=0")
    otto.page.locator('#floor [data-tile="core 0"]').focus()
    otto.page.keyboard.press("ArrowDown")
    assert otto.page.evaluate("document.activeElement.dataset.tile") == "south 0"
    assert otto.page.locator(".tiles-tip").inner_text().startswith("south 0")
    otto.page.keyboard.press("Enter")
    otto.page.get_by_role("heading", name="south 0").wait_for()


def test_the_first_screen_does_without_the_large_scripts_and_others_fetch_them(otto: Watched) -> None:
    otto.see("/now")
    assert otto.page.evaluate("window.Plotly === undefined")
    assert otto.page.evaluate("document.querySelectorAll('script[src*=dash_ag_grid]').length") == 0
    otto.page.get_by_role("link", name="Audit").click()
    otto.page.locator(".ag-cell").first.wait_for()
    otto.page.get_by_role("link", name="Forecast").click()
    otto.page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert otto.faults == []


def test_a_hostile_name_does_nothing_anywhere(otto: Watched, world: Example) -> None:
    world.identity.add("admin", "eve", EVIL, "12345678", frozenset({Role.VIEWER}))
    for path in ("/scenarios", "/audit", "/settings", "/scenario/july-0123456789ab/%3Cimg%20src%3Dx%3E"):
        otto.see(path)
    assert otto.page.evaluate("window.hacked === undefined")
    assert otto.page.locator("img[src=x]").count() == 0


def test_a_what_if_is_built_queued_watched_and_cancelled(otto: Watched, world: Example) -> None:
    otto.see("/scenarios")
    otto.page.get_by_role("button", name="Build a what-if").click()
    otto.page.locator("#what-if-preset").click()
    otto.page.get_by_role("option", name="Outdoor air by people").click()
    otto.wait("document.querySelector('#what-if-name').value === 'Outdoor air by people'")
    otto.page.get_by_role("button", name="Run against the baseline").click()
    otto.page.get_by_role("button", name="Cancel").wait_for()
    otto.page.reload()
    otto.page.get_by_role("button", name="Jobs (1)").click()
    otto.page.get_by_role("button", name="Cancel").click()
    otto.page.get_by_text("cancelled", exact=True).wait_for()
    job = world.jobs.all()[0]
    assert job.request["scenarios"][1]["policy"] == {  # type: ignore[index]
        "outdoor_air": {"start_delay_h": 1, "demand_controlled": {"min_fraction": 0.2}}
    }


def test_a_person_approves_with_reason_and_password_and_a_wrong_one_does_not(
    browser: Browser, base: str, world: Example
) -> None:
    context = context_of(browser, base, "light")
    watched = Watched(context, base)
    watched.sign_in("anna", PASSWORD)
    watched.see("/plans")
    watched.page.get_by_role("link", name="Warmer supply air this week").click()
    for password, words in (("wrong password", "user or password is wrong"), (PASSWORD, "The plan is approved.")):
        if not watched.page.locator("#approve-reason").is_visible():
            watched.page.get_by_role("button", name="Approve").click()
        watched.page.fill("#approve-reason", "effects and rollback look right")
        watched.page.fill("#approve-password", password)
        watched.page.locator("#approve-act").click()
        watched.page.get_by_text(words).first.wait_for()
    context.close()
    states = {one.plan.title: one.record.state for one in world.plans.all()}
    assert states["Warmer supply air this week"] == "approved"


def test_an_ended_session_leads_to_the_sign_in_page_and_back(browser: Browser, base: str, world: Example) -> None:
    context = context_of(browser, base, "light")
    watched = Watched(context, base)
    watched.sign_in("vera", PASSWORD)
    watched.see("/savings")
    context.clear_cookies(name="understudy_session")
    watched.page.wait_for_url("**/signin?next=%2Fsavings", timeout=15_000)
    watched.page.fill("#user", "vera")
    watched.page.fill("#password", PASSWORD)
    watched.page.click("button")
    watched.page.get_by_role("heading", name="Savings").wait_for()
    context.close()


def test_a_foreign_page_cannot_run_a_callback(browser: Browser, base: str, otto: Watched) -> None:
    from flask import Flask

    foreign = Flask("foreign")
    foreign.add_url_rule("/", "home", lambda: "<!doctype html><title>foreign</title>")
    with serving(foreign) as elsewhere:
        page = otto.page.context.new_page()
        answers: list[int] = []
        page.on("response", lambda response: answers.append(response.status) if base in response.url else None)
        page.goto(elsewhere)
        script = """async (target) => {
            try {
                const answer = await fetch(target, {method: 'POST', credentials: 'include', mode: 'no-cors',
                    headers: {'Content-Type': 'text/plain'}, body: '{}'});
                return answer.type;
            } catch (error) { return String(error); }
        }"""
        for path in ("/_dash-update-component", "/signout"):
            assert page.evaluate(script, base + path) in {"opaque", "TypeError: Failed to fetch"}
        otto.see("/savings")
        assert set(answers) <= {403}


def test_screen_readers_find_a_name_for_everything_one_can_press(otto: Watched) -> None:
    unnamed = {}
    for name, path in SCREENS.items():
        otto.see(path)
        found = otto.page.evaluate(
            """() => [...document.querySelectorAll('button, a, input:not([type=hidden]), [role=slider], select')]
              .filter(e => e.offsetParent !== null)
              .filter(e => !(e.innerText || '').trim() && !e.getAttribute('aria-label') && !e.labels?.length
                && !e.getAttribute('aria-labelledby') && !e.title && !e.placeholder
                && !e.closest('.modebar, .ag-root-wrapper'))
              .map(e => e.outerHTML.slice(0, 160))"""
        )
        if found:
            unnamed[name] = found
    assert unnamed == {}, json.dumps(unnamed, indent=1)


AXE = Path(__file__).parent / "vendor" / "axe.min.js"
"""axe-core 4.14.1 (MPL 2.0, its licence beside it): used in tests only, not part of the product."""


@pytest.mark.parametrize("look", ["light", "dark"])
def test_axe_finds_no_serious_issue_on_any_screen(browser: Browser, base: str, look: str) -> None:
    context = context_of(browser, base, look)
    watched = Watched(context, base)
    watched.sign_in("otto", PASSWORD)
    issues: dict[str, list[str]] = {}
    for name, path in SCREENS.items():
        watched.see(path)
        watched.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = watched.page.evaluate(
            """async () => (await axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa']}))
              .violations.filter(v => ['serious', 'critical'].includes(v.impact))
              .map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 150)).join(' | '))"""
        )
        if found:
            issues[name] = found
    context.close()
    assert issues == {}, json.dumps(issues, indent=1)
