"""The page about site files: generated parts are fresh, and its example works from export to calibration data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.settings import load_site
from connectors.settings.reference import renewed
from connectors.telemetry_store import ParquetTelemetryStore
from twin.cli import run
from twin.health import FindingKind
from twin.site import Location
from twin.telemetry import calibration_data, drivers_from
from twin.telemetry.irradiance import clear_sky_global_w_m2, sine_of_altitude
from twin.vocab import PointKind

PAGE = Path(__file__).parents[1] / "docs" / "site.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLE = next(
    block for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if block.startswith("schema_version")
)
ZONES = {"CORE": 0.0, "ZN1": 1.0, "ZN2": 2.0, "ZN3": 3.0, "ZN4": 4.0}


def export() -> pd.DataFrame:
    """Two weeks around the autumn switch as the example describes them: wall clock, °F, kWh, therms."""
    utc = pd.date_range("2023-10-30T06:00Z", "2023-11-13T07:00Z", freq="15min", inclusive="left")
    local = utc.tz_convert("America/Denver").tz_localize(None)
    steps = len(utc)
    hour = np.arange(steps) / 4.0
    random = np.random.default_rng(3)
    daily = np.sin((hour - 9.0) / 24 * 2 * np.pi)
    table = {"local_time": local, "oat_F": 50 + 14 * daily + random.normal(0, 0.3, steps)}
    for name, shift in ZONES.items():
        table[f"{name}_temp_F"] = 70.0 + 0.5 * shift + 2 * daily + random.normal(0, 0.2, steps)
        table[f"{name}_people"] = np.where(daily > 0.2, 2.0, 0.0)
        table[f"{name}_lights_kWh"] = 0.05 + 0.2 * (daily > 0)
        table[f"{name}_plugs_kWh"] = 0.05 + random.uniform(0.1, 0.2, steps)
        table[f"{name}_heat_sp_F"] = 69.8
        table[f"{name}_cool_sp_F"] = 75.2
    table |= {"fan_on": (daily > -0.5), "oa_rh_pct": 40 + random.normal(0, 1, steps), "wind_mph": 10.0}
    place = Location(latitude_deg=39.74, longitude_deg=-105.18)
    table["ghi_W_m2"] = 0.8 * clear_sky_global_w_m2(sine_of_altitude(utc[0].to_pydatetime(), steps, 900.0, place))
    for meter, level in (("total_kWh", 2.0), ("fans_kWh", 0.25), ("cooling_kWh", 0.5), ("gas_therm", 0.1)):
        table[meter] = level * random.uniform(0.8, 1.2, steps)
    return pd.DataFrame(table)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small-office")
    (folder / "site.yaml").write_text(EXAMPLE, encoding="utf-8")
    (folder / "export").mkdir()
    export().to_parquet(folder / "export" / "2023.parquet")
    return folder


def test_the_generated_parts_of_the_page_are_fresh() -> None:
    assert renewed(TEXT) == TEXT, "run: python -m connectors.settings.reference docs/site.md"


@pytest.mark.parametrize("kind", sorted(FindingKind))
def test_every_kind_of_finding_is_explained(kind: FindingKind) -> None:
    assert f"`{kind}`" in TEXT


@pytest.mark.parametrize("kind", sorted(PointKind))
def test_every_kind_of_point_is_explained(kind: PointKind) -> None:
    assert f"| `{kind}` |" in TEXT


def test_the_example_passes_the_check(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["site", "check", "--workspace", str(workspace), "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert (described["zones"], described["air_handlers"]) == (6, 5)


def test_the_example_is_ingested_without_a_complaint_but_the_repeated_hour(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ingest", "--workspace", str(workspace), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    points = 5 * 6 + 5 + 8
    assert told["new_rows"] == len(export()) * points
    assert [(one["kind"], one["numbers"].get("count")) for one in told["findings"]] == [("dst", 8.0)]


def test_the_example_gives_drivers_and_measurements_in_the_right_units(workspace: Path) -> None:
    run(["ingest", "--workspace", str(workspace), "--json"])
    site = load_site(workspace / "site.yaml").site
    frame = ParquetTelemetryStore(workspace / "var" / "telemetry").read()
    start, end = frame["timestamp"].min().to_pydatetime(), frame["timestamp"].max().to_pydatetime()
    data = calibration_data(site, frame, start, end)
    table = export().iloc[:-1]
    zones = [zone.id for zone in site.zones]
    measured = data.zone_temperature_c[:, zones.index("south")]
    np.testing.assert_allclose(measured, (table["ZN1_temp_F"] - 32) / 1.8)
    assert np.isnan(data.zone_temperature_c[:, zones.index("attic")]).all()
    np.testing.assert_allclose(data.meters_w[PointKind.FAN_POWER], table["fans_kWh"] * 4000)
    np.testing.assert_allclose(data.meters_w[PointKind.HEATING_GAS_POWER], table["gas_therm"] * 1.0550559e8 / 900)
    assert data.recorded.fan_schedule_on is not None
    np.testing.assert_array_equal(data.recorded.fan_schedule_on[:, 2], table["fan_on"].astype(float))
    drivers = drivers_from(site, frame, start, end)
    np.testing.assert_allclose(drivers.weather.wind_m_s, 4.4704)
    np.testing.assert_allclose(drivers.lights_w[:, zones.index("core")], table["CORE_lights_kWh"] * 4000)
    assert data.known.all()
