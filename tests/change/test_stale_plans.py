"""What a plan stands on and changes after approval makes it stale: refused with old and new value, and superseded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from change_world import EVIDENCE, GovernedWorld, rooms
from test_cli_plans import proposed, room_of, workspace

from connectors.governance import GovernedGate, propose
from twin.cli import run
from twin.cli.outlook import outdoor_means, whole_days
from twin.cli.proposals import present, question_of
from twin.cli.workspace import Workspace
from twin.errors import BadInputError, RefusedError
from twin.plan import PlanState
from twin.plans.premises import Ground, Stale, changed_premises
from twin.vocab import PointKind

__all__ = ["workspace"]

WEATHER = {"2026-03-03": 12.0, "2026-03-04": 14.0}
SEEN = Ground(model_id=EVIDENCE.model_id, site_digest=EVIDENCE.site_digest, outdoor_mean_c=WEATHER)


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (
            replace(SEEN, model_id="x" * 64),
            "the calibration changed since the plan was made (then mmmmmmmmmmmm, now xxx",
        ),
        (
            replace(SEEN, site_digest="y" * 64),
            "the site file changed since the plan was made (then ssssssssssss, now yyy",
        ),
        (
            replace(SEEN, outdoor_mean_c={**WEATHER, "2026-03-04": 19.5}),
            "the weather of 2026-03-04 changed since the plan was made (then 14.0 degC on average, now 19.5 degC",
        ),
    ],
)
def test_a_changed_premise_supersedes_the_plan_and_is_named_with_both_values(
    tmp_path: Path, now: Ground, sentence: str
) -> None:
    office = GovernedWorld(tmp_path)
    seen = SEEN
    office.control._gate = GovernedGate(  # type: ignore[attr-defined]  # the gate of a workspace, with its ground
        office.store, office.identity, office.bundle, business_hours=lambda _: True, ground=lambda _: seen
    )
    plan = office.plan(rooms(1))
    plan = replace(plan, evidence=replace(plan.evidence, outdoor_mean_c=WEATHER))
    propose(office.store, plan, office.login("paula"))
    office.approvals.approve(plan.id, office.login("anna"), "ok")
    seen = now
    with pytest.raises(RefusedError) as refusal:
        office.push(plan.id)
    assert sentence in str(refusal.value)
    assert f"'understudy plan propose --again {plan.id[:12]}'" in str(refusal.value)
    record = office.store.record(plan.id)
    assert record.state is PlanState.SUPERSEDED
    assert sentence in record.reason
    assert office.writes() == []


def test_every_changed_premise_is_named_at_once() -> None:
    now = Ground(policy_digest="q" * 64, model_id="x" * 64, site_digest="y" * 64, outdoor_mean_c={"2026-03-03": 30.0})
    found = changed_premises(replace(EVIDENCE, outdoor_mean_c=WEATHER), now)
    assert [one.partition(" changed")[0] for one in found] == [
        "the policy text",
        "the calibration",
        "the site file",
        "the weather of 2026-03-03",
    ]
    assert all(isinstance(one, Stale) for one in found)


def test_weather_within_what_a_forecast_errs_by_changes_nothing() -> None:
    near = {day: mean_c + 2.9 for day, mean_c in WEATHER.items()}
    assert changed_premises(replace(EVIDENCE, outdoor_mean_c=WEATHER), replace(SEEN, outdoor_mean_c=near)) == []


def test_unknown_weather_refuses_but_supersedes_nothing() -> None:
    found = changed_premises(replace(EVIDENCE, outdoor_mean_c=WEATHER), replace(SEEN, outdoor_mean_c={}))
    assert found == ["the weather ahead that the plan counts on cannot be told now; ingest newer telemetry"]
    assert not isinstance(found[0], Stale)


def measure(here: Workspace, start: datetime, days: int, mean_c: float) -> None:
    """Outdoor and room temperatures of some days, with a swing of 5 K over the day."""
    times = pd.date_range(start, periods=days * 96, freq="15min")
    outdoor = mean_c + 5.0 * np.sin((times.hour + times.minute / 60.0 - 9.0) / 24.0 * 2.0 * np.pi)
    for kind, value in (
        (PointKind.OUTDOOR_AIR_TEMPERATURE, outdoor),
        (PointKind.ZONE_AIR_TEMPERATURE, np.full(len(times), 22.0)),
    ):
        for point in here.site.points_of(kind):
            here.telemetry.append(pd.DataFrame({"timestamp": times, "point": point.id, "value": value}))


def test_a_heat_wave_after_approval_makes_the_plan_stale(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = Workspace.at(workspace)
    begin = datetime(2026, 6, 1, tzinfo=UTC)
    measure(here, begin, 21, 15.0)
    now = present(here)
    days = whole_days(here.site, now, now + timedelta(days=7))
    expected = outdoor_means(here, now, days)
    assert list(expected) == [day.isoformat() for day in days]
    assert list(expected.values()) == pytest.approx([15.0] * len(days), abs=0.5)
    room = room_of(workspace)
    plan = proposed(workspace, scenario="goal cost -10%, at most 26 degC", outdoor_mean_c=expected)
    at = ["--workspace", str(workspace)]
    assert run(["plan", "approve", plan.id, "--as", "anna", *at]) == 0
    measure(here, now, 3, 27.0)
    capsys.readouterr()
    assert run(["plan", "push", plan.id, "--as", "olga", *at]) == 3
    said = capsys.readouterr().err
    then = f"{expected[days[0].isoformat()]:.1f}"
    assert f"the weather of {days[0]} changed since the plan was made (then {then} degC on average" in said
    assert "now 27.0 degC" in said
    assert room.store.record(plan.id).state is PlanState.SUPERSEDED
    assert question_of(plan) == ("cost -10%, at most 26 degC", plan.evidence.seed)


def test_newer_telemetry_of_the_weather_foreseen_lets_the_plan_go(workspace: Path) -> None:
    here = Workspace.at(workspace)
    measure(here, datetime(2026, 6, 1, tzinfo=UTC), 21, 15.0)
    now = present(here)
    plan = proposed(
        workspace, outdoor_mean_c=outdoor_means(here, now, whole_days(here.site, now, now + timedelta(days=7)))
    )
    at = ["--workspace", str(workspace)]
    assert run(["plan", "approve", plan.id, "--as", "anna", *at]) == 0
    measure(here, now, 1, 16.0)
    assert run(["plan", "push", plan.id, "--as", "olga", *at]) == 0


def test_a_plan_that_came_from_no_goal_cannot_be_asked_again(workspace: Path) -> None:
    with pytest.raises(BadInputError, match="not from a goal"):
        question_of(proposed(workspace))


def test_days_that_are_not_whole_are_left_out(workspace: Path) -> None:
    site = Workspace.at(workspace).site
    start = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert whole_days(site, start, start + timedelta(days=2)) == [date(2026, 6, 2)]
