"""Makes the telemetry of the bundled demo site again: ``python -m connectors.emulator.bundled_site_maker``.

The building is the reference medium office in Chicago with the people, lights and plugs of its recorded year; a seeded
operator varies its settings; the hosts' demand comes from the seeded generator of the twin, their power from its power
curves, and that power heats the server room. Prices, carbon and bookings are seeded curves of our own.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.emulator.bundled_site import AHEAD_DAYS, BLOCKS, NOW, bundled_site_folder, demo_model, local_midnight
from connectors.emulator.energyplus_points import ENVIRONMENT, METERS
from connectors.emulator.operator_days import operator_commands
from connectors.emulator.recorded_year import RecordedYear, read_recorded_year, recorded_days
from connectors.emulator.runs import Record, run_program
from connectors.settings import load_site
from twin.building.program import compile_program
from twin.compute import generate_demand, local_time, simulate_compute
from twin.site import Site
from twin.streams import stream

Array = NDArray[np.float64]

SEED = 20231030
SETTLE_DAYS = 10
"""Days run before each stretch, so that the building's mass has forgotten its start."""
STEP_S = 900.0
SITE_DECIMALS = {"_c": 2, "_frac": 3, "_s": 4, "_kwh": 4}
METER_COLUMNS = [*METERS, "hvac_electricity_w"]
WEATHER_COLUMNS = [*ENVIRONMENT, "global_horizontal_w_m2"]
ZONE_COLUMNS = {
    "temp_c": 2,
    "rh_pct": 1,
    "co2_ppm": 0,
    "occupants": 0,
    "lights_w": 0,
    "plugs_w": 0,
    "supply_flow_kg_s": 4,
    "supply_temp_c": 2,
    "heating_setpoint_c": 2,
    "cooling_setpoint_c": 2,
}
"""Zone columns and the decimals that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Everything of some days, ready to be written; frames indexed by UTC."""

    building: pd.DataFrame
    zones: pd.DataFrame
    machines: pd.DataFrame


def make(folder: Path, shared: Path, seed: int = SEED) -> None:
    """Writes telemetry, days ahead, weather forecast and bookings into the folder of the site.

    Args:
        folder: holds ``site.yaml``.
        shared: holds the data set ``medium_office_chicago``.
        seed: of operator, demand, prices, carbon, forecast and bookings.
    """
    site = load_site(folder / "site.yaml").site
    year = read_recorded_year(shared / "telemetry" / "medium_office_chicago")
    demand = _demand(site, year, seed)
    stretches = [stretch(site, year, demand, first, days, seed) for first, days in BLOCKS]
    for name in ("building", "zones", "machines"):
        _write(pd.concat([getattr(part, name) for part in stretches]), folder / "telemetry" / f"{name}.parquet")
    _write_ahead(site, year, demand, folder, seed)
    _write_bookings(site, year, folder / "bookings.ics", seed)


def _demand(site: Site, year: RecordedYear, seed: int) -> pd.DataFrame:
    """Demand of every VM through the whole recorded year, a share of its own CPU."""
    index = year.building.index
    time = local_time(index[0].to_pydatetime(), len(index), STEP_S, site.time_zone, sorted(site.holidays))
    people = {zone.id: year.zones["occupants"][zone.id].to_numpy(np.float64) for zone in site.zones}
    values = generate_demand(site.vms, time, seed=seed, people=people)
    return pd.DataFrame(np.round(values, 3), index=index, columns=[f"{vm.id}.cpu" for vm in site.vms])


