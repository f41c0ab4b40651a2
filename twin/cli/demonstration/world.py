"""The world of the demo: the EnergyPlus building with its hosts, once under the plan and once left alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from twin.cli.workspace import Workspace

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from connectors.emulator.building import EmulatedBuilding
    from connectors.emulator.bundled_site import Met
    from connectors.emulator.runs import Record
    from connectors.simulated import SimulatedHosts
    from twin.drivers import Weather
    from twin.site import Site

SETTLE_DAYS = 6
"""Recorded days that the building runs before the present, so that its mass has forgotten its start."""
WEEK_DAYS = 7
STEPS_PER_DAY = 96


@dataclass
class EmbeddedWorld:
    """Building and hosts of the bundled site from some days before the present on."""

    site: Site
    met: Met
    now: datetime
    first_day: date
    last_day: date
    hosts_file: Path | None = None
    """Where other processes say how the hosts stand."""
    building: EmulatedBuilding = field(init=False)
    hosts: SimulatedHosts = field(init=False)

    @classmethod
    def of(cls, here: Workspace, days: int = WEEK_DAYS, hosts_file: Path | None = None) -> EmbeddedWorld:
        """The world of a fresh demo workspace; its engine starts when time first passes."""
        from connectors.emulator.bundled_site import NOW, local_midnight

        return cls.between(here, local_midnight(NOW), NOW + timedelta(days=days - 1), hosts_file)

    @classmethod
    def between(cls, here: Workspace, now: datetime, last_day: date, hosts_file: Path | None = None) -> EmbeddedWorld:
        """The world of a demo workspace from a present to the end of a local day.

        Raises:
            BadInputError: the bundled site knows nothing of some of the days.
        """
        from connectors.emulator.bundled_site import bundled_site_folder, met

        first_day = now.astimezone(here.site.time_zone).date() - timedelta(days=SETTLE_DAYS)
        met_days = met(here.site, bundled_site_folder(), first_day, (last_day - first_day).days + 1)
        return cls(site=here.site, met=met_days, now=now, first_day=first_day, last_day=last_day, hosts_file=hosts_file)

    def start(self) -> None:
        """Starts the engine and brings the building to the present."""
        from connectors.emulator.building import EmulatedBuilding
        from connectors.emulator.bundled_site import demo_model
        from connectors.simulated import SimulatedHosts

        model = demo_model(self.first_day, self.last_day)
        days = replace(self.met.days, it_w=np.zeros(self.met.days.steps))
        self.building = EmulatedBuilding("building", self.site, model, days, it_power_w=self.it_power_w)
        site = self.site
        self.hosts = SimulatedHosts(
            "hosts",
            site.hosts,
            site.host_types,
            site.vms,
            self.building,
            state_file=self.hosts_file,
            cpu_demand_mips=self.demand_mips,
        )
        self._column = {vm.id: i for i, vm in enumerate(site.vms)}
        self._mips = {vm.id: vm.mips for vm in site.vms}
        self._step = 0
        self._host_power_w: dict[int, Mapping[str, float]] = {}
        self._host_cpu: dict[int, Mapping[str, float]] = {}
        self.building.advance_to(self.now)

    def it_power_w(self, step: int) -> float:
        """Power of all hosts in a step, as their VMs stand now. [W]"""
        self._step = step
        if self.hosts_file is not None:
            self.hosts.look()
        self._host_power_w[step], self._host_cpu[step] = self.hosts.power_w(), self.hosts.cpu_utilization()
        return float(sum(self._host_power_w[step].values()))

    def telemetry(self, since: datetime | None = None) -> pd.DataFrame:
        """Long-form rows of building and machines, as a site delivers them; None: since the present."""
        import pandas as pd

        from twin.vocab import PointKind

        since = since or self.now
        rows = self.building.telemetry(since)
        first = round((since - self.met.days.start).total_seconds() / self.site.step_s)
        index = pd.DatetimeIndex(rows["timestamp"].unique(), name="timestamp")
        steps = range(first, first + len(index))
        tables = {
            PointKind.HOST_POWER: pd.DataFrame([self._host_power_w[step] for step in steps], index=index),
            PointKind.HOST_CPU_UTILIZATION: pd.DataFrame([self._host_cpu[step] for step in steps], index=index),
            PointKind.VM_CPU_UTILIZATION: pd.DataFrame(
                self.met.vm_utilization[steps.start : steps.stop], index=index, columns=list(self._column)
            ),
        }
        long = [
            frame.rename(columns={point.of: point.id for point in self.site.points_of(kind)})
            .reset_index()
            .melt("timestamp", var_name="point")
            for kind, frame in tables.items()
        ]
        return pd.concat([rows, *long], ignore_index=True)

    def machines(self) -> dict[str, float]:
        """Point → reading of hosts and VMs in the step that has just passed."""
        from twin.vocab import PointKind

        step, site = self._step, self.site
        vms = dict(zip(self._column, self.met.vm_utilization[step], strict=True))
        tables: Mapping[PointKind, Mapping[str, float]] = {
            PointKind.HOST_POWER: self._host_power_w[step],
            PointKind.HOST_CPU_UTILIZATION: self._host_cpu[step],
            PointKind.VM_CPU_UTILIZATION: vms,
        }
        return {point.id: float(table[point.of]) for kind, table in tables.items() for point in site.points_of(kind)}

    def demand_mips(self, vm: str) -> float:
        """Demand of a VM in the present step. [MIPS]"""
        return float(self.met.vm_utilization[self._step, self._column[vm]]) * self._mips[vm]

    def end(self) -> datetime:
        """The end of the week that is judged."""
        return self.now + timedelta(days=WEEK_DAYS)


def run_untouched(folder: str) -> Record:
    """The same days in a building that nobody touches; runs in a process of its own.

    Args:
        folder: the demo workspace.
    """
    from pathlib import Path

    world = EmbeddedWorld.of(Workspace.at(Path(folder)))
    world.start()
    with world.building as building:
        building.advance_to(world.end())
        return building.record()


def week_of(record: Record, world: EmbeddedWorld) -> pd.DataFrame:
    """The rows of the judged week of a record."""
    import pandas as pd

    rows = record.building
    return rows[(rows.index >= pd.Timestamp(world.now)) & (rows.index < pd.Timestamp(world.end()))]


METERS: Mapping[str, tuple[str, ...]] = {
    "hvac_kwh": ("hvac_electricity_w",),
    "fan_kwh": ("fan_electricity_w",),
    "cooling_kwh": ("cooling_electricity_w",),
    "heating_kwh": ("heating_electricity_w", "heating_gas_w"),
    "gas_kwh": ("heating_gas_w",),
    "it_kwh": ("it_w",),
    "electricity_kwh": ("facility_electricity_w",),
}
"""KPI → columns of the building's record."""


