"""The bundled demo site: where its files lie, and what its building meets on recorded days and on the days after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.emulator.energyplus_model import ModelRequest, PreparedModel, prepare_model
from connectors.emulator.recorded_year import LIFT_ZONE, lifts_w
from connectors.emulator.runs import Days
from twin.errors import BadInputError
from twin.site import Site

Array = NDArray[np.float64]

UTC_OFFSET_H = -6
IT_ZONE = "Core_mid"
"""Zone where the hosts stand."""
BLOCKS = (
    (date(2023, 1, 9), 14),
    (date(2023, 3, 20), 7),
    (date(2023, 5, 8), 7),
    (date(2023, 7, 10), 14),
    (date(2023, 10, 2), 28),
)
"""First local day and number of days of each stretch of telemetry: ten weeks over all seasons."""
NOW = date(2023, 10, 30)
"""The demo's present: telemetry ends where this local day begins."""
AHEAD_DAYS = 21
"""Days after ``NOW`` that the building can still meet, to rehearse and to verify savings."""
DRIVER_COLUMNS = {"people": "occupants", "lights_w": "lights_w", "plugs_w": "plugs_w"}


def bundled_site_folder() -> Path:
    """Folder of the demo site, in the source tree or beside the installed packages.

    Raises:
        BadInputError: neither is there.
    """
    in_source = Path(__file__).parents[2] / "data" / "office"
    if in_source.exists():
        return in_source
    spec = find_spec("understudy_data")
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(root) / "office").exists():
            return Path(root) / "office"
    message = f"the bundled demo site is missing at {in_source}; install the whole package again"
    raise BadInputError(message)


def local_midnight(day: date) -> datetime:
    """Begin of a local day of the bundled site, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=UTC_OFFSET_H)


def demo_model(first_day: date, last_day: date) -> PreparedModel:
    """The building of the bundled site with its server room, made ready for these days."""
    return prepare_model(ModelRequest(first_day=first_day, last_day=last_day, it_zone=IT_ZONE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """What building and hosts meet from ``days.start`` on."""

    days: Days
    """With the recorded power of the hosts; NaN where the hosts' power isn't decided yet."""
    vm_utilization: Array
    """Demand of each VM as a share of its CPU, shape (steps, VMs)."""


def met(site: Site, folder: Path, first_day: date, days: int) -> Met:
    """People, lights, plugs, hosts and VM demand of whole local days, recorded or ahead.

    Args:
        site: the bundled site.
        folder: of the bundled site.
        first_day: first local day.
        days: number of days.

    Raises:
        BadInputError: a day is neither recorded nor ahead.
    """
    start = local_midnight(first_day)
    index = pd.date_range(start, periods=days * 96, freq="15min")
    zones = _rows(folder, "zones", index)
    machines = _rows(folder, "machines", index)
    local_days = [first_day + timedelta(days=i) for i in range(days)]
    drivers = {
        name: zones[[f"{zone.id}.{column}" for zone in site.zones]].to_numpy(np.float64, copy=True)
        for name, column in DRIVER_COLUMNS.items()
    }
    plugs = drivers["plugs_w"]
    lift = [zone.id for zone in site.zones].index(LIFT_ZONE)
    plugs[:, lift] = np.maximum(plugs[:, lift] - lifts_w(local_days, site.holidays), 0.0)
    host_power = [f"{host.id}.power_w" for host in site.hosts]
    it_w = machines.reindex(columns=host_power).to_numpy(np.float64).sum(axis=1)
    return Met(
        days=Days(start=start, people=drivers["people"], lights_w=drivers["lights_w"], plugs_w=plugs, it_w=it_w),
        vm_utilization=machines[[f"{vm.id}.cpu" for vm in site.vms]].to_numpy(np.float64),
    )


def _rows(folder: Path, name: str, index: pd.DatetimeIndex) -> pd.DataFrame:
    """Rows of the recorded file and of the days ahead.

    Raises:
        BadInputError: some of the times are in neither.
    """
    parts = [pd.read_parquet(folder / place / f"{name}.parquet") for place in ("telemetry", "ahead")]
    together = pd.concat([part.set_index("timestamp") for part in parts])
    missing = index.difference(pd.DatetimeIndex(together.index))
    if len(missing):
        message = (
            f"bundled site: nothing recorded at {missing[0].isoformat()}; choose days within the telemetry or ahead"
        )
        raise BadInputError(message)
    return together.loc[index]
