"""A building that leaves its twin (fault E1): no plan is proposed, approved or started; what runs is not torn off."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from change_world import GovernedWorld, rooms, setpoint
from drifting_building import ALL_NIGHT, DAYS, OTHER_FAN, START, changed, errors, fill
from test_cli_plans import proposed, room_of, said, workspace

from connectors.governance import Approvals, GovernedGate, propose
from dashboard.views import Severity
from twin.calibration.residuals import HourlyErrors
from twin.cli import run
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import services_of
from twin.cli.drift import Watch, judged, watch
from twin.cli.workspace import Workspace
from twin.errors import RefusedError
from twin.plan import PlanState

__all__ = ["workspace"]
CHANGED_AT = START + timedelta(days=31)


def moved(folder: Path, **change: object) -> Watch:
    """What is seen of a building that changes three days after calibration."""
    here = Workspace.at(folder)
    return watch(fill(folder, changed(here.site, **change)))  # type: ignore[arg-type]


def test_a_building_that_stays_as_it_was_blocks_nothing(workspace: Path) -> None:
    found = moved(workspace)
    assert (found.watched_h, found.drifts, found.unjudged) == (336, (), "")


@pytest.mark.parametrize("change", [{"parameters": OTHER_FAN}, {"policy": ALL_NIGHT}], ids=["a fan", "the schedule"])
def test_a_replaced_fan_and_a_changed_schedule_block_plans_within_two_days(
    workspace: Path, change: dict[str, object]
) -> None:
    fan = next(one for one in moved(workspace, **change).drifts if one.series == "fan_power")
    assert fan.blocks
    assert fan.size > 0.1 * fan.level
    assert abs(fan.since - CHANGED_AT) < timedelta(days=2)
    assert f"since {fan.since:%Y-%m-%d %H:%M} UTC by {fan.size / 1000:+.2f} kW" in fan.sentence()


def test_a_sensor_stuck_at_a_plausible_value_is_told_by_the_residual_of_the_twin_too(workspace: Path) -> None:
    """Fault A7: 25.5 degC could be; with what the twin expects beside it, it is drift, and plans are blocked."""
    here = Workspace.at(workspace)
    record = changed(here.site, days=DAYS)
    record.zone_temperature_c[31 * 96 :, 1] = 25.5
    room = next(one for one in watch(fill(workspace, record)).drifts if one.series == "south")
    assert room.blocks
    assert abs(room.since - CHANGED_AT) < timedelta(days=1)


def test_a_room_that_reads_two_kelvin_more_for_good_is_drift(workspace: Path) -> None:
    """What stays is no outlier to be cleaned away: it is told with its size, and nothing is planned on it."""
    here = Workspace.at(workspace)
    record = changed(here.site, days=DAYS)
    record.zone_temperature_c[31 * 96 :, 1] += 2.0
    room = next(one for one in watch(fill(workspace, record)).drifts if one.series == "south")
    assert room.size == pytest.approx(2.0, abs=0.2)
    assert room.blocks
    assert abs(room.since - CHANGED_AT) < timedelta(days=1)


def series(name: str, hours: int, *, level: float) -> HourlyErrors:
    """Hourly means, of unit spread, of errors that forget within an hour or two."""
    hourly = errors(name, 4 * hours).reshape(hours, 4).mean(axis=1)
    return HourlyErrors(series=name, unit="W", level=level, errors=hourly / hourly.std())


def test_a_bias_of_one_sigma_in_one_of_four_series_is_told_within_three_days() -> None:
    """28 days at calibration, two quiet days, then +1 σ of which 80 hours are seen; the other series are not named."""
    all_series = [series(name, 30 * 24 + 80, level=5.0) for name in "abcd"]
    all_series[2].errors[30 * 24 :] += 1.0
    found = judged("m", all_series, START, 28 * 24)
    assert [one.series for one in found.drifts] == ["c"]
    assert found.drifts[0].sigma == pytest.approx(1.0, abs=0.5)
    assert found.drifts[0].blocks


def test_a_site_of_many_series_still_cries_wolf_seldom() -> None:
    """12 sites of 8 series, one quiet month each: 0.3 of a month are to be expected, 6 would be twice that."""
    sites = [[series(f"{site}/{n}", 2 * 720, level=5.0) for n in range(8)] for site in range(12)]
    alarmed = sum(bool(judged("m", one, START, 720).drifts) for one in sites)
    assert alarmed <= 6


def test_a_drift_that_has_ended_a_week_ago_no_longer_blocks() -> None:
    one = series("a", 60 * 24, level=5.0)
    one.errors[30 * 24 : 40 * 24] += 3.0
    assert judged("m", [one], START, 28 * 24).drifts == ()


def test_without_newer_telemetry_there_is_nothing_to_judge() -> None:
    found = judged("m", [series("a", 700, level=5.0)], START, 700)
    assert found.unjudged == "no telemetry is newer than the calibration"


def test_a_drifted_twin_proposes_nothing_and_says_so_on_every_surface(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(workspace, changed(Workspace.at(workspace).site, OTHER_FAN))
    capsys.readouterr()
    at = ["--workspace", str(workspace)]
    assert run(["drift", *at, "--json"]) == 3
    told = said(capsys)
    assert told["plans_blocked"] is True
    assert run(["plan", "propose", "--as", "paula", *at]) == 3
    refusal = capsys.readouterr().err
    assert "no plan is proposed from a twin that the building has left: fan_power" in refusal
    assert run(["drift", *at]) == 3
    assert "fan_power" in capsys.readouterr().out
    shown = services_of(Rooms(workspace)).telemetry.findings()
    said_of = {one.subject: one.severity for one in shown}
    assert (said_of["fan_power"], said_of["south"]) == (Severity.SERIOUS, Severity.WARNING)


def test_a_plan_made_before_the_drift_is_neither_approved_nor_pushed(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(workspace, changed(Workspace.at(workspace).site, days=42))
    first, at = proposed(workspace), ["--workspace", str(workspace)]
    assert run(["plan", "approve", first.id, "--as", "anna", *at]) == 0
    fill_anew(workspace)
    assert run(["plan", "push", first.id, "--as", "olga", *at]) == 3
    assert "the twin that it rests on has drifted: fan_power: the building has left" in capsys.readouterr().err
    assert room_of(workspace).store.record(first.id).state is PlanState.SUPERSEDED
    second = proposed(workspace, title="again")
    assert run(["plan", "approve", second.id, "--as", "anna", *at]) == 3
    assert "the twin that it rests on has drifted: fan_power" in capsys.readouterr().err
    assert room_of(workspace).store.record(second.id).state is PlanState.PROPOSED


def fill_anew(folder: Path) -> None:
    """The telemetry tells another story from the first of June on."""
    here = Workspace.at(folder)
    here.telemetry.remove([point.id for point in here.site.points], datetime.max.replace(tzinfo=START.tzinfo))
    fill(folder, changed(here.site, OTHER_FAN))


def test_a_push_under_way_is_finished_although_the_twin_drifts(tmp_path: Path) -> None:
    office, drifts = GovernedWorld(tmp_path), list[str]()
    gate = GovernedGate(
        office.store, office.identity, office.bundle, business_hours=lambda _: True, drift=lambda: drifts
    )
    office.control._gate = gate  # type: ignore[attr-defined]  # the gate of a workspace, with its detector
    plan = office.plan(rooms(4))
    propose(office.store, plan, office.login("paula"))
    for name in ("anna", "ben"):
        office.approvals.approve(plan.id, office.login(name), "ok")
    office.on_call("apply", setpoint("room-0"), lambda: drifts.append("fan_power: the building has left the twin"))
    assert office.push(plan.id).state is PlanState.PUSHED
    other = office.plan(rooms(1), title="the next one")
    propose(office.store, other, office.login("paula"))
    with pytest.raises(RefusedError, match="has drifted: fan_power"):
        Approvals(office.store, office.identity, office.clock, drift=lambda: drifts).approve(
            other.id, office.login("anna"), "ok"
        )


def test_the_judgement_is_kept_until_telemetry_or_model_change(workspace: Path) -> None:
    here = fill(workspace, changed(Workspace.at(workspace).site, OTHER_FAN))
    first = watch(here)
    kept = workspace / "var" / "models" / "drift.json"
    written = kept.stat().st_mtime_ns
    assert watch(here) == first
    assert kept.stat().st_mtime_ns == written
    kept.write_text("{", encoding="utf-8")
    assert watch(here) == first
    assert json.loads(kept.read_text(encoding="utf-8"))["model_id"] == first.model_id
