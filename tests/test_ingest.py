"""From files to the store by the command line: idempotent, canonical, with every defect said and exit codes kept."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from connectors.ingest import Telemetry, ingest
from connectors.settings import read_site
from connectors.settings.template import TEMPLATE
from connectors.telemetry_store import ParquetTelemetryStore
from twin.cli import run
from twin.errors import BadInputError

ROOT = Path(__file__).parents[1]
COLUMNS = ("outdoor_f", "ghi", "electricity_kwh", "fans_kwh", "cooling_kwh", "gas_therm")


def table(days: int = 4, start: str = "2023-03-06") -> pd.DataFrame:
    """Wide rows in the columns that the template of a site file names, on a naive wall clock."""
    random = np.random.default_rng(11)
    steps = 96 * days
    hour = np.arange(steps) / 4.0
    daily = np.sin((hour - 9.0) / 24 * 2 * np.pi)
    stamps = pd.date_range(start, periods=steps, freq="15min")
    data = {"timestamp": stamps.strftime("%Y-%m-%d %H:%M"), "outdoor_f": 40 + 12 * daily + random.normal(0, 0.4, steps)}
    data |= {name: 1.0 + random.uniform(0, 0.4, steps) + (daily > 0) for name in COLUMNS[2:]}
    data["gas_therm"] *= 0.1  # a meter of a small building
    data["ghi"] = np.maximum(0.0, 600 * np.sin((hour % 24 - 6.0) / 12 * np.pi))
    for zone in ("core", "south"):
        data[f"{zone}.temp_f"] = 70 + 2 * daily + random.normal(0, 0.3, steps)
        data[f"{zone}.people"] = np.where(daily > 0, 3.0, 0.0)
    return pd.DataFrame(data)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with four days of telemetry that wait to be read."""
    (tmp_path / "site.yaml").write_text(TEMPLATE)
    (tmp_path / "telemetry").mkdir()
    table().to_csv(tmp_path / "telemetry" / "building.csv", index=False)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The JSON document of a command that succeeds."""
    assert run([*arguments, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command says that ends with exit code 2; never a traceback."""
    assert run(list(arguments)) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def fingerprint(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.parquet"))}


def test_init_writes_a_site_file_that_passes_its_own_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "init", str(tmp_path / "new"))
    described = told(capsys, "site", "check", "--workspace", str(tmp_path / "new"))
    assert described["ok"]
    assert described["zones"] == 2
    assert "exists already" in refused(capsys, "init", str(tmp_path / "new"))


def test_the_check_says_whether_the_files_have_the_columns(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "site", "check", "--workspace", str(workspace))["sources_not_ready"] == {}
    table().drop(columns="fans_kwh").to_csv(workspace / "telemetry" / "building.csv", index=False)
    why = told(capsys, "site", "check", "--workspace", str(workspace))["sources_not_ready"]["building"]
    assert "column 'fans_kwh' is missing" in why


