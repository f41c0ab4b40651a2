"""The recorded year of the medium office in the layout of its data set: drivers, commands and readings by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.emulator.energyplus_input import parse, schedule_values, source_files
from connectors.emulator.runs import Days
from twin.errors import BadInputError

Array = NDArray[np.float64]

LIFTS_W = 32_109.890_109_890_1
"""Design power of the lifts of the medium office, equipment of its bottom core. Source: the reference model."""
LIFT_ZONE = "Core_bottom"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedYear:
    """Building columns by UTC and, for each zone column, a frame of zones."""

    building: pd.DataFrame
    zones: Mapping[str, pd.DataFrame]

    def between(self, first: pd.Timestamp, last: pd.Timestamp) -> RecordedYear:
        """Rows from ``first`` to before ``last``."""
        rows = (self.building.index >= first) & (self.building.index < last)
        return RecordedYear(
            building=self.building[rows], zones={column: frame[rows] for column, frame in self.zones.items()}
        )


def read_recorded_year(folder: Path) -> RecordedYear:
    """The data set ``medium_office_chicago``.

    Raises:
        BadInputError: the folder lacks its files.
    """
    building_file, zones_file = folder / "building.parquet", folder / "zones.parquet"
    if not zones_file.exists() or not building_file.exists():
        message = f"{folder}: no building.parquet and zones.parquet; point UNDERSTUDY_SHARED at the data sets' parent"
        raise BadInputError(message)
    building = pd.read_parquet(building_file).set_index("timestamp").tz_convert("UTC")
    long = pd.read_parquet(zones_file)
    long["zone"] = long["zone"].astype(str)
    columns = [column for column in long.columns if column not in ("timestamp", "zone")]
    order = list(dict.fromkeys(long["zone"]))
    wide = long.pivot_table(index="timestamp", columns="zone", values=columns, sort=False)
    wide.index = pd.DatetimeIndex(wide.index).tz_convert("UTC")
    zones = {column: pd.DataFrame(wide[column])[order] for column in columns}
    return RecordedYear(building=building, zones=zones)


def lifts_w(days: list[date], holidays: frozenset[date]) -> Array:
    """Power of the medium office's lifts by 15 minutes; holidays run like Sundays. [W]

    Args:
        days: local days, in order.
        holidays: days without work.
    """
    entries = parse(source_files("medium_office", "usa_il_chicago")[0].read_text(errors="replace"))
    shares = {kind: schedule_values(entries, "BLDG_ELEVATORS", kind) for kind in ("Weekdays", "Saturday", "AllOther")}

    def kind(day: date) -> str:
        if day in holidays or day.weekday() == 6:
            return "AllOther"
        return "Saturday" if day.weekday() == 5 else "Weekdays"

    return LIFTS_W * np.repeat(np.concatenate([shares[kind(day)] for day in days]), 4)


def recorded_days(year: RecordedYear, holidays: frozenset[date], it_w: Array | None = None) -> Days:
    """What the building met, whole local days; the lifts are taken out of the plugs, since the model runs its own.

    Args:
        year: whole local days of the recorded year.
        holidays: days on which the lifts stand.
        it_w: power of hosts to add, shape (steps,). [W]
    """
    index = pd.DatetimeIndex(year.building.index)
    local = index.tz_convert("Etc/GMT+6")
    days = [day.date() for day in local[::96]]
    plugs = year.zones["plugs_w"].copy()
    plugs[LIFT_ZONE] = np.maximum(plugs[LIFT_ZONE].to_numpy(float) - lifts_w(days, holidays), 0.0)
    return Days(
        start=index[0].to_pydatetime().astimezone(UTC),
        people=year.zones["occupants"].to_numpy(float),
        lights_w=year.zones["lights_w"].to_numpy(float),
        plugs_w=plugs.to_numpy(float),
        it_w=np.zeros(len(index)) if it_w is None else it_w,
    )


def first_and_last_day(days: Days, utc_offset_h: int) -> tuple[date, date]:
    """Local days that ``days`` covers."""
    begin = days.start + timedelta(hours=utc_offset_h)
    end = begin + timedelta(minutes=15 * (days.steps - 1))
    return begin.date(), end.date()
