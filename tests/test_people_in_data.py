"""People in the data: who they are is refused at the door, few are not told apart, and counts do not stay for ever."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.retention import KEEP_PEOPLE_DAYS
from connectors.settings.template import TEMPLATE
from twin.cli import run
from twin.cli.control_room import open_control_room
from twin.cli.workspace import Workspace
from twin.people_shown import shown_counts
from twin.vocab import PointKind

PASSWORD = "correct horse battery"
HEAD = (
    "timestamp,outdoor_f,ghi,electricity_kwh,fans_kwh,cooling_kwh,gas_therm,core.temp_f,south.temp_f,"
    "core.people,south.people"
)
ROW = "2026-03-02 0{}:00,40,0,1,1,0,0,70,70,1,4"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNDERSTUDY_PASSWORD", PASSWORD)
    (tmp_path / "site.yaml").write_text(TEMPLATE, encoding="utf-8")
    (tmp_path / "telemetry").mkdir()
    return tmp_path


def deliver(workspace: Path, extra: str = "", cell: str = "") -> int:
    lines = [HEAD + extra, *(ROW.format(hour) + cell for hour in range(6))]
    (workspace / "telemetry" / "building.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return run(["ingest", "--workspace", str(workspace)])


def test_counts_of_people_are_taken(workspace: Path) -> None:
    assert deliver(workspace, ",room", ",south 1") == 0
    assert deliver(workspace, ",damper_position", ",3") == 0


@pytest.mark.parametrize(
    "head",
    ["badge_id", "Badge", "employee number", "name", "first_name", "e-mail", "user_id", "organizer.mail", "phone"],
)
def test_a_file_that_says_who_people_are_is_refused(
    workspace: Path, head: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deliver(workspace, f",{head}", ",4711") == 2
    assert f"column {head!r} says who people are" in capsys.readouterr().err
    assert Workspace.at(workspace).telemetry.period() is None


def test_an_address_as_the_head_of_a_column_is_refused(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deliver(workspace, ",anna.meier@example.org", ",1") == 2
    assert "says who people are" in capsys.readouterr().err


def test_an_address_as_the_key_of_a_row_is_refused(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = """
  doors:
    files: ["doors.csv"]
    timestamp: {column: at, time_zone: UTC}
    key: {column: room, of: zone}
    columns:
      - {column: people, kind: zone_occupancy, unit: people}
"""
    text = TEMPLATE.replace("\n# Systems that can be read", block + "\n# Systems that can be read")
    (workspace / "site.yaml").write_text(text, encoding="utf-8")
    rows = "at,room,people\n2026-03-02T08:00,core,3\n2026-03-02T08:00,anna@example.org,1\n"
    (workspace / "doors.csv").write_text(rows, encoding="utf-8")
    code = run(["ingest", "--source", "doors", "--workspace", str(workspace)])
    said = capsys.readouterr().err
    assert code == 2, said
    assert "e-mail addresses" in said


def test_fewer_than_three_people_are_never_shown_as_they_are() -> None:
    shown = shown_counts(np.array([0.0, 1.0, 2.0, 2.5, 3.0, 7.0, np.nan], dtype=np.float32))
    np.testing.assert_array_equal(shown, np.array([0.0, 3.0, 3.0, 3.0, 3.0, 7.0, np.nan], dtype=np.float32))


def test_the_pages_get_no_room_with_one_or_two_people(workspace: Path) -> None:
    from connectors.ingest import Telemetry
    from twin.cli.dashboard.telemetry import StoredTelemetry

    assert deliver(workspace) == 0
    site, clock = Workspace.at(workspace).site, open_control_room(workspace).clock
    pages = StoredTelemetry(site, Telemetry(workspace / "var" / "telemetry"), clock)
    at = datetime(2026, 3, 2, 11, 30, tzinfo=UTC)
    snapshot = pages.snapshot(PointKind.ZONE_OCCUPANCY, at)
    assert {zone: sample.value for zone, sample in snapshot.items()} == {"core": 3.0, "south": 4.0}
    points = [point.id for point in site.points_of(PointKind.ZONE_OCCUPANCY)]
    series = pages.series(points, at - timedelta(hours=8), at)
    assert set(np.unique(series.to_numpy()[~np.isnan(series.to_numpy())])) == {3.0, 4.0}


def test_counts_beyond_the_limit_are_removed_by_a_job_whose_run_is_audited(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--workspace", str(workspace)]
    assert run(["user", "add", "olga", "--role", "operator", *at]) == 0
    here, now = Workspace.at(workspace), datetime.now(UTC)
    old, new = now - timedelta(days=KEEP_PEOPLE_DAYS + 5), now - timedelta(days=KEEP_PEOPLE_DAYS - 5)
    people = here.site.points_of(PointKind.ZONE_OCCUPANCY)[0].id
    warm = here.site.points_of(PointKind.ZONE_AIR_TEMPERATURE)[0].id
    rows = [(moment, point, 2.0) for moment in (old, new) for point in (people, warm)]
    here.telemetry.append(pd.DataFrame(rows, columns=["timestamp", "point", "value"]))
    capsys.readouterr()
    assert run(["forget", "--as", "olga", *at, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 1
    assert here.telemetry.counts() == {people: 1, warm: 2}
    assert run(["agent", "--rounds", "1", *at]) == 0
    rows_of_log = [row for row in open_control_room(workspace).store.audit() if row.event == "people forgotten"]
    assert [(row.actor, json.loads(row.payload)["evidence"]["rows"]) for row in rows_of_log] == [
        ("olga", 1),
        ("agent", 0),
    ]


def test_a_viewer_forgets_nothing(workspace: Path) -> None:
    at = ["--workspace", str(workspace)]
    assert run(["user", "add", "vera", "--role", "viewer", *at]) == 0
    assert run(["forget", "--as", "vera", *at]) == 3