def stretch(site: Site, year: RecordedYear, demand: pd.DataFrame, first: date, days: int, seed: int) -> Stretch:
    """Some days of the building under its operator, after days to settle that are left out."""
    begin = first - timedelta(days=SETTLE_DAYS if first - timedelta(days=SETTLE_DAYS) >= date(2023, 1, 1) else 8)
    total = days + (first - begin).days
    start = pd.Timestamp(local_midnight(begin))
    part = year.between(start, start + pd.Timedelta(days=total))
    asked = demand.loc[part.building.index]
    compute = simulate_compute(site, asked.to_numpy(), site.operation, step_s=STEP_S, seed=seed)
    met = recorded_days(part, site.holidays, compute.host_power_w.sum(axis=1))
    program = compile_program(site, site.operation, met.start, met.steps)
    program = program.replaying(operator_commands(site, begin, total, seed))
    record = run_program(demo_model(begin, begin + timedelta(days=total - 1)), program, met)
    keep = part.building.index >= pd.Timestamp(local_midnight(first))
    host_names = [host.id for host in site.hosts]
    machines = pd.DataFrame(
        np.hstack([np.round(compute.host_power_w, 1), np.round(compute.host_utilization, 3)]),
        index=part.building.index,
        columns=[f"{h}.power_w" for h in host_names] + [f"{h}.cpu" for h in host_names],
    ).join(asked)
    building = _building(record, site, seed)
    return Stretch(building=building[keep], zones=_zones(record.zones)[keep], machines=machines[keep])


def _building(record: Record, site: Site, seed: int) -> pd.DataFrame:
    units = [str(c) for c in record.building if str(c).startswith("ahu.")]
    frame = record.building[[*WEATHER_COLUMNS, *METER_COLUMNS, *units]].copy()
    for column in frame:
        frame[column] = frame[column].round(2 if column in WEATHER_COLUMNS else _decimals(str(column)))
    return frame.join(prices(pd.DatetimeIndex(frame.index), site, seed))


def _decimals(column: str) -> int:
    return next((kept for ending, kept in SITE_DECIMALS.items() if column.endswith(ending)), 0)


