"""What the EnergyPlus building really does under each policy: whole years, kept in a folder by digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from connectors.emulator.energyplus_model import ModelRequest, NightCycleSetting, PreparedModel, prepare_model
from connectors.emulator.operator_days import operator_commands
from connectors.emulator.recorded_year import RecordedYear, first_and_last_day, read_recorded_year, recorded_days
from connectors.emulator.runs import Days, Record, run_program
from fidelity.sites import medium_office_chicago, small_office_las_vegas
from fidelity.stochastic_office import office_days
from twin.building.points import program_points
from twin.building.program import Program, Recorded, compile_program
from twin.policy import NightCycle, Policy
from twin.site import Site
from twin.vocab import SystemType

ZONE_COLUMNS = (
    "temp_c",
    "heating_setpoint_c",
    "cooling_setpoint_c",
    "co2_ppm",
    "supply_flow_kg_s",
    "supply_temp_c",
    "lights_w",
    "plugs_w",
)
OPERATOR_SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """A building of the benchmark with what it meets through the year."""

    name: str
    site: Site
    days: Days
    reference: str
    weather: str
    utc_offset_h: int
    own_sizing: bool

    @property
    def is_vav(self) -> bool:
        """Whether its units have a supply temperature and an economizer to command."""
        return any(unit.system is SystemType.VAV_REHEAT for unit in self.site.air_handlers)

    def part(self, first_day: int, days: int) -> Building:
        """The same building for fewer days."""
        return replace(self, days=self.days.part(first_day * 96, (first_day + days) * 96))

    def model(self, night: NightCycle | str | None) -> PreparedModel:
        """The reference building with the night cycle of a policy."""
        first, last = first_and_last_day(self.days, self.utc_offset_h)
        running = isinstance(night, NightCycle)
        setting = NightCycleSetting(tolerance_k=night.tolerance_k, run_min=night.run_min) if running else None
        return prepare_model(
            ModelRequest(
                building=self.reference,
                weather=self.weather,
                first_day=first,
                last_day=last,
                size_by_weather_file=self.own_sizing,
                night_cycle=setting,
            )
        )


def medium_office(shared: Path) -> tuple[Building, RecordedYear]:
    """Medium office in Chicago with the people, lights and plugs of its recorded year, and that year."""
    site = medium_office_chicago()
    year = read_recorded_year(shared / "telemetry" / "medium_office_chicago")
    days = recorded_days(year, site.holidays)
    building = Building(
        name="medium_office",
        site=site,
        days=days,
        reference="medium_office",
        weather="usa_il_chicago",
        utc_offset_h=-6,
        own_sizing=False,
    )
    return building, year


def small_office(seed: int = 1) -> Building:
    """Small office in Las Vegas with its own seeded people."""
    site = small_office_las_vegas()
    return Building(
        name="small_office",
        site=site,
        days=office_days(site, utc_offset_h=-8, seed=seed),
        reference="small_office",
        weather="usa_nv_las_vegas",
        utc_offset_h=-8,
        own_sizing=True,
    )


def truth(building: Building, policy: Policy, cache: Path) -> Record:
    """Readings of the building under a policy, from the folder if such a run is there already."""
    merged = building.site.operation.merge(policy)
    model = building.model(merged.night_cycle)
    folder = cache / building.name / digest(building, merged, model)
    if not (folder / "zones.parquet").exists():
        program = compile_program(building.site, merged, building.days.start, building.days.steps)
        _keep(_run(model, program, building.days), folder)
    return _kept(folder)


def telemetry_year(building: Building, cache: Path, seed: int = OPERATOR_SEED) -> tuple[Record, Recorded]:
    """Readings under a seeded operator who varies settings from day to day, and the commands that he gave."""
    first, last = first_and_last_day(building.days, building.utc_offset_h)
    given = operator_commands(building.site, first, (last - first).days + 1, seed)
    model = building.model(building.site.operation.night_cycle)
    base = digest(building, building.site.operation, model)
    folder = cache / building.name / f"telemetry-{seed}-{base}"
    if not (folder / "zones.parquet").exists():
        program = compile_program(building.site, building.site.operation, building.days.start, building.days.steps)
        _keep(_run(model, program.replaying(given), building.days), folder)
    return _kept(folder), given


def _run(model: PreparedModel, program: Program, days: Days) -> Record:
    return run_program(model, program, days)


def _keep(record: Record, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write(record.building, folder / "building.parquet")
    named = [record.zones[name].add_prefix(f"{name}|") for name in ZONE_COLUMNS]
    _write(pd.concat(named, axis=1), folder / "zones.parquet")


def _kept(folder: Path) -> Record:
    zones = pd.read_parquet(folder / "zones.parquet")
    frames: Mapping[str, pd.DataFrame] = {
        name: zones.filter(regex=rf"^{name}\|").rename(columns=lambda c: str(c).split("|")[1]) for name in ZONE_COLUMNS
    }
    return Record(building=pd.read_parquet(folder / "building.parquet"), zones=frames)


def _write(frame: pd.DataFrame, path: Path) -> None:
    partial = path.with_suffix(".partial")
    frame.astype(np.float32).to_parquet(partial, compression="zstd")
    partial.rename(path)


def digest(building: Building, policy: Policy, model: PreparedModel) -> str:
    """Name of a run: model, points, and everything that the building meets."""
    key = hashlib.sha256(model.text.encode())
    key.update(json.dumps(program_points(building.site, policy), sort_keys=True).encode())
    days = building.days
    for values in (days.people, days.lights_w, days.plugs_w, days.it_w):
        key.update(np.ascontiguousarray(values).tobytes())
    key.update(f"{building.weather} {days.start.isoformat()}".encode())
    return key.hexdigest()[:16]
