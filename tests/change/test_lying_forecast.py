"""Forecast intervals that lie (fault E3): every surface that shows a forecast says so, the dossier of a plan too."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from drifting_building import DAYS, START, changed, fill, long_rows
from test_cli_plans import proposed, said, workspace

from dashboard.views import Severity
from optimizer.goals import Goal
from twin.cli import run
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import services_of
from twin.cli.plan_evidence import evidence_of
from twin.cli.proposals import Proposal, days_ahead
from twin.cli.workspace import Workspace
from twin.plans.document import Interval
from twin.policy import Policy
from twin.run import simulate
from twin.streams import stream

__all__ = ["workspace"]
SHIFT_DAY = DAYS - 4
SAID = "80 % intervals held too seldom over the last"


@pytest.fixture
def shifted(workspace: Path) -> Workspace:
    """Six weeks of telemetry; in the last four days people come at any hour, many or few."""
    here = fill(workspace, changed(Workspace.at(workspace).site, days=DAYS))
    rooms = [f"{zone.id}/zone_occupancy" for zone in here.site.zones]
    rows = here.telemetry.read(rooms)
    here.telemetry.remove(rooms, START + timedelta(days=DAYS))
    for zone, room in zip(here.site.zones, rooms, strict=True):
        values = rows[rows["point"] == room].sort_values("timestamp")["value"].to_numpy(dtype=float, copy=True)
        crowd = stream(1, "crowd", zone.id).uniform(0.0, 2.0 * zone.design_people, DAYS * 24).round()
        values[SHIFT_DAY * 96 :] = np.repeat(crowd, 4)[SHIFT_DAY * 96 :]
        here.telemetry.append(long_rows(room, values))
    return here


def test_command_line_and_dashboard_say_which_intervals_failed_and_what_forecasts_instead(
    shifted: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--series", "people", "--workspace", str(shifted.folder)]
    assert run(["forecast", *at, "--json"]) == 0
    (row,) = cast("list[dict[str, object]]", said(capsys)["series"])
    (finding,) = cast("list[dict[str, object]]", row["findings"])
    assert finding["kind"] == "coverage"
    assert row["forecaster"] in str(finding["sentence"])
    assert run(["forecast", *at]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert SAID in told
    assert "the 80 % interval held" in told
    services = services_of(Rooms(shifted.folder))
    shown = services.models.forecast("people")
    assert shown is not None
    assert shown.findings == (finding["sentence"],)
    among = {one.id: one for one in services.telemetry.findings()}
    assert among[str(finding["id"])].severity is Severity.WARNING
    assert among[str(finding["id"])].sentence == finding["sentence"]


def test_a_plan_that_rests_on_such_a_forecast_says_so_in_its_dossier(
    shifted: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    ahead = days_ahead(shifted, None, seed=0)[0]
    assert any(one.point.startswith("people of ") for one in ahead.findings)
    unasked = cast("Any", None)
    saving = Interval(value=5.0, low=3.0, high=7.0, unit="%")
    proposal = Proposal(
        policy=Policy(), goal=Goal.parse("energy"), search=unasked, effect=unasked, saving=saving, votes=()
    )
    model = shifted.models.current()
    evidence = evidence_of(shifted, proposal, model, "0" * 64, 0, timedelta(0), ahead.findings)
    plan = proposed(shifted.folder, evidence=evidence)
    capsys.readouterr()
    page = shifted.folder / "dossier.html"
    assert run(["plan", "dossier", plan.id, "--workspace", str(shifted.folder), "--json"]) == 0
    assert any(SAID in line for line in json.loads(capsys.readouterr().out)["data"]["health"])
    assert run(["plan", "dossier", plan.id, "--workspace", str(shifted.folder), "--html", str(page)]) == 0
    assert SAID in page.read_text(encoding="utf-8")


def test_a_what_if_over_such_a_forecast_says_so_among_its_findings(shifted: Workspace) -> None:
    ahead = days_ahead(shifted, None, seed=0, samples=1)[0]
    model = shifted.models.current()
    found = simulate(shifted.site, model.parameters, ahead, Policy())
    assert any(SAID in sentence for sentence in found.findings)


def test_a_process_that_went_on_as_before_leaves_no_such_line(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(workspace, changed(Workspace.at(workspace).site, days=DAYS))
    capsys.readouterr()
    assert run(["forecast", "--series", "people", "--workspace", str(workspace)]) == 0
    assert SAID not in capsys.readouterr().out