def _zones(zones: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    kept = {column: decimals for column, decimals in ZONE_COLUMNS.items() if column in zones}
    return pd.concat([_named(zones[column].round(decimals), column) for column, decimals in kept.items()], axis=1)


def _named(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    return frame.set_axis([f"{zone}.{column}" for zone in frame], axis=1)


def prices(index: pd.DatetimeIndex, site: Site, seed: int) -> pd.DataFrame:
    """Price and carbon of electricity: curves of our own, in the shape of a time-of-use tariff and a mixed grid.

    Price: 0.09 by night, 0.13 by day, 0.19 USD/kWh on working days from 13 to 19 h, a fifth more in June to September.
    Carbon: 0.43 kg/kWh, less at noon (sun) and at night (wind, low demand), with slow seeded weather of ±0.05.
    """
    local = index.tz_convert(site.time_zone)
    hour = (local.hour + local.minute / 60.0).to_numpy()
    working = np.array([day.weekday() < 5 and day not in site.holidays for day in local.date])
    price = np.where((hour >= 7) & (hour < 22), 0.13, 0.09)
    price = np.where((hour >= 13) & (hour < 19) & working, 0.19, price)
    price = np.where(local.month.isin([6, 7, 8, 9]), 1.2 * price, price)
    sun = 0.06 * np.exp(-(((hour - 12.5) / 2.5) ** 2))
    night = 0.03 * np.cos((hour - 3.0) / 24.0 * 2 * np.pi)
    hours = ((index - pd.Timestamp("2023-01-01", tz="UTC")) / pd.Timedelta(hours=1)).to_numpy()
    rng = stream(seed, "grid-carbon")
    waves = sum(
        rng.uniform(0.5, 1.0) * np.sin(2 * np.pi * hours / period + rng.uniform(0, 2 * np.pi))
        for period in (31.0, 67.0, 113.0, 241.0)
    )
    carbon = 0.43 - sun - night + 0.02 * waves
    return pd.DataFrame({"price_usd_kwh": price.round(4), "carbon_kg_kwh": np.round(carbon, 4)}, index=index)


def _write_ahead(site: Site, year: RecordedYear, demand: pd.DataFrame, folder: Path, seed: int) -> None:
    """What the days after the telemetry will bring, and what a weather service would say of them."""
    begin = pd.Timestamp(local_midnight(NOW))
    part = year.between(begin, begin + pd.Timedelta(days=AHEAD_DAYS))
    columns = ("occupants", "lights_w", "plugs_w")
    _write(_zones({c: part.zones[c] for c in columns}), folder / "ahead" / "zones.parquet")
    _write(demand.loc[part.building.index], folder / "ahead" / "machines.parquet")
    weather = part.building[WEATHER_COLUMNS].round(2)
    known = prices(pd.DatetimeIndex(weather.index), site, seed)
    _write(weather.join(known), folder / "ahead" / "building.parquet")
    _write(_weather_forecast(weather, seed).join(known), folder / "ahead" / "forecast.parquet")


def _weather_forecast(weather: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Weather with an error that grows with the days ahead: 0.5 K to 3 K (one sigma), and more or less sun."""
    rng = stream(seed, "weather-forecast")
    days = np.arange(len(weather)) / 96.0
    knots = rng.standard_normal((2, AHEAD_DAYS * 2 + 2))
    drift = [np.interp(days * 2.0, np.arange(knots.shape[1]), row) for row in knots]
    sigma = np.minimum(0.5 + 0.2 * days, 3.0)
    frame = weather.copy()
    frame["outdoor_temp_c"] = (frame["outdoor_temp_c"] + sigma * drift[0]).round(2)
    cloud = np.exp(np.minimum(0.1 + 0.03 * days, 0.4) * drift[1])
    for column in ("direct_normal_w_m2", "diffuse_horizontal_w_m2", "global_horizontal_w_m2"):
        frame[column] = (frame[column] * cloud).clip(upper=1000.0).round(1)
    return frame


def _write_bookings(site: Site, year: RecordedYear, path: Path, seed: int) -> None:
    """Bookings of the numbered rooms on working days, recorded and ahead; no names, no titles."""
    stretches = (*BLOCKS, (NOW, AHEAD_DAYS))
    days = [first + timedelta(days=i) for first, count in stretches for i in range(count)]
    working = [day for day in days if day.weekday() < 5 and day not in site.holidays]
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Understudy//bundled site//EN"]
    for zone in (zone for zone in site.zones if zone.room_number):
        people = year.zones["occupants"][zone.id]
        for day in working:
            lines += _bookings_of(zone.room_number or "", day, people, stream(seed, "bookings", zone.id, str(day)))
    path.write_bytes(("\r\n".join([*lines, "END:VCALENDAR"]) + "\r\n").encode())


def _bookings_of(room: str, day: date, people: pd.Series[float], rng: np.random.Generator) -> list[str]:
    lines: list[str] = []
    begin = pd.Timestamp(local_midnight(day)) + pd.Timedelta(hours=9)
    close = begin + pd.Timedelta(hours=8)
    for number in range(int(rng.integers(2, 6))):
        begin += pd.Timedelta(minutes=30 * int(rng.integers(0, 4)))
        end = begin + pd.Timedelta(minutes=30 * int(rng.choice([1, 2, 2, 3, 4])))
        if end > close:
            break
        seats = 2 + int(rng.poisson(0.5 * float(people.loc[begin])))
        lines += [
            "BEGIN:VEVENT",
            f"UID:{room}-{day:%Y%m%d}-{number}@bundled.understudy",
            "DTSTAMP:20230101T000000Z",
            f"DTSTART:{begin:%Y%m%dT%H%M%SZ}",
            f"DTEND:{end:%Y%m%dT%H%M%SZ}",
            f"LOCATION:{room}",
            "SUMMARY:Booked",
            f"X-EXPECTED-PEOPLE:{seats}",
            "END:VEVENT",
        ]
        begin = end
    return lines


def _write(frame: pd.DataFrame, path: Path) -> None:
    """Wide Parquet: UTC stamps at the start of each interval, float32, zstd."""
    path.parent.mkdir(parents=True, exist_ok=True)
    out = frame.astype(np.float32)
    out.index.name = "timestamp"
    out.reset_index().to_parquet(path, compression="zstd", compression_level=19, index=False)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Make the telemetry of the bundled demo site again.")
    parser.add_argument("--folder", type=Path, default=bundled_site_folder())
    shared = Path(os.environ.get("UNDERSTUDY_SHARED", Path(__file__).parents[3] / "shared"))
    parser.add_argument("--shared", type=Path, default=shared, help="folder that holds telemetry/medium_office_chicago")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    make(arguments.folder, arguments.shared, arguments.seed)


if __name__ == "__main__":
    main()
