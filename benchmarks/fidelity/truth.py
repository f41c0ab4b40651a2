"""What the EnergyPlus building really does under each policy: whole years, kept in a folder by digest."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from emulated_sites import medium_office_chicago, small_office_las_vegas
from fidelity_policies import Trial, trials

from connectors.emulated_run import Days, run_program
from connectors.energyplus_model import ModelRequest, NightCycleSetting, PreparedModel, prepare_model
from connectors.recorded_year import first_and_last_day, read_recorded_year, recorded_days
from twin.building.points import program_points
from twin.building.program import compile_program
from twin.errors import BadInputError
from twin.policy import NightCycle, Policy
from twin.site import Site

ZONE_COLUMNS = ("temp_c", "heating_setpoint_c", "cooling_setpoint_c", "co2_ppm", "supply_flow_kg_s", "supply_temp_c")
BASELINE = "baseline"


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
        return any(unit.economizer for unit in self.site.air_handlers)

    def model(self, night: NightCycle | str | None) -> PreparedModel:
        """The reference building with the night cycle of a policy."""
        first, last = first_and_last_day(self.days, self.utc_offset_h)
        setting = (
            NightCycleSetting(tolerance_k=night.tolerance_k, run_min=night.run_min)
            if isinstance(night, NightCycle)
            else None
        )
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Readings of a run of the EnergyPlus building; rows by UTC."""

    building: pd.DataFrame
    zones: Mapping[str, pd.DataFrame]


def shared_folder() -> Path:
    """The folder of the shared data sets.

    Raises:
        BadInputError: it isn't there.
    """
    root = Path(__file__).parents[1]
    folder = Path(os.environ.get("UNDERSTUDY_SHARED", root / ".." / "shared"))
    if not (folder / "telemetry").exists():
        raise BadInputError(f"{folder}: no shared data sets; set UNDERSTUDY_SHARED to the folder that holds telemetry/")
    return folder


def medium_office() -> Building:
    """Medium office in Chicago with the people, lights and plugs of its recorded year."""
    site = medium_office_chicago()
    year = read_recorded_year(shared_folder() / "telemetry" / "medium_office_chicago")
    return Building(
        name="medium_office",
        site=site,
        days=recorded_days(year, site.holidays),
        reference="medium_office",
        weather="usa_il_chicago",
        utc_offset_h=-6,
        own_sizing=False,
    )


def part_of(building: Building, first_day: int, days: int) -> Building:
    """The same building for fewer days."""
    from dataclasses import replace

    return replace(building, days=building.days.part(first_day * 96, (first_day + days) * 96))


def truth(building: Building, policy: Policy, cache: Path) -> Truth:
    """Readings of the building under a policy, from the folder if such a run is there already."""
    merged = building.site.operation.merge(policy)
    model = building.model(merged.night_cycle)
    folder = cache / building.name / _digest(building, merged, model)
    if not (folder / "zones.parquet").exists():
        program = compile_program(building.site, merged, building.days.start, building.days.steps)
        record = run_program(model, program, building.days)
        folder.mkdir(parents=True, exist_ok=True)
        _write(record.building, folder / "building.parquet")
        _write(pd.concat({name: record.zones[name] for name in ZONE_COLUMNS}, axis=1), folder / "zones.parquet")
    zones = pd.read_parquet(folder / "zones.parquet")
    frames = {
        name: zones[[c for c in zones if c.startswith(f"{name}|")]].rename(columns=lambda c: c.split("|")[1])
        for name in ZONE_COLUMNS
    }
    return Truth(building=pd.read_parquet(folder / "building.parquet"), zones=frames)


def _write(frame: pd.DataFrame, path: Path) -> None:
    flat = frame.astype(np.float32)
    flat.columns = ["|".join(c) if isinstance(c, tuple) else c for c in flat.columns]
    partial = path.with_suffix(".partial")
    flat.to_parquet(partial, compression="zstd")
    partial.rename(path)


def _digest(building: Building, policy: Policy, model: PreparedModel) -> str:
    key = hashlib.sha256(model.text.encode())
    key.update(json.dumps(program_points(building.site, policy), sort_keys=True).encode())
    days = building.days
    for values in (days.people, days.lights_w, days.plugs_w, days.it_w):
        key.update(np.ascontiguousarray(values).tobytes())
    key.update(f"{building.weather} {days.start.isoformat()}".encode())
    return key.hexdigest()[:16]


def main() -> None:
    """Runs every policy of one building and writes an index beside the runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("building", choices=("medium_office", "small_office"))
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--set", choices=("develop", "report"), default=None)
    arguments = parser.parse_args()
    building = medium_office() if arguments.building == "medium_office" else small_office()
    chosen = [t for t in trials(vav=building.is_vav) if arguments.set in (None, t.set)]
    baseline = Trial(name=BASELINE, kind="single", set="develop", policy=Policy())
    for trial in (baseline, *chosen):
        began = time.monotonic()
        found = truth(building, trial.policy, arguments.cache)
        mean = found.building.mean()
        merged = building.site.operation.merge(trial.policy)
        digest = _digest(building, merged, building.model(merged.night_cycle))
        row = {"name": trial.name, "set": trial.set, "kind": trial.kind, "run": digest}
        row |= {
            c: float(mean[c])
            for c in (
                "hvac_electricity_w",
                "fan_electricity_w",
                "cooling_electricity_w",
                "heating_electricity_w",
                "heating_gas_w",
            )
        }
        with (arguments.cache / building.name / "index.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{time.monotonic() - began:6.1f} s  {json.dumps(row)}", flush=True)


def small_office() -> Building:
    """Small office in Las Vegas with its own seeded people."""
    from stochastic_office import office_days

    site = small_office_las_vegas()
    return Building(
        name="small_office",
        site=site,
        days=office_days(site, utc_offset_h=-8, seed=1),
        reference="small_office",
        weather="usa_nv_las_vegas",
        utc_offset_h=-8,
        own_sizing=True,
    )


if __name__ == "__main__":
    main()
