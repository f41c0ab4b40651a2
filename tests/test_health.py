"""Data health: each fault is injected into healthy series and must be found, and healthy series must stay quiet."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from twin.health import Finding, FindingKind, finding_from_json
from twin.health.examine import examine, future_rows, missing_points
from twin.site import Location, Point, Site, Zone
from twin.telemetry import calibration_data
from twin.telemetry.irradiance import clear_sky_global_w_m2, sine_of_altitude
from twin.vocab import PointKind

Array = NDArray[np.float64]
START = datetime(2023, 3, 6, tzinfo=UTC)
DAYS = 21
STEPS = 96 * DAYS
K = PointKind
ZONES = ("a", "b", "c", "d")


def site(**changes: object) -> Site:
    zones = tuple(
        Zone(id=name, floor=0, floor_area_m2=250.0, volume_m3=700.0, air_handler=None, design_people=10.0)
        for name in ZONES
    )
    points = [Point(id=f"{name}/zone_air_temperature", kind=K.ZONE_AIR_TEMPERATURE, of=name) for name in ZONES]
    whole_site = (K.OUTDOOR_AIR_TEMPERATURE, K.ELECTRIC_POWER, K.GLOBAL_HORIZONTAL_IRRADIANCE)
    points += [Point(id=str(kind), kind=kind, of="s") for kind in whole_site]
    place = Location(latitude_deg=50.0, longitude_deg=10.0)
    whole = Site(name="s", time_zone=ZoneInfo("Europe/Berlin"), location=place, zones=zones, points=tuple(points))
    return replace(whole, **changes)  # type: ignore[arg-type]


SITE = site()
GATEWAY = ("a/zone_air_temperature", "b/zone_air_temperature", "electric_power")


def healthy() -> dict[str, Array]:
    """Three weeks of a small office: shared daily rhythm, own noise, a busy meter, light with clouds."""
    random = np.random.default_rng(7)
    hour = np.arange(STEPS) / 4.0
    daily = np.sin((hour - 9.0) / 24 * 2 * np.pi)
    gusts = np.convolve(random.normal(0, 0.35, STEPS), np.ones(6) / 6, mode="same")
    series = {
        f"{zone}/zone_air_temperature": 21.0 + 1.5 * daily + gusts + random.normal(0, 0.05, STEPS) for zone in ZONES
    }
    series["outdoor_air_temperature"] = 5.0 + 6.0 * daily + 2.0 * gusts + random.normal(0, 0.1, STEPS)
    series["electric_power"] = 9_000.0 + 6_000.0 * (daily > 0) + random.uniform(0, 900, STEPS)
    sky = clear_sky_global_w_m2(sine_of_altitude(START, STEPS, 900.0, SITE.location))
    series["global_horizontal_irradiance"] = sky * random.uniform(0.6, 1.0, STEPS)
    return series


def frame_of(series: dict[str, Array]) -> pd.DataFrame:
    stamps = pd.date_range(START, periods=STEPS, freq="15min")
    return pd.concat(
        [pd.DataFrame({"timestamp": stamps[: len(v)], "point": name, "value": v}) for name, v in series.items()],
        ignore_index=True,
    )


def found(series: dict[str, Array] | pd.DataFrame, place: Site = SITE) -> list[Finding]:
    return examine(place, series if isinstance(series, pd.DataFrame) else frame_of(series))


def only(findings: list[Finding], kind: FindingKind) -> Finding:
    """The single finding, which must be of that kind."""
    assert [one.kind for one in findings] == [kind], [one.sentence for one in findings]
    return findings[0]


def at(step: int) -> datetime:
    return START + timedelta(minutes=15 * step)


def test_healthy_telemetry_has_no_findings() -> None:
    assert found(healthy()) == []


# A1 gap


@pytest.mark.parametrize("length", [1, 2])
def test_a_short_gap_is_held_and_counted(length: int) -> None:
    frame = frame_of(healthy())
    own = frame.index[frame["point"] == "a/zone_air_temperature"]
    finding = only(found(frame.drop(index=own[100 : 100 + length])), FindingKind.GAP)
    assert finding.numbers == {"gaps": 1.0, "steps": float(length)}


@pytest.mark.parametrize("length", [3, 12, 300])
def test_a_long_gap_is_found_with_start_and_length_and_never_interpolated(length: int) -> None:
    frame = frame_of(healthy())
    own = frame.index[frame["point"] == "a/zone_air_temperature"]
    cut = frame.drop(index=own[100 : 100 + length])
    finding = only(found(cut), FindingKind.GAP)
    assert (finding.start, finding.end) == (at(100), at(100 + length))
    assert finding.numbers["steps"] == length
    data = calibration_data(SITE, cut, START, at(STEPS))
    assert np.isnan(data.zone_temperature_c[100 : 100 + length, 0]).all()


def test_a_room_without_any_row_is_a_missing_point() -> None:
    series = healthy()
    del series["a/zone_air_temperature"]
    (finding,) = missing_points(SITE, series)
    assert (finding.kind, finding.point) == (FindingKind.MISSING_POINT, "a/zone_air_temperature")


def test_a_point_that_falls_silent_is_found_with_its_age() -> None:
    series = healthy()
    series["a/zone_air_temperature"] = series["a/zone_air_temperature"][: STEPS - 40]
    finding = only(found(series), FindingKind.SILENCE)
    assert finding.numbers["age_s"] == 40 * 900.0


def test_silence_of_everything_shows_against_the_present() -> None:
    findings = examine(SITE, frame_of(healthy()), now=at(STEPS) + timedelta(hours=5))
    assert {one.kind for one in findings} == {FindingKind.SILENCE}
    assert len(findings) == 7


# A2 duplicates


def test_the_same_row_with_another_value_is_found_and_kept_out_of_calibration() -> None:
    frame = frame_of(healthy())
    again = frame[frame["point"] == "a/zone_air_temperature"].iloc[50:53].assign(value=25.0)
    both = pd.concat([frame, again])
    finding = only(found(both), FindingKind.CONFLICTING_DUPLICATE)
    assert finding.numbers["count"] == 3
    assert np.isnan(calibration_data(SITE, both, START, at(STEPS)).zone_temperature_c[50:53, 0]).all()


# A4 clocks


def _shifted(name: str, shift: Callable[[pd.Series], pd.Series]) -> pd.DataFrame:
    frame = frame_of(healthy())
    own = frame["point"] == name
    frame.loc[own, "timestamp"] = shift(frame.loc[own, "timestamp"])
    return frame


def test_a_clock_that_is_seven_minutes_ahead_is_found() -> None:
    frame = _shifted("a/zone_air_temperature", lambda stamps: stamps + pd.Timedelta(minutes=7))
    finding = only(found(frame), FindingKind.CLOCK)
    assert finding.numbers["skew_s"] == pytest.approx(420.0)


def test_a_clock_that_is_an_hour_late_is_found_by_its_neighbours_and_kept_out() -> None:
    frame = _shifted("a/zone_air_temperature", lambda stamps: stamps + pd.Timedelta(hours=1))
    finding = next(one for one in found(frame) if one.kind is FindingKind.CLOCK)
    assert finding.point == "a/zone_air_temperature"
    assert finding.numbers["skew_s"] == 3600.0
    assert finding.excluded
    assert [one.point for one in found(frame) if one.excluded] == [finding.point]


def test_a_clock_that_drifts_by_a_second_an_hour_is_found() -> None:
    def drift(stamps: pd.Series) -> pd.Series:
        hours = (stamps - stamps.iloc[0]).dt.total_seconds() / 3600
        return stamps + pd.to_timedelta(np.round(2.0 + hours), unit="s")

    finding = next(one for one in found(_shifted("a/zone_air_temperature", drift)) if one.kind is FindingKind.CLOCK)
    assert finding.numbers["drift_s_per_h"] == pytest.approx(1.0, abs=0.05)


def _gateway(shift: Callable[[pd.Series], pd.Series]) -> pd.DataFrame:
    """A gateway that carries two of the four rooms and the meter."""
    frame = frame_of(healthy())
    for name in GATEWAY:
        own = frame["point"] == name
        frame.loc[own, "timestamp"] = shift(frame.loc[own, "timestamp"])
    return frame


@pytest.mark.parametrize("minutes", [7, -7])
def test_a_gateway_that_is_seven_minutes_off_is_found_at_each_of_its_points_and_no_other(minutes: int) -> None:
    clocks = found(_gateway(lambda stamps: stamps + pd.Timedelta(minutes=minutes)))
    assert {one.point: one.numbers.get("skew_s") for one in clocks} == dict.fromkeys(GATEWAY, 60.0 * minutes)


def test_a_gateway_that_carries_half_of_the_rooms_and_is_an_hour_late_puts_all_in_doubt() -> None:
    """Two rooms against two: nobody can tell whose clock is right, so each pair is kept out with its own shift."""
    late = [one for one in found(_gateway(lambda s: s + pd.Timedelta(hours=1))) if one.kind is FindingKind.CLOCK]
    own = {one.point: one.numbers["skew_s"] for one in late}
    assert {own["a/zone_air_temperature"], own["b/zone_air_temperature"]} == {3600.0}
    assert {own["c/zone_air_temperature"], own["d/zone_air_temperature"]} == {-3600.0}
    assert all(one.excluded for one in late)


def test_a_drift_of_a_second_an_hour_is_kept_out_once_it_is_above_a_step() -> None:
    """Three weeks drift by 504 s, less than a step of 900 s; at 2 s per hour it is more, and the span is excluded."""
    for rate, excluded in ((1.0, False), (2.0, True)):
        drifted = _gateway(
            lambda s, r=rate: (
                s + pd.to_timedelta(np.round(2.0 + r * (s - s.iloc[0]).dt.total_seconds() / 3600), unit="s")
            )
        )
        told = {one.point: one for one in found(drifted) if "drift_s_per_h" in one.numbers}
        assert set(told) == set(GATEWAY)
        assert all(one.numbers["drift_s_per_h"] == pytest.approx(rate, abs=0.05) for one in told.values())
        assert {one.excluded for one in told.values()} == {excluded}


def test_rows_from_the_future_are_set_apart() -> None:
    frame = frame_of(healthy())
    future, findings = future_rows(frame, at(STEPS - 10), 900.0)
    assert len(future) == 8 * 7
    assert {one.kind for one in findings} == {FindingKind.FUTURE}
    assert {one.numbers["ahead_s"] for one in findings} == {9 * 900.0}
    assert all(one.excluded for one in findings)


@pytest.mark.parametrize("hours", [-1, 1, 6])
def test_irradiance_off_the_path_of_the_sun_shows_a_wrong_zone(hours: int) -> None:
    frame = _shifted("global_horizontal_irradiance", lambda stamps: stamps + pd.Timedelta(hours=hours))
    finding = next(one for one in found(frame) if one.kind in {FindingKind.CLOCK, FindingKind.DST})
    assert finding.numbers["skew_s"] / 3600 == pytest.approx(hours, abs=0.25)


# A5 DST


def test_a_clock_that_ignores_daylight_saving_is_found_in_the_light() -> None:
    """Wall-clock stamps read as winter time all year: right in winter, an hour late after the spring switch."""
    begin, steps = datetime(2026, 3, 9, tzinfo=UTC), 96 * 42
    sky = clear_sky_global_w_m2(sine_of_altitude(begin, steps, 900.0, SITE.location))
    stamps = pd.date_range(begin, periods=steps, freq="15min")
    late = stamps.where(stamps < pd.Timestamp("2026-03-29T01:00Z"), stamps + pd.Timedelta(hours=1))
    frame = pd.DataFrame({"timestamp": late, "point": "global_horizontal_irradiance", "value": sky})
    finding = next(one for one in found(frame) if one.kind is FindingKind.DST)
    assert "summer time only" in finding.sentence
    assert finding.numbers["skew_s"] == pytest.approx(3600.0, abs=300.0)


# A6 units


@pytest.mark.parametrize("name", ["a/zone_air_temperature", "outdoor_air_temperature"])
@pytest.mark.parametrize("row", [0, 500])
def test_fahrenheit_is_suspected_and_never_converted(name: str, row: int) -> None:
    series = healthy()
    if name.startswith("outdoor") and row == 0:
        series[name] = series[name] + 18.0  # in winter 23 °F is also a fair 23 °C: only summer gives it away
    series[name][row:] = series[name][row:] * 1.8 + 32.0
    findings = [one for one in found(series) if one.kind is FindingKind.WRONG_UNIT]
    (finding,) = findings
    assert "looks like degF" in finding.sentence
    assert (finding.start, finding.point, finding.excluded) == (at(row), name, True)


@pytest.mark.parametrize(("row", "factor"), [(0, 1e-3), (800, 1e-3), (800, 1e3)])
def test_watts_and_kilowatts_mixed_up_are_suspected(row: int, factor: float) -> None:
    series = healthy()
    series["electric_power"][row:] *= factor
    finding = only(found(series), FindingKind.WRONG_UNIT)
    assert finding.point == "electric_power"
    assert finding.start is not None
    assert abs((finding.start - at(row)).total_seconds()) <= 4 * 900


def with_gas(factor: float) -> tuple[dict[str, Array], Site]:
    """The office, heated by gas with 20 W/m² in the mean and 80 in the morning."""
    point = Point(id="heating_gas_power", kind=K.HEATING_GAS_POWER, of="s")
    hour = np.arange(STEPS) / 4.0 % 24
    gas = 1000.0 * np.where((hour >= 6) & (hour < 9), 80.0, np.where((hour >= 9) & (hour < 17), 30.0, 0.0))
    return healthy() | {"heating_gas_power": factor * gas}, replace(SITE, points=(*SITE.points, point))


def test_gas_in_kwh_that_is_declared_as_therms_is_suspected() -> None:
    finding = only(found(*with_gas(29.3)), FindingKind.WRONG_UNIT)
    assert finding.point == "heating_gas_power"
    assert "looks like kWh (declared as therm)" in finding.sentence


@pytest.mark.parametrize("factor", [0.05, 1.0, 5.0])
def test_a_badly_insulated_or_a_tight_building_raises_no_such_alarm(factor: float) -> None:
    assert [one for one in found(*with_gas(factor)) if one.kind is FindingKind.WRONG_UNIT] == []


def test_a_suspected_unit_is_kept_out_of_calibration() -> None:
    series = healthy()
    series["a/zone_air_temperature"][500:] = series["a/zone_air_temperature"][500:] * 1.8 + 32.0
    frame = frame_of(series)
    data = calibration_data(SITE, frame, START, at(STEPS), excluded=found(frame))
    assert np.isnan(data.zone_temperature_c[500:, 0]).all()
    assert not np.isnan(data.zone_temperature_c[:500, 0]).any()


# A7 stuck


@pytest.mark.parametrize("value", [None, 0.0, 21.0])
def test_a_sensor_that_holds_one_value_for_six_hours_is_stuck(value: float | None) -> None:
    series = healthy()
    own = series["a/zone_air_temperature"]
    own[700:725] = own[699] if value is None else value
    findings = [one for one in found(series) if one.kind is FindingKind.STUCK]
    (finding,) = findings
    assert finding.excluded
    assert finding.numbers["hours"] >= 6.0


def test_a_temperature_that_is_held_at_its_setpoint_is_not_stuck() -> None:
    setpoints = tuple(Point(id=f"{z}/zone_heating_setpoint", kind=K.ZONE_HEATING_SETPOINT, of=z) for z in ZONES)
    series = healthy()
    series["a/zone_air_temperature"][700:730] = 21.0
    controlled = series | {point.id: np.full(STEPS, 21.0) for point in setpoints}
    assert found(controlled, site(points=(*SITE.points, *setpoints))) == []


def test_a_meter_that_dies_is_stuck_and_a_base_load_is_not() -> None:
    series = healthy()
    series["electric_power"][400:700] = 0.0
    finding = only(found(series), FindingKind.STUCK)
    assert (finding.start, finding.point) == (at(400), "electric_power")
    idle = healthy()
    idle["electric_power"][np.arange(STEPS) % 288 >= 140] = 500.0
    assert found(idle) == []


# A8 spikes and noise


def test_the_reset_value_of_a_sensor_is_impossible_and_left_out() -> None:
    series = healthy()
    series["a/zone_air_temperature"][300] = 85.0
    finding = only(found(series), FindingKind.IMPOSSIBLE)
    assert finding.numbers["count"] == 1


def test_a_possible_but_isolated_value_is_a_spike() -> None:
    series = healthy()
    series["a/zone_air_temperature"][300] = 45.0
    finding = only(found(series), FindingKind.SPIKE)
    assert (finding.start, finding.end) == (at(300), at(301))


def test_one_row_in_twenty_times_ten_is_noise() -> None:
    series = healthy()
    rows = np.random.default_rng(5).choice(STEPS, STEPS // 20, replace=False)
    series["electric_power"][rows] *= 10.0
    finding = only(found(series), FindingKind.NOISE)
    assert finding.numbers["share"] > 0.03


def test_a_step_of_two_kelvin_that_stays_is_drift_and_not_cleaned_away() -> None:
    series = healthy()
    series["a/zone_air_temperature"][800:] += 2.0
    assert found(series) == []


# A9 impossible numbers


def test_negative_energy_is_impossible_and_not_counted() -> None:
    series = healthy()
    series["electric_power"][10:13] = -500.0
    finding = only(found(series), FindingKind.IMPOSSIBLE)
    assert finding.numbers["count"] == 3
    meters = calibration_data(SITE, frame_of(series), START, at(STEPS)).meters_w
    assert np.nanmin(meters[K.ELECTRIC_POWER]) > 0


# all


def test_a_finding_survives_its_json_form() -> None:
    series = healthy()
    series["a/zone_air_temperature"][300] = 45.0
    finding = only(found(series), FindingKind.SPIKE)
    assert finding_from_json(finding.to_json()) == finding


SHARED = Path(os.environ.get("UNDERSTUDY_SHARED", Path(__file__).parents[2] / "shared")) / "telemetry"


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared telemetry")
def test_real_defects_of_polito_are_found() -> None:
    """Its README names days of 0 kW and impossible spikes in the substation's load."""
    table = pd.read_parquet(SHARED / "polito" / "substation.parquet")
    load = pd.DataFrame(
        {
            "timestamp": pd.DatetimeIndex(table["ts"]).tz_convert("UTC"),
            "point": "electric_power",
            "value": table["elec_kw"] * 1e3,
        }
    ).dropna()
    kinds = {one.kind for one in found(load)}
    assert FindingKind.STUCK in kinds
    assert kinds & {FindingKind.SPIKE, FindingKind.NOISE}


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared telemetry")
def test_counted_people_and_temperatures_of_simulated_rooms_raise_no_alarm() -> None:
    table = pd.read_parquet(SHARED / "medium_office_chicago" / "zones.parquet")
    table = table[table["zone"].isin(["Core_mid", "Perimeter_mid_ZN_1", "Perimeter_mid_ZN_2"])]
    names = tuple(table["zone"].astype(str).unique())
    kinds = {
        "temp_c": K.ZONE_AIR_TEMPERATURE,
        "heating_setpoint_c": K.ZONE_HEATING_SETPOINT,
        "cooling_setpoint_c": K.ZONE_COOLING_SETPOINT,
    }
    parts, points = [], []
    for column, kind in kinds.items():
        ids = table["zone"].astype(str) + f"/{kind}"
        parts.append(
            pd.DataFrame({"timestamp": table["timestamp"], "point": ids, "value": table[column].astype(float)})
        )
        points += [Point(id=f"{name}/{kind}", kind=kind, of=name) for name in names]
    assert found(pd.concat(parts), site(points=tuple(points))) == []