def energies(record: Record, world: EmbeddedWorld) -> dict[str, float]:
    """Energy of the judged week by KPI. [kWh]"""
    week = week_of(record, world)
    return {kpi: float(week[list(columns)].to_numpy().sum()) * 0.25 / 1000.0 for kpi, columns in METERS.items()}


def discomfort_kh(record: Record, world: EmbeddedWorld) -> float:
    """Occupied discomfort of the judged week, as the KPI counts it. [K·h]"""
    index = week_of(record, world).index
    temperature = record.zones["temp_c"].loc[index].to_numpy()
    people: NDArray[np.float64] = record.zones["occupants"].loc[index].to_numpy()
    comfort = world.site.comfort
    outside = np.maximum(comfort.min_c - temperature, 0.0) + np.maximum(temperature - comfort.max_c, 0.0)
    return float((outside * (people > 0)).sum() * 0.25)


def weather_forecast(world: EmbeddedWorld) -> Weather:
    """What a weather service said of the week ahead when the telemetry ended."""
    import pandas as pd

    from connectors.emulator.bundled_site import bundled_site_folder
    from twin.drivers import Weather

    rows = pd.read_parquet(bundled_site_folder() / "ahead" / "forecast.parquet").iloc[: WEEK_DAYS * STEPS_PER_DAY]

    def column(name: str) -> NDArray[np.float64]:
        return rows[name].to_numpy(np.float64)

    return Weather(
        outdoor_c=column("outdoor_temp_c"),
        outdoor_rh=column("outdoor_rh_pct") / 100.0,
        wind_m_s=column("wind_m_s"),
        direct_normal_w_m2=column("direct_normal_w_m2"),
        diffuse_horizontal_w_m2=column("diffuse_horizontal_w_m2"),
    )
