"""Spoilt telemetry: what each fault in a record does to the parameters that calibration finds.

Two records of the same building: the ten weeks that come with the product, and a whole year. Of each fault: what is
told of it, whether the model is accepted, whether it would take the place of the one of the clean record, and how far
the parameter that strays most is from its value there, in halves of its interval: 1 is the end of the interval.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import frame
import numpy as np
import pandas as pd

from connectors.emulator.bundled_site import bundled_site_folder
from connectors.files import FileSource
from connectors.settings import load_site
from twin.calibration import calibrate
from twin.calibration.incumbent import worse_than
from twin.health.examine import examine
from twin.model import Model
from twin.site import Site
from twin.telemetry import CalibrationData, calibration_data

ROOM = "Perimeter_mid_ZN_1/zone_air_temperature"
METER = "hvac_electric_power"
FIRST, OTHER, JULY = (pd.Timestamp(f"2023-{day} 06:00", tz="UTC") for day in ("10-09", "10-23", "07-01"))
"""Midnights of the building."""
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
FLIPPED = 0.05
"""Share of days on which counts are turned round."""
Spoil = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A record and the model that it gave."""

    data: CalibrationData
    told: tuple[str, ...]
    """What data health and calibration found."""
    model: Model


def telemetry(site_file: Path, folder: Path) -> tuple[Site, pd.DataFrame]:
    """A site and the rows of its building; those of machines are left out."""
    file = load_site(site_file)
    batches = [rows for one in file.sources.values() for rows in FileSource(one, folder).batches(None, None)]
    rows = pd.concat(batches, ignore_index=True)
    rows = rows.assign(point=rows.point.astype(str))
    return file.site, rows[~rows.point.str.contains("/vm_")].reset_index(drop=True)


def fitted(site: Site, rows: pd.DataFrame, *, quick: bool = True, seed: int = 0) -> Fitted:
    """What the product makes of telemetry: what it finds, and the model without what it keeps out."""
    found = examine(site, rows)
    begin, last = (rows.timestamp.agg(which).to_pydatetime() for which in ("min", "max"))
    data = calibration_data(site, rows, begin, last + timedelta(seconds=site.step_s), excluded=found)
    model = calibrate(site, data, quick=quick, seed=seed)
    told = [one.sentence for one in found if one.excluded or one.kind == "gap"]
    return Fitted(data, (*told, *model.findings), model)


def strayed(model: Model, known: Model) -> dict[str, float]:
    """How far parameters are from those of a model, in halves of its intervals, the furthest first."""
    of = {one.name: one for one in known.reports}
    far = {
        one.name: (one.value - of[one.name].value) / (end - of[one.name].value)
        for one in model.reports
        if one.name in of
        and (end := of[one.name].high if one.value > of[one.name].value else of[one.name].low)
        and one.value != of[one.name].value
    }
    return dict(sorted(far.items(), key=lambda item: -item[1]))


def drifting_meter(rows: pd.DataFrame) -> pd.DataFrame:
    """A meter that reads 30 % more at the end than at the begin."""
    since = rows.timestamp - rows.timestamp.min()
    return rows.assign(value=rows.value.where(rows.point != METER, rows.value * (1.0 + 0.3 * since / since.max())))


def counts_turned_round(rows: pd.DataFrame) -> pd.DataFrame:
    """On one day of twenty, empty rooms are full and full rooms empty."""
    people = rows.point.str.endswith("/zone_occupancy")
    day = (rows.timestamp - JULY) // DAY
    days = np.unique(day)
    chosen = np.random.default_rng(11).choice(days, max(1, round(FLIPPED * len(days))), replace=False)
    turned = people & day.isin(chosen)
    usual = rows[people].groupby("point").value.quantile(0.99).round()
    full = np.where(rows.value[turned] > 0, 0.0, rows.point[turned].map(usual))
    return rows.assign(value=rows.value.where(~turned, pd.Series(full, rows.index[turned])))


def week_copied_over_another(rows: pd.DataFrame) -> pd.DataFrame:
    """All points of a week, put in the place of another week."""
    good = rows[_during(rows, FIRST, WEEK)]
    return pd.concat([rows[~_during(rows, OTHER, WEEK)], good.assign(timestamp=good.timestamp + (OTHER - FIRST))])


def stuck_sensor(rows: pd.DataFrame) -> pd.DataFrame:
    """Two weeks of one room at one value."""
    stuck = _during(rows, FIRST - 4 * DAY, 2 * WEEK) & (rows.point == ROOM)
    return rows.assign(value=rows.value.where(~stuck, rows.value[stuck].iloc[0]))


def fahrenheit(rows: pd.DataFrame) -> pd.DataFrame:
    """A room in °F that is declared in °C."""
    return rows.assign(value=rows.value.where(rows.point != ROOM, rows.value * 1.8 + 32.0))


def missing_month(rows: pd.DataFrame) -> pd.DataFrame:
    """Nothing at all in July."""
    return rows[~_during(rows, JULY, 31 * DAY)]


def poisoned_week(rows: pd.DataFrame) -> pd.DataFrame:
    """A week of rooms 4 K too warm with 2.5 times the energy."""
    week = _during(rows, FIRST, WEEK)
    rooms, meter = week & rows.point.str.endswith("/zone_air_temperature"), week & (rows.point == METER)
    return rows.assign(value=rows.value + 4.0 * rooms + 1.5 * rows.value * meter)


SPOILS: tuple[Spoil, ...] = (
    drifting_meter,
    counts_turned_round,
    week_copied_over_another,
    stuck_sensor,
    fahrenheit,
    missing_month,
    poisoned_week,
)


def _during(rows: pd.DataFrame, start: pd.Timestamp, length: timedelta) -> pd.Series[bool]:
    return (rows.timestamp >= start) & (rows.timestamp < start + length)


def measure(chosen: argparse.Namespace) -> frame.Document:
    """Both records; the ten weeks alone, with two faults, where it is to be quick."""
    bundled = bundled_site_folder()
    rows = of_record(telemetry(bundled / "site.yaml", bundled), SPOILS[-1:] if chosen.quick else SPOILS, chosen.seed)
    if chosen.quick:
        return {"ten_weeks": rows}
    folder = frame.shared_folder("telemetry", "medium_office_chicago")
    site_file = frame.ROOT / "tests" / "sites" / "medium_office_chicago.yaml"
    return {"ten_weeks": rows, "year": of_record(telemetry(site_file, folder), SPOILS, chosen.seed)}


def of_record(record: tuple[Site, pd.DataFrame], spoils: tuple[Spoil, ...], seed: int) -> list[frame.Document]:
    """A row for each fault."""
    site, rows = record
    clean = fitted(site, rows, seed=seed)
    table: list[frame.Document] = []
    for spoil in spoils:
        spoilt = fitted(site, spoil(rows), seed=seed)
        told = [one for one in spoilt.told if one not in clean.told]
        far = strayed(spoilt.model, clean.model)
        why = worse_than(site, spoilt.data, spoilt.model, clean.model)
        table.append(
            {
                "fault": spoil.__name__,
                "accepted": spoilt.model.accepted,
                "takes_the_place": not why,
                "furthest_half_intervals": next(iter(far.values()), 0.0),
                "outside": {name: size for name, size in far.items() if size > 1.0},
                "told": told[0] if told else "",
            }
        )
        frame.note(f"{table[-1]} {'; '.join(why)}")
    return table


if __name__ == "__main__":
    frame.run(__doc__, measure)
