"""Two stories in a real browser on the demo's workspace: the facility team's, with a push, and the product team's."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from browser import CHROMIUM, Watched, launched
from demo_once import told_by_the_demo
from live_site import PASSWORD, PUSHING, STILL, LiveSite, live_site, wait_for
from playwright.sync_api import Page, sync_playwright

from dashboard.formats import number, percent
from twin.plan import PlanState, StepState

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium (see .ci/packages.txt)"),
    pytest.mark.skipif(
        find_spec("pyenergyplus") is None and not os.environ.get("CI"), reason="the extra 'emulator' is not installed"
    ),
]
SHOTS = Path(os.environ.get("UNDERSTUDY_SCREENSHOTS", "var/screenshots"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    folder, _ = told_by_the_demo(tmp_path_factory)
    with sync_playwright() as playwright:
        browser = launched(playwright)
        with live_site(folder, browser) as site:
            yield site
        browser.close()


def shot(who: Watched, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    who.page.screenshot(path=SHOTS / f"story-{name}.png", full_page=True)


def finished(site: LiveSite, page: Page, kind: str, link: str) -> None:
    """Waits for the newest job of a kind in the drawer, then follows the link that it left."""
    page.get_by_role("link", name=link).first.wait_for(timeout=120_000)
    job = next(job for job in site.jobs() if job.kind == kind)
    assert job.state.value == "done", job.message
    page.get_by_role("link", name=link).first.click()


def signed(who: Watched, name: str, reason: str) -> None:
    """Fills the dialog that asks for a reason and the password afresh."""
    who.page.fill(f"#{name}-reason", reason)
    who.page.fill(f"#{name}-password", PASSWORD)
    who.page.locator(f"#{name}-act").click()


def test_a_facility_team_goes_from_a_hot_room_to_a_verified_saving_and_back(site: LiveSite) -> None:
    planner = site.person("planner")
    sees_why_a_room_is_hot(site, planner)
    asks_what_if(site, planner)
    plan_id = proposes(site, planner)
    two_others_approve(site, planner, plan_id)
    lead = site.watched[1]
    pushes(site, lead, plan_id)
    measures(site, lead, plan_id)
    releases(site, lead, plan_id)
    assert site.faults() == []


def sees_why_a_room_is_hot(site: LiveSite, planner: Watched) -> None:
    room, at, value = site.hottest()
    local = at.tz_convert(site.rooms.site.time_zone)
    planner.see(f"/now?clock=pick&day={local.date()}&minute={local.hour * 60 + local.minute}")
    over = number(value - site.rooms.site.comfort.max_c, 2)
    planner.page.get_by_text(f"is {over} K outside, the most.").wait_for()
    planner.page.get_by_role("link", name=room).click()
    planner.page.get_by_role("heading", name=room).wait_for()
    planner.settle()
    words = planner.page.inner_text("#room-card")
    assert f"{number(value)} °C" in words
    assert "Cooling setpoint" in words
    assert "Nothing is found wrong with these measurements." in words
    shot(planner, "hot-room")
    planner.page.get_by_role("link", name="What the next hours bring").click()
    planner.page.get_by_role("heading", name="Forecast").wait_for()


def asks_what_if(site: LiveSite, planner: Watched) -> None:
    planner.see("/scenarios")
    page = planner.page
    page.get_by_role("button", name="Build a what-if").click()
    page.locator("#what-if-preset").click()
    page.get_by_role("option", name="Warmer supply air when nobody needs it cold").click()
    planner.wait("document.querySelector('#what-if-name').value === 'Warmer supply air when nobody needs it cold'")
    page.get_by_role("button", name="Run against the baseline").click()
    finished(site, page, "run", "Show the results")
    batch = str(site.jobs()[0].result["batch"])
    saving = site.summary(batch)["scenarios"][1]["delta_vs_baseline"]["hvac_kwh"]["percent"]
    assert saving["low"] < saving["value"] < saving["high"]
    page.get_by_text(f"{percent(saving['value'])} [").first.wait_for()
    shot(planner, "what-if")


def proposes(site: LiveSite, planner: Watched) -> str:
    planner.see("/plans")
    planner.page.get_by_role("button", name="Propose a plan for the week ahead").click()
    finished(site, planner.page, "propose", "Show the plan")
    planner.page.get_by_role("button", name="Approve").wait_for()
    plan_id = str(site.jobs()[0].result["plan"])
    view = site.room.store.view(plan_id)
    assert (view.plan.proposer, view.record.state) == ("planner", PlanState.PROPOSED)
    assert site.held() == {}
    planner.page.get_by_role("heading", name=view.plan.title).wait_for()
    return plan_id


def two_others_approve(site: LiveSite, planner: Watched, plan_id: str) -> None:
    planner.page.get_by_role("button", name="Approve").click()
    signed(planner, "approve", "my own work")
    planner.page.get_by_text("planner proposed it; another person must").first.wait_for()
    others = [site.person(user) for user in ("facility-lead", "platform-lead")]
    for one in others:
        one.see(f"/plans/{plan_id}")
        one.page.get_by_role("button", name="Approve").click()
        one.page.locator("#approve-act").wait_for()
    shot(others[0], "approval")
    for one in others:  # neither waits for the answer to the other
        signed(one, "approve", "effect, limits and way back looked at")
    wait_for(lambda: site.room.store.record(plan_id).state is PlanState.APPROVED, 60, "the word of both")
    for one in others:
        one.see(f"/plans/{plan_id}")
        one.page.get_by_text("approved", exact=True).first.wait_for()
    people = {(word.person, word.decision) for word in site.room.store.approvals(plan_id)}
    assert people == {("facility-lead", "approve"), ("platform-lead", "approve")}


def pushes(site: LiveSite, lead: Watched, plan_id: str) -> None:
    lead.see(f"/push/{plan_id}")
    site.world.speed = PUSHING
    lead.page.get_by_role("button", name="Push", exact=True).click()
    lead.page.fill("#push-reason", "approved by two; quiet hour")
    lead.page.get_by_role("button", name="Do it").click()
    lead.page.get_by_text("judge: pass").first.wait_for(timeout=60_000)
    shot(lead, "push-under-way")
    record = site.room.store.record
    wait_for(lambda: record(plan_id).state is not PlanState.PUSHING, 120, "the push")
    site.world.speed = STILL
    view = site.room.store.view(plan_id)
    assert view.record.state is PlanState.PUSHED, (view.record.reason, [job.message for job in site.jobs()])
    assert {step.state for step in view.steps} == {StepState.VERIFIED}
    lead.page.get_by_text(f"{len(view.plan.waves)} of {len(view.plan.waves)}").wait_for()
    wanted = {one.action.point: one.action.value for one in view.plan.steps() if one.action.connector == "building"}
    assert {point: reading.value for point, reading in site.held().items()} == wanted


def measures(site: LiveSite, lead: Watched, plan_id: str) -> None:
    site.let_pass(30)
    lead.see(f"/push/{plan_id}")
    lead.page.get_by_role("button", name="Measure the saving").click()
    lead.page.fill("#push-reason", "a day has passed")
    lead.page.get_by_role("button", name="Do it").click()
    lead.page.get_by_role("button", name="Jobs").click()
    finished(site, lead.page, "verify", "Show the savings")
    lead.page.get_by_role("heading", name="Savings").wait_for()
    reports = {one.meter: one for one in site.room.store.verifications(plan_id)}
    hvac = reports["hvac_kwh"].saving_kwh
    lead.page.get_by_text(f"{number(hvac.value)} [{number(hvac.low)}, {number(hvac.high)}] kWh").first.wait_for()
    shot(lead, "savings")


def releases(site: LiveSite, lead: Watched, plan_id: str) -> None:
    assert site.held()
    site.world.speed = PUSHING
    lead.see("/now")
    lead.page.get_by_role("button", name="Release all").click()
    signed(lead, "release", "the trial is over")
    lead.page.get_by_text("plans held points").first.wait_for(timeout=60_000)
    assert site.held() == {}
    assert {step.state for step in site.room.store.steps(plan_id)} <= {StepState.RELEASED, StepState.REVERTED}
    assert site.room.folder.verify(site.room.store) == []
    auditor = site.person("auditor")
    auditor.see("/audit")
    auditor.page.get_by_role("button", name="Verify the log").click()
    auditor.page.get_by_text("The log is whole").wait_for()


def test_a_product_team_compares_scenarios_and_takes_the_numbers_along(site: LiveSite) -> None:
    one = site.person("platform-lead", "dark")
    one.page.set_viewport_size({"width": 2800, "height": 1200})  # the table draws the columns that are in sight
    batches = [path.parent.name for path in site.folder.glob("var/results/baseline-*/summary.json")]
    tables = {name: {one["name"]: one for one in site.summary(name)["scenarios"]} for name in batches}
    batch, told = next(
        (name, table) for name, table in tables.items() if "combined" in table
    )  # others ask one question
    one.see(f"/scenarios?batch={batch}&x=cost&compare=combined|wider+setpoints")
    for kpi in ("hvac_kwh", "cost", "co2_kg"):
        change = told["combined"]["delta_vs_baseline"][kpi]["percent"]
        words = f"{percent(change['value'])} [{percent(change['low'])}, {percent(change['high'])}] %"
        cell = one.page.locator(f".ag-row[row-id=combined] [col-id={kpi}]")
        cell.scroll_into_view_if_needed()
        assert cell.inner_text() == words, kpi
    shot(one, "comparison")
    rows = list(csv.DictReader(io.StringIO(one.page.request.get(f"{one.base}/download/results/{batch}.csv").text())))
    cost = next(row for row in rows if row["scenario"] == "combined" and row["kpi"] == "cost")
    assert float(cost["delta"]) == told["combined"]["delta_vs_baseline"]["cost"]["value"]
    assert cost["unit"] == site.rooms.site.tariff.currency
    report = one.page.request.get(f"{one.base}/download/results/{batch}.html").text()
    assert number(told["combined"]["delta_vs_baseline"]["co2_kg"]["value"]) in report
    assert one.faults == []
    assert one.strangers == []
