"""The recorded medium office: a keyed and a wide Parquet file of 15 zones, by a site file of few column entries."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.files import FileSource
from connectors.settings import SiteFile, load_site
from twin.telemetry import CalibrationData, calibration_data
from twin.vocab import PointKind

OFFICE = (
    Path(os.environ.get("UNDERSTUDY_SHARED", Path(__file__).parents[2] / "shared")) / "telemetry/medium_office_chicago"
)
START, END = datetime(2023, 2, 1, 6, tzinfo=UTC), datetime(2023, 2, 8, 6, tzinfo=UTC)
pytestmark = pytest.mark.skipif(not OFFICE.is_dir(), reason="needs the shared telemetry")


@pytest.fixture(scope="module")
def site_file() -> SiteFile:
    return load_site(Path(__file__).parent / "sites" / "medium_office_chicago.yaml")


@pytest.fixture(scope="module")
def week(site_file: SiteFile) -> CalibrationData:
    sources = [FileSource(mapping, OFFICE) for mapping in site_file.sources.values()]
    frame = pd.concat([source.fetch(START, END) for source in sources], ignore_index=True)
    assert [finding.sentence for source in sources for finding in source.delivery.findings()] == []
    return calibration_data(site_file.site, frame, START, END)


def recorded(name: str) -> pd.DataFrame:
    table = pd.read_parquet(OFFICE / name)
    return table[(table["timestamp"] >= START) & (table["timestamp"] < END)]


def test_the_site_file_is_compact(site_file: SiteFile) -> None:
    entries = sum(len(mapping.block.columns) for mapping in site_file.sources.values())
    assert entries <= 60
    assert len(site_file.site.points) == 15 * 10 + 15 + 3 * 6


def test_zones_of_the_keyed_file_arrive_in_their_columns(site_file: SiteFile, week: CalibrationData) -> None:
    table = recorded("zones.parquet").pivot(
        index="timestamp", columns="zone", values=["temp_c", "occupants", "plugs_w"]
    )
    zones = [zone.id for zone in site_file.site.zones]
    np.testing.assert_allclose(week.zone_temperature_c, table["temp_c"][zones], rtol=1e-6)
    np.testing.assert_allclose(week.drivers.people, table["occupants"][zones])
    np.testing.assert_allclose(week.drivers.plugs_w, table["plugs_w"][zones], rtol=1e-6)
    assert week.known.all()


def test_meters_weather_and_commands_of_the_wide_file_arrive(week: CalibrationData) -> None:
    table = recorded("building.parquet")
    np.testing.assert_allclose(week.meters_w[PointKind.FAN_POWER], table["fan_electricity_w"], rtol=1e-6)
    np.testing.assert_allclose(week.drivers.weather.outdoor_rh, table["outdoor_rh_pct"] / 100, rtol=1e-6)
    np.testing.assert_allclose(week.unit_supply_flow_kg_s[:, 1], table["ahu.VAV_2.flow_kg_s"], rtol=1e-6)
    assert week.recorded.fan_schedule_on is not None
    np.testing.assert_array_equal(week.recorded.fan_schedule_on, np.tile(table[["fan_schedule_on"]], (1, 3)))


def test_direct_and_diffuse_derived_from_global_are_near_the_recorded_ones(site_file: SiteFile) -> None:
    """Erbs' correlation from quarter-hourly global: the mean over a week within 35 % of the recorded diffuse light."""
    source = FileSource(site_file.sources["building"], OFFICE)
    frame = source.fetch(START, END)
    hidden = frame[~frame["point"].isin(["direct_normal_irradiance", "diffuse_horizontal_irradiance"])]
    zones = FileSource(site_file.sources["zones"], OFFICE).fetch(START, END)
    weather = calibration_data(site_file.site, pd.concat([hidden, zones]), START, END).drivers.weather
    diffuse = recorded("building.parquet")["diffuse_horizontal_w_m2"].mean()
    assert weather.diffuse_horizontal_w_m2.mean() == pytest.approx(diffuse, rel=0.35)