def test_the_check_says_loudly_that_no_file_can_be_read(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (workspace / "telemetry").iterdir():
        path.unlink()
    assert run(["site", "check", "--workspace", str(workspace)]) == 0
    said = capsys.readouterr()
    assert "none of the telemetry files that it names can be read" in said.out.replace("\n", " ")
    assert "telemetry/building*.csv (below" in said.err


def test_a_missing_column_is_told_beside_the_first_columns_of_the_file(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = table().drop(columns="fans_kwh").assign(**{f"more_{i:02d}": 0 for i in range(20)})
    many.to_csv(workspace / "telemetry" / "building.csv", index=False)
    why = told(capsys, "site", "check", "--workspace", str(workspace))["sources_not_ready"]["building"]
    assert f"… and {len(many.columns) - 12} more" in why


def test_the_schema_is_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert "zones" in told(capsys, "site", "schema")["properties"]


def test_ingest_counts_rows_and_reading_again_changes_nothing(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = told(capsys, "ingest", "--workspace", str(workspace))
    assert first["new_rows"] == first["rows"] == 96 * 4 * 10
    before = fingerprint(workspace / "var" / "telemetry")
    again = told(capsys, "ingest", "--workspace", str(workspace))
    assert (again["new_rows"], again["duplicates"]) == (0, first["rows"])
    assert "duplicate" in {finding["kind"] for finding in again["findings"]}
    assert fingerprint(workspace / "var" / "telemetry") == before


def test_shuffled_rows_in_two_files_give_the_same_bytes(
    workspace: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "site.yaml").write_text(TEMPLATE)
    (other / "telemetry").mkdir()
    shuffled = table().sample(frac=1.0, random_state=5)
    shuffled.iloc[:100].to_csv(other / "telemetry" / "building2.csv", index=False)
    shuffled.iloc[100:].to_csv(other / "telemetry" / "building1.csv", index=False)
    told(capsys, "ingest", "--workspace", str(workspace))
    late = told(capsys, "ingest", "--workspace", str(other))
    assert "out_of_order" in {finding["kind"] for finding in late["findings"]}
    assert fingerprint(workspace / "var" / "telemetry") == fingerprint(other / "var" / "telemetry")


def test_a_second_feed_with_other_values_keeps_both_and_says_so(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "ingest", "--workspace", str(workspace))
    changed = table()
    changed.loc[10:11, "core.temp_f"] += 1.0
    changed.to_csv(workspace / "telemetry" / "building.csv", index=False)
    again = told(capsys, "ingest", "--workspace", str(workspace))
    assert (again["new_rows"], again["conflicting"]) == (2, 2)
    (finding,) = [one for one in again["findings"] if one["kind"] == "conflicting_duplicate"]
    assert finding["point"] == "core/zone_air_temperature"


def test_a_corrected_unit_is_read_anew(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without forgetting, every value would stand twice and be kept out."""
    site = workspace / "site.yaml"
    right = site.read_text()
    site.write_text(right.replace("unit: degF", "unit: degC"))
    told(capsys, "ingest", "--workspace", str(workspace))
    site.write_text(right)
    again = told(capsys, "ingest", "--anew", "--workspace", str(workspace))
    assert (again["new_rows"], again["conflicting"]) == (again["rows"], 0)
    assert not {"wrong_unit_suspected", "conflicting_duplicate"} & {one["kind"] for one in again["findings"]}


def test_findings_are_kept_in_the_workspace(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = table()
    broken.loc[200:230, "core.temp_f"] = 71.3
    broken.to_csv(workspace / "telemetry" / "building.csv", index=False)
    document = told(capsys, "ingest", "--workspace", str(workspace))
    kept = Telemetry(workspace / "var" / "telemetry").findings()
    assert [one.to_json() for one in kept] == document["findings"]
    (stuck,) = [one for one in kept if one.kind == "stuck"]
    assert (stuck.point, stuck.excluded) == ("core/zone_air_temperature", True)


def test_rows_from_the_future_are_quarantined(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = table()
    rows.loc[383, "timestamp"] = "2093-01-01 00:00"
    rows.to_csv(workspace / "telemetry" / "building.csv", index=False)
    document = told(capsys, "ingest", "--workspace", str(workspace))
    assert document["quarantined"] == 10
    folder = workspace / "var" / "telemetry"
    assert len(ParquetTelemetryStore(folder / "quarantine").read()) == 10
    period = ParquetTelemetryStore(folder).period()
    assert period is not None
    assert period[1].year == 2023


def test_the_local_day_of_the_autumn_switch_has_its_energy(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """25 hours of 4 steps of 1 kWh are 100 kWh."""
    stamps = pd.date_range("2023-11-05T05:00Z", periods=100, freq="15min").tz_convert("America/Chicago")
    day = table().iloc[:100].assign(timestamp=stamps.strftime("%Y-%m-%d %H:%M"), electricity_kwh=1.0)
    day.to_csv(workspace / "telemetry" / "building.csv", index=False)
    told(capsys, "ingest", "--workspace", str(workspace))
    back = ParquetTelemetryStore(workspace / "var" / "telemetry").read(["electric_power"])
    assert back["value"].sum() * 900 / 3.6e6 == pytest.approx(100.0)
    assert back["timestamp"].is_unique


def test_since_and_until_are_meant_in_site_time(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    period = ["--since", "2023-03-07", "--until", "2023-03-08"]
    assert told(capsys, "ingest", "--workspace", str(workspace), *period)["rows"] == 960
    assert "is no time" in refused(capsys, "ingest", "--workspace", str(workspace), "--since", "yesterday")


def test_a_single_file_can_be_read_for_a_source(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(1).to_csv(workspace / "new.csv", index=False)
    one = ["--file", str(workspace / "new.csv"), "--source", "building"]
    assert told(capsys, "ingest", "--workspace", str(workspace), *one)["rows"] == 960


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--source", "bms"], "'bms' is not in site.yaml; its sources: building"),
        (["--file", "nowhere.csv"], "no such file"),
        (["--workspace", "nowhere"], "is not a workspace"),
    ],
)
def test_bad_arguments_end_with_exit_code_2(
    workspace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], part: str
) -> None:
    assert part in refused(capsys, "ingest", "--workspace", str(workspace), *arguments)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda text: text.replace("\nzones:", "\nzonse:"), "site.yaml:11:1: zonse: unknown key; did you mean 'zones'"),
        (lambda text: text.replace("150", "'150'", 1), "without quotes"),
        (lambda text: text.replace(", unit: degF", "", 1), "'unit' is missing"),
        (lambda text: "a: &a [x]\nb: *a\n" + text, "site.yaml:1:4"),
        (lambda text: text.replace(", time_zone: America/Chicago", ""), "has no time zone"),
        (lambda text: text.replace("delimiter", "x") + "\n#" + "x" * 1_000_001, "above the limit"),
    ],
)
def test_a_bad_site_file_ends_with_exit_code_2(
    workspace: Path, capsys: pytest.CaptureFixture[str], change: Any, part: str
) -> None:
    (workspace / "site.yaml").write_text(change(TEMPLATE))
    assert part in refused(capsys, "ingest", "--workspace", str(workspace))


def test_an_error_is_one_json_document_when_asked(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ingest", "--workspace", str(workspace), "--source", "bms", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 2


class _History:
    """A system that tells its past in its own names."""

    name = "bms"

    def fetch(self, since: datetime | None, until: datetime | None) -> pd.DataFrame:
        stamps = pd.date_range(since or "2023-03-06", until or "2023-03-07", freq="15min", tz="UTC", inclusive="left")
        return pd.DataFrame({"timestamp": stamps, "point": "AI-7", "value": 21.5})


def test_a_connector_with_history_is_a_source(tmp_path: Path) -> None:
    source = (
        "sources:\n  past:\n    connector: bms\n    columns:\n"
        "      - {column: AI-7, kind: zone_air_temperature, unit: degC, of: core}\nconnectors:\n  bms: {type: x}\n"
    )
    site_file = read_site((TEMPLATE[: TEMPLATE.index("sources:")] + source).encode(), tmp_path / "site.yaml")
    telemetry = Telemetry(tmp_path / "telemetry")
    now = datetime(2023, 4, 1, tzinfo=UTC)
    done = ingest(site_file, telemetry, now=now, histories={"bms": _History()})
    assert done.total.new == 96
    assert telemetry.store.counts() == {"core/zone_air_temperature": 96}
    with pytest.raises(BadInputError, match="nothing can be fetched from connector 'bms'"):
        ingest(site_file, telemetry, now=now)


def test_ctrl_c_in_the_middle_of_an_ingest_leaves_a_store_that_goes_on(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table(500, "2019-01-01").to_csv(workspace / "telemetry" / "building.csv", index=False)
    command = [sys.executable, "-m", "twin", "ingest", "--workspace", str(workspace)]
    folder = workspace / "var" / "telemetry"
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        deadline = time.monotonic() + 120
        while not list(folder.glob("*.parquet")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert list(folder.glob("*.parquet"))
    assert sum(ParquetTelemetryStore(folder).counts().values()) > 0
    done = told(capsys, "ingest", "--workspace", str(workspace))
    assert done["new_rows"] + done["duplicates"] == done["rows"]
    assert done["rows"] > 470_000
