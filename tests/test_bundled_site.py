"""The demo site that comes with the product: complete, consistent, and enough for the days ahead."""

from __future__ import annotations

import os
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.emulator.bundled_site import AHEAD_DAYS, BLOCKS, NOW, bundled_site_folder, local_midnight, met
from connectors.emulator.operator_days import operator_commands, operator_day
from connectors.settings import load_site
from twin.errors import BadInputError
from twin.site import Site

if find_spec("pyenergyplus") is None and os.environ.get("CI") != "true":
    pytest.skip("extra 'emulator' is not installed", allow_module_level=True)

FOLDER = bundled_site_folder()


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(FOLDER / "site.yaml").site


def telemetry(name: str) -> pd.DataFrame:
    return pd.read_parquet(FOLDER / "telemetry" / f"{name}.parquet").set_index("timestamp")


def test_the_site_is_a_medium_office_with_a_server_room(site: Site) -> None:
    assert (len(site.zones), len(site.air_handlers), len(site.hosts), len(site.vms)) == (15, 3, 12, 60)
    assert {host.zone for host in site.hosts} == {"Core_mid"}
    assert sum(zone.floor_area_m2 for zone in site.zones) == pytest.approx(4982, rel=0.001)


def test_the_folder_stays_below_five_megabytes() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 5e6


def test_telemetry_covers_ten_whole_weeks_over_all_seasons() -> None:
    index = telemetry("zones").index
    assert len(index) == 70 * 96 == sum(days for _, days in BLOCKS) * 96
    assert {first.month for first, _ in BLOCKS} == {1, 3, 5, 7, 10}
    assert index.is_monotonic_increasing
    assert index[-1] == pd.Timestamp(local_midnight(NOW)) - pd.Timedelta("15min")


@pytest.mark.parametrize("name", ["building", "zones", "machines"])
def test_no_reading_is_missing(name: str) -> None:
    assert not telemetry(name).isna().any().any()


def test_every_point_of_the_site_file_has_its_column(site: Site) -> None:
    columns = set().union(*(telemetry(name).columns for name in ("building", "zones", "machines")))
    source = load_site(FOLDER / "site.yaml").sources.values()
    wanted = {column.column for one in source for column in one.columns}
    assert wanted <= columns


def test_end_uses_add_up_to_the_hvac_meter() -> None:
    rows = telemetry("building")
    parts = rows.fan_electricity_w + rows.cooling_electricity_w + rows.heating_electricity_w
    np.testing.assert_allclose(parts, rows.hvac_electricity_w, atol=2.0)


def test_the_total_meter_holds_hvac_lights_plugs_and_hosts(site: Site) -> None:
    rows, machines = telemetry("building"), telemetry("machines")
    hosts = machines[[f"{host.id}.power_w" for host in site.hosts]].sum(axis=1)
    rest = rows.facility_electricity_w - rows.hvac_electricity_w - rows.lights_w - rows.plugs_w - hosts
    assert rest.min() > -10.0
    assert rest.max() < 15_000.0  # exterior lights of 14.8 kW and a small pump


def test_host_power_lies_on_the_power_curves(site: Site) -> None:
    machines = telemetry("machines")
    kinds = {kind.name: kind for kind in site.host_types}
    for host in site.hosts:
        load, power = machines[f"{host.id}.cpu"].to_numpy(float), machines[f"{host.id}.power_w"].to_numpy(float)
        expected = np.interp(load * 10.0, np.arange(11.0), kinds[host.type].power_w)
        np.testing.assert_allclose(power, expected, atol=1.0)


def test_the_days_ahead_follow_the_telemetry_without_a_gap(site: Site) -> None:
    days = met(site, FOLDER, date(2023, 10, 23), 7 + AHEAD_DAYS)
    assert days.days.steps == (7 + AHEAD_DAYS) * 96
    assert np.isfinite(days.days.people).all()
    assert np.isfinite(days.vm_utilization).all()
    assert np.isfinite(days.days.it_w[: 7 * 96]).all()
    assert np.isnan(days.days.it_w[7 * 96 :]).all()


def test_days_that_nobody_recorded_are_refused(site: Site) -> None:
    with pytest.raises(BadInputError, match="nothing recorded"):
        met(site, FOLDER, date(2023, 6, 1), 2)


def test_the_forecast_of_the_weather_is_wrong_but_not_absurd() -> None:
    ahead = FOLDER / "ahead"
    told, came = pd.read_parquet(ahead / "forecast.parquet"), pd.read_parquet(ahead / "building.parquet")
    error = told.outdoor_temp_c - came.outdoor_temp_c
    assert 0.2 < error.abs().mean() < 3.0


def test_bookings_name_rooms_and_no_people(site: Site) -> None:
    text = (FOLDER / "bookings.ics").read_text()
    rooms = {zone.room_number for zone in site.zones if zone.room_number}
    named = {line.split(":", 1)[1] for line in text.splitlines() if line.startswith("LOCATION:")}
    assert named == rooms
    assert "ATTENDEE" not in text
    assert "ORGANIZER" not in text


def test_the_operator_depends_on_seed_and_date_alone(site: Site) -> None:
    assert operator_day(site, date(2023, 3, 7), 1) == operator_day(site, date(2023, 3, 7), 1)
    days = [operator_day(site, date(2023, 3, day), 1) for day in range(6, 11)]
    assert len({(day.heating_c, day.cooling_c, day.supply_c) for day in days}) > 1


def test_the_operator_never_crosses_the_band_and_rests_on_sundays(site: Site) -> None:
    given = operator_commands(site, date(2023, 3, 6), 7, 1)
    assert given.heating_setpoint_c is not None
    assert given.cooling_setpoint_c is not None
    assert given.fan_schedule_on is not None
    assert (given.cooling_setpoint_c - given.heating_setpoint_c).min() >= 1.0
    assert given.fan_schedule_on[6 * 96 :].sum() == 0.0
    assert given.fan_schedule_on[: 5 * 96].mean() > 0.5


@pytest.mark.slow
def test_a_stretch_made_again_is_the_one_that_is_bundled(site: Site) -> None:
    from connectors.emulator.bundled_site_maker import SEED, _demand, stretch
    from connectors.emulator.recorded_year import read_recorded_year

    shared = Path(os.environ.get("UNDERSTUDY_SHARED", Path(__file__).parents[1] / ".." / "shared"))
    folder = shared / "telemetry" / "medium_office_chicago"
    if not folder.exists():
        pytest.skip("recorded year of the medium office is not there; set UNDERSTUDY_SHARED")
    year = read_recorded_year(folder)
    again = stretch(site, year, _demand(site, year, SEED), *BLOCKS[1], SEED)
    for name in ("building", "zones", "machines"):
        kept = telemetry(name).loc[again.zones.index]
        made = getattr(again, name)[kept.columns].astype(np.float32)
        np.testing.assert_allclose(made.to_numpy(), kept.to_numpy(), rtol=1e-5, atol=1e-3)
