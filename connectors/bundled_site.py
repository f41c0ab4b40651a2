"""The bundled demo site: where its files lie, and what its building meets on recorded days and on the days after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.emulated_building import EmulatedBuilding
from connectors.emulated_run import Days
from connectors.energyplus_model import ModelRequest, PreparedModel, prepare_model
from connectors.recorded_year import LIFT_ZONE, lifts_w
from connectors.simulated import SimulatedHosts
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
    in_source = Path(__file__).parents[1] / "data" / "office"
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


def demo_building(
    site: Site,
    folder: Path,
    *,
    name: str = "building",
    settle_days: int = 14,
    it_power_w: Callable[[int], float] | None = None,
) -> EmulatedBuilding:
    """The bundled building at the demo's present, with ``AHEAD_DAYS`` still to come.

    It has run the last days of telemetry under its own program, so that its mass has forgotten its start. Two such
    buildings meet the same weather, people, lights, plugs and VM demand, whatever is pushed into them.

    Args:
        site: the bundled site.
        folder: of the bundled site.
        name: of the connector.
        settle_days: days before the present that are run first.
        it_power_w: power of all hosts in a step, counted from ``settle_days`` before the present; None: on the days
            ahead as over the last recorded week at the same hour. [W]
    """
    first = NOW - timedelta(days=settle_days)
    world = met(site, folder, first, settle_days + AHEAD_DAYS)
    days = world.days if it_power_w is not None else replace(world.days, it_w=_weekly(world.days.it_w))
    model = demo_model(first, NOW + timedelta(days=AHEAD_DAYS - 1))
    building = EmulatedBuilding(name, site, model, days, it_power_w=it_power_w)
    building.advance_to(local_midnight(NOW))
    return building


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoWorld:
    """The demo's building and hosts as two connectors in one time; the hosts' power heats the server room."""

    building: EmulatedBuilding
    """Also the clock of both."""
    hosts: SimulatedHosts

    def __enter__(self) -> DemoWorld:
        return self

    def __exit__(self, *_: object) -> None:
        self.building.stop()


def demo_world(
    site: Site, folder: Path, *, building: str = "building", hosts: str = "hosts", settle_days: int = 8
) -> DemoWorld:
    """Building and hosts at the demo's present: what is migrated or powered down shows in the building's cooling.

    Args:
        site: the bundled site.
        folder: of the bundled site.
        building: name of the building's connector.
        hosts: name of the hosts' connector.
        settle_days: days before the present that are run first.
    """
    first = NOW - timedelta(days=settle_days)
    world = met(site, folder, first, settle_days + AHEAD_DAYS)
    asked = world.vm_utilization
    column = {vm.id: k for k, vm in enumerate(site.vms)}
    mips = {vm.id: vm.mips for vm in site.vms}
    step = [0]
    clusters: list[SimulatedHosts] = []

    def demand_mips(vm: str) -> float:
        return float(asked[min(step[0], len(asked) - 1), column[vm]]) * mips[vm]

    def power_w(i: int) -> float:
        step[0] = i
        return sum(clusters[0].power_w().values()) if clusters else 0.0

    model = demo_model(first, NOW + timedelta(days=AHEAD_DAYS - 1))
    running = EmulatedBuilding(building, site, model, world.days, it_power_w=power_w)
    clusters.append(SimulatedHosts(hosts, site.hosts, site.host_types, site.vms, running, cpu_demand_mips=demand_mips))
    running.advance_to(local_midnight(NOW))
    return DemoWorld(building=running, hosts=clusters[0])


def _weekly(values: Array) -> Array:
    """Unknown values filled with those of the week before."""
    filled, week = values.copy(), 7 * 96
    for i in range(week, len(filled)):
        if np.isnan(filled[i]):
            filled[i] = filled[i - week]
    return filled


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
