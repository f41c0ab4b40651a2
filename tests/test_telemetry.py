"""From long-form telemetry to grid, drivers and the record that calibration fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from twin.errors import BadInputError
from twin.health import Finding, FindingKind
from twin.policy import OperatingHours, Policy
from twin.site import AirHandler, Host, Location, Meter, Point, Site, Tariff, Vm, Zone
from twin.telemetry import calibration_data, drivers_from, regular_grid
from twin.telemetry.irradiance import extraterrestrial_w_m2, sine_of_altitude, split_global
from twin.vocab import EndUse, PointKind, SystemType

START = datetime(2023, 3, 6, tzinfo=UTC)
"""A Monday."""
K = PointKind


def zone(name: str, area: float = 100.0) -> Zone:
    return Zone(id=name, floor=0, floor_area_m2=area, volume_m3=270.0, air_handler="u", design_people=10.0)


def point(kind: PointKind, of: str = "s", step_s: float | None = None) -> Point:
    return Point(id=str(kind) if of == "s" else f"{of}/{kind}", kind=kind, of=of, step_s=step_s)


SITE = Site(
    name="s",
    time_zone=ZoneInfo("UTC"),
    location=Location(latitude_deg=50.0, longitude_deg=0.0),
    zones=(zone("a"), zone("b", 300.0)),
    air_handlers=(AirHandler(id="u", system=SystemType.VAV_REHEAT, zones=("a", "b")),),
    points=(point(K.OUTDOOR_AIR_TEMPERATURE), point(K.ZONE_AIR_TEMPERATURE, "a")),
)


def rows(series: Mapping[str, Sequence[float]], step_min: float = 15.0, start: datetime = START) -> pd.DataFrame:
    """A long frame with regular stamps."""
    frames = [
        pd.DataFrame(
            {
                "timestamp": pd.date_range(start, periods=len(values), freq=timedelta(minutes=step_min)),
                "point": name,
                "value": np.asarray(values, dtype=float),
            }
        )
        for name, values in series.items()
    ]
    return pd.concat(frames, ignore_index=True)


def hours(count: float) -> datetime:
    return START + timedelta(hours=count)


def test_rows_within_a_step_are_averaged() -> None:
    frame = rows({"outdoor_air_temperature": [0, 1, 2, 3, 10, 11, 12]}, step_min=5)
    grid = regular_grid(SITE, frame, START, hours(0.5))
    np.testing.assert_allclose(grid.values["outdoor_air_temperature"], [1.0, 8.0])


@pytest.mark.parametrize(("dropped", "held"), [(1, 1), (2, 2), (3, 0), (12, 0)])
def test_up_to_two_missing_steps_are_held_and_flagged_and_longer_gaps_stay_unknown(dropped: int, held: int) -> None:
    frame = rows({"outdoor_air_temperature": list(range(20))})
    frame = frame.drop(index=range(4, 4 + dropped))
    grid = regular_grid(SITE, frame, START, hours(5))
    values = grid.values["outdoor_air_temperature"]
    assert grid.held["outdoor_air_temperature"].sum() == held
    expected = [3.0] * held if held else [np.nan] * dropped
    np.testing.assert_array_equal(values[4 : 4 + dropped], expected)


def test_a_gap_at_the_begin_is_never_filled() -> None:
    frame = rows({"outdoor_air_temperature": [1.0, 2.0]}, start=hours(0.25))
    grid = regular_grid(SITE, frame, START, hours(0.75))
    np.testing.assert_array_equal(grid.values["outdoor_air_temperature"], [np.nan, 1.0, 2.0])


def test_hourly_values_stand_in_all_their_steps_without_being_held() -> None:
    site = replace(SITE, points=(point(K.OUTDOOR_AIR_TEMPERATURE, step_s=3600.0),))
    grid = regular_grid(site, rows({"outdoor_air_temperature": [1, 2]}, step_min=60), hours(0.5), hours(2))
    np.testing.assert_array_equal(grid.values["outdoor_air_temperature"], [1, 1, 2, 2, 2, 2])
    assert not grid.held["outdoor_air_temperature"].any()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 85.0, -300.0])
def test_impossible_values_are_dropped_from_the_grid(bad: float) -> None:
    frame = rows({"a/zone_air_temperature": [20, 20, bad, 20], "outdoor_air_temperature": [1, 1, 1, 1]})
    grid = regular_grid(SITE, frame, START, hours(1))
    assert grid.held["a/zone_air_temperature"].tolist() == [False, False, True, False]
    assert grid.values["a/zone_air_temperature"].max() == 20.0


def test_a_time_with_two_values_is_kept_out_and_an_exact_duplicate_is_not() -> None:
    frame = rows({"outdoor_air_temperature": [1, 2, 3, 4, 5, 6, 7, 8]})
    again = frame.iloc[[1, 4, 5, 6]].copy()
    again.loc[again.index[1:], "value"] += 0.5
    grid = regular_grid(SITE, pd.concat([frame, again]), START, hours(2))
    np.testing.assert_array_equal(grid.values["outdoor_air_temperature"], [1, 2, 3, 4, np.nan, np.nan, np.nan, 8])


def test_the_order_of_rows_does_not_matter() -> None:
    frame = rows({"outdoor_air_temperature": list(range(96)), "a/zone_air_temperature": [20.0] * 96})
    shuffled = frame.sample(frac=1.0, random_state=3)
    one, other = (calibration_data(SITE, rows_, START, hours(24)).digest for rows_ in (frame, shuffled))
    assert one == other


def test_the_span_of_an_excluding_finding_is_unknown() -> None:
    frame = rows({"a/zone_air_temperature": [20.0] * 16, "outdoor_air_temperature": [1.0] * 16})
    finding = Finding(
        kind=FindingKind.STUCK,
        sentence="stuck",
        point="a/zone_air_temperature",
        start=hours(1),
        end=hours(3),
        excluded=True,
    )
    data = calibration_data(SITE, frame, START, hours(4), excluded=[finding])
    assert np.isnan(data.zone_temperature_c[4:12, 0]).all()
    assert data.zone_temperature_c[12, 0] == 20.0


def test_a_naive_frame_is_refused() -> None:
    frame = rows({"outdoor_air_temperature": [1.0]})
    frame["timestamp"] = frame["timestamp"].dt.tz_localize(None)
    with pytest.raises(BadInputError, match="no time zone"):
        regular_grid(SITE, frame, START, hours(1))


def test_a_replay_needs_nine_tenths_of_the_period() -> None:
    frame = rows({"outdoor_air_temperature": [5.0] * 80})
    with pytest.raises(BadInputError, match=r"covers 8\d% of .* needed 90%"):
        drivers_from(SITE, frame, START, hours(24))


def test_a_period_without_telemetry_is_refused() -> None:
    with pytest.raises(BadInputError, match="choose another"):
        calibration_data(SITE, rows({"outdoor_air_temperature": [5.0]}), hours(100), hours(124))


def test_long_holes_of_a_driver_are_typical_and_marked_unknown() -> None:
    site = replace(SITE, points=(*SITE.points, point(K.ZONE_OCCUPANCY, "a"), point(K.ZONE_OCCUPANCY, "b")))
    people = np.tile(np.repeat([0.0, 4.0, 0.0], 32), 14)
    week = rows(
        {
            "outdoor_air_temperature": [5.0] * 96 * 14,
            "a/zone_air_temperature": [20.0] * 96 * 14,
            "a/zone_occupancy": people.tolist(),
            "b/zone_occupancy": people.tolist(),
        }
    )
    hole = (week["point"] == "a/zone_occupancy") & (week["timestamp"] >= hours(30)) & (week["timestamp"] < hours(42))
    data = calibration_data(site, week[~hole], START, hours(24 * 14))
    np.testing.assert_array_equal(data.drivers.people[:, 0], people)
    assert data.known[:, 1].all()
    assert (~data.known[:, 0]).sum() == 12 * 4


def test_building_lights_are_shared_by_design_power_when_zones_are_not_metered() -> None:
    site = replace(SITE, points=(*SITE.points, point(K.LIGHTING_POWER)))
    frame = rows({"outdoor_air_temperature": [5.0] * 8, "lighting_power": [800.0] * 8})
    drivers = drivers_from(site, frame, START, hours(2))
    np.testing.assert_allclose(drivers.lights_w, np.tile([200.0, 600.0], (8, 1)))


def test_the_rest_of_a_building_meter_goes_to_the_zones_without_a_meter() -> None:
    site = replace(SITE, points=(*SITE.points, point(K.PLUG_POWER), point(K.ZONE_PLUG_POWER, "a")))
    frame = rows({"outdoor_air_temperature": [5.0] * 8, "plug_power": [1000.0] * 8, "a/zone_plug_power": [300.0] * 8})
    drivers = drivers_from(site, frame, START, hours(2))
    np.testing.assert_allclose(drivers.plugs_w, np.tile([300.0, 700.0], (8, 1)))


def test_unmeasured_people_and_lights_follow_operating_hours_and_are_findings() -> None:
    hours_open = OperatingHours(windows={"mon": (6.0, 18.0), "tue": None})
    site = replace(SITE, operation=Policy(operating_hours=hours_open))
    frame = rows({"outdoor_air_temperature": [5.0] * 192, "a/zone_air_temperature": [20.0] * 192})
    data = calibration_data(site, frame, START, hours(48))
    np.testing.assert_allclose(data.drivers.people[:, 0], [0.0] * 24 + [5.0] * 48 + [0.0] * 120)
    np.testing.assert_allclose(data.drivers.lights_w[[30, 100], 1], [2400.0, 240.0])
    assert {finding.point for finding in data.findings} >= {"zone_occupancy", "zone_lighting_power", "zone_plug_power"}


def test_a_meter_per_unit_adds_up_to_the_site() -> None:
    units = tuple(
        AirHandler(id=n, system=SystemType.PACKAGED_SINGLE_ZONE, zones=(z,)) for n, z in (("u", "a"), ("v", "b"))
    )
    site = replace(SITE, air_handlers=units, points=(*SITE.points, point(K.FAN_POWER, "u"), point(K.FAN_POWER, "v")))
    frame = rows(
        {
            "outdoor_air_temperature": [5.0] * 4,
            "a/zone_air_temperature": [20.0] * 4,
            "u/fan_power": [100.0] * 4,
            "v/fan_power": [50.0] * 4,
        }
    )
    data = calibration_data(site, frame, START, hours(1))
    np.testing.assert_array_equal(data.meters_w[K.FAN_POWER], [150.0] * 4)


def test_host_power_heats_the_zone_of_the_host_and_leaves_the_plugs() -> None:
    hosts = (Host(id="h1", type="t", zone="b"), Host(id="h2", type="t", zone="b"))
    points = (*SITE.points, point(K.PLUG_POWER), point(K.HOST_POWER, "h1"), point(K.HOST_POWER, "h2"))
    meters = (Meter(kind=K.PLUG_POWER, covers=(EndUse.PLUGS, EndUse.IT)),)
    site = replace(SITE, hosts=hosts, points=points, meters=meters)
    series = {"outdoor_air_temperature": 5.0, "plug_power": 1000.0, "h1/host_power": 250.0, "h2/host_power": 150.0}
    drivers = drivers_from(site, rows({name: [value] * 4 for name, value in series.items()}), START, hours(1))
    assert drivers.host_power_w is not None
    np.testing.assert_array_equal(drivers.host_power_w, np.tile([0.0, 400.0], (4, 1)))
    np.testing.assert_allclose(drivers.plugs_w.sum(axis=1), 600.0)


def test_vm_demand_is_put_on_the_compute_grid() -> None:
    vm = Vm(id="v1", vcpus=1, mips=1000.0, ram_mb=1.0)
    site = replace(SITE, vms=(vm,), points=(*SITE.points, point(K.VM_CPU_UTILIZATION, "v1", step_s=300.0)))
    cpu = rows({"v1/vm_cpu_utilization": np.linspace(0.0, 0.55, 12).tolist()}, step_min=5)
    frame = pd.concat([rows({"outdoor_air_temperature": [5.0] * 4}), cpu])
    drivers = drivers_from(site, frame, START, hours(1))
    assert drivers.vm_utilization is not None
    np.testing.assert_allclose(drivers.vm_utilization[:, 0], np.linspace(0.0, 0.55, 12))


def test_prices_follow_the_local_hour_of_working_days() -> None:
    tariff = Tariff(electricity_per_kwh=0.1, electricity_by_hour=tuple(float(hour) for hour in range(24)))
    site = replace(SITE, tariff=tariff, time_zone=ZoneInfo("Etc/GMT-1"))
    drivers = drivers_from(site, rows({"outdoor_air_temperature": [5.0] * 96 * 7}), START, hours(24 * 7))
    assert drivers.electricity_price_kwh[0] == 1.0
    assert drivers.electricity_price_kwh[-5] == 0.1


def test_direct_and_diffuse_come_from_global_and_add_up_to_it() -> None:
    sine = sine_of_altitude(START, 96, 900.0, SITE.location)
    outside = extraterrestrial_w_m2(START, 96, 900.0)
    whole = np.maximum(sine, 0.0) * 600.0
    site = replace(SITE, points=(*SITE.points, point(K.GLOBAL_HORIZONTAL_IRRADIANCE)))
    frame = rows({"outdoor_air_temperature": [5.0] * 96, "global_horizontal_irradiance": whole.tolist()})
    weather = drivers_from(site, frame, START, hours(24)).weather
    back = weather.direct_normal_w_m2 * np.maximum(sine, 0.0) + weather.diffuse_horizontal_w_m2
    np.testing.assert_allclose(back, whole, atol=1e-6)
    assert 0.0 < weather.direct_normal_w_m2.max() < outside.max()


def test_global_and_direct_give_the_diffuse_part() -> None:
    sine = np.maximum(sine_of_altitude(START, 96, 900.0, SITE.location), 0.0)
    direct = np.where(sine > 0.1, 500.0, 0.0)
    series = {
        "outdoor_air_temperature": [5.0] * 96,
        "direct_normal_irradiance": direct.tolist(),
        "global_horizontal_irradiance": (direct * sine + 80.0 * (sine > 0)).tolist(),
    }
    points = (*SITE.points, point(K.GLOBAL_HORIZONTAL_IRRADIANCE), point(K.DIRECT_NORMAL_IRRADIANCE))
    weather = drivers_from(replace(SITE, points=points), rows(series), START, hours(24)).weather
    np.testing.assert_allclose(weather.diffuse_horizontal_w_m2, 80.0 * (sine > 0), atol=1e-9)


def test_the_sun_stands_highest_at_noon_of_the_solstice_by_latitude_and_tilt() -> None:
    """At 50° N the noon altitude on 21 June is 90 - 50 + 23.44 degrees."""
    day = sine_of_altitude(datetime(2023, 6, 21, tzinfo=UTC), 288, 300.0, SITE.location)
    assert np.degrees(np.arcsin(day.max())) == pytest.approx(63.44, abs=0.02)


def test_an_overcast_sky_is_all_diffuse() -> None:
    direct, diffuse = split_global(np.array([50.0]), np.array([0.8]), np.array([1361.0]))
    assert diffuse[0] == pytest.approx(50.0 * (1 - 0.09 * 50 / (1361 * 0.8)))
    assert direct[0] < 1.0
