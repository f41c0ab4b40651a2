"""How much faster the twin answers than EnergyPlus runs: one building-year at a time, and many policies at once.

Both are measured in this session as CPU seconds of this process, after a warm-up, medians of three or more.
EnergyPlus runs the medium office with its own schedules at the same 15-minute steps, without any callback of ours; its
CPU time holds its sizing run, as every run of it does. A single twin run is a whole one: parameters, program and sun
anew, its SimPy events, all series and the KPIs; only the local hours of the year and the machine code are kept from the
run before. A batch is a scenario batch as ``understudy scenario run`` makes it, with 8 sets of parameters and 8 seeds
for each policy, which share drivers and sun and run eight at once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from statistics import median

import frame
import numpy as np
from fidelity.sites import medium_office_chicago
from fidelity.stochastic_office import office_days

from connectors.emulator.energyplus import EnergyPlusRun
from connectors.emulator.energyplus_model import ModelRequest, prepare_model
from scenarios.batch import Batch, bundles_of, in_order, run_bundle, tasks_of
from scenarios.expand import DriverRequest, Scenario, World
from scenarios.shared_runs import simulate_eight, simulate_sharing
from twin.building.parameters import Parameters
from twin.drivers import Drivers, Weather
from twin.kpi import kpis
from twin.policy import Policy, Setpoint, SupplyAirReset
from twin.run import simulate
from twin.site import AirHandler, Site, Zone

STEPS = 365 * 96
SEEDS = tuple(range(8))
Document = dict[str, object]


def measure(chosen: argparse.Namespace) -> Document:
    """All measures."""
    site = medium_office_chicago()
    drivers = _drivers(site, chosen.seed)
    for _ in range(2):
        _single(site, drivers)
    single_s = median(_cpu_s(lambda: _single(site, drivers)) for _ in range(7))
    batch_s = _batch_s(site, drivers, 2 if chosen.quick else 6)
    energyplus_s = median(_energyplus_year_s(quick=chosen.quick) for _ in range(3))
    return {
        "energyplus_s_per_year": energyplus_s,
        "twin_s_per_year_single": single_s,
        "twin_s_per_year_batch": batch_s,
        "ratio_single": energyplus_s / single_s,
        "ratio_batch": energyplus_s / batch_s,
        "scenario_years_per_min_per_core": 60.0 / batch_s,
        "scaling": _scaling(site, drivers, (15, 150) if chosen.quick else (15, 150, 1500)),
    }


def _single(site: Site, drivers: Drivers) -> dict[str, float]:
    return kpis(simulate(site, Parameters({}), drivers, site.operation), site)


def _cpu_s(job: Callable[[], object]) -> float:
    begun = time.process_time()
    job()
    return time.process_time() - begun


def _batch_s(site: Site, drivers: Drivers, count: int) -> float:
    """CPU seconds per scenario-year of a scenario batch: many policies, sets of parameters and seeds, in one process.

    It takes the way of ``understudy scenario run`` up to the rows that are kept: KPIs, energy by day and end use, and
    the series of the first run of every scenario. Files are left out.
    """
    rng = np.random.default_rng(1)
    request = DriverRequest(kind="replay", start=drivers.start, end=drivers.end)
    batch = Batch(
        site=site,
        parameters=tuple(Parameters({"cop": 3.0 + 0.05 * k, "wall_u": 0.4 + 0.05 * k}) for k in range(8)),
        drivers={request: (drivers,)},
        simulate=simulate_sharing,
        simulate_eight=simulate_eight,
    )
    policies = [
        Policy(
            heating_setpoint_c=Setpoint(occupied=float(rng.uniform(19, 22)), unoccupied=15.6),
            supply_air_temperature_c=SupplyAirReset(min_c=12.8, max_c=float(rng.uniform(13, 18))),
        )
        for _ in range(count)
    ]
    scenarios = [
        Scenario(
            index=index,
            name=f"policy {index}",
            request=request,
            world=World(),
            policy=policy,
            policy_text={},
            seeds=SEEDS,
            baseline=None,
        )
        for index, policy in enumerate(policies)
    ]
    tasks = [task for scenario in scenarios for task in tasks_of(scenario, len(batch.parameters))]

    def run_all() -> None:
        for _ in in_order(run_bundle(batch, bundle) for bundle in bundles_of(batch, tasks)):
            pass

    return median(_cpu_s(run_all) for _ in range(3)) / len(tasks)


def _energyplus_year_s(*, quick: bool) -> float:
    """CPU seconds of a building-year; the quick look runs four weeks and one day and scales the difference."""
    if not quick:
        return _cpu_s(_energyplus(date(2023, 1, 1), date(2023, 12, 31)))
    one_day = _cpu_s(_energyplus(date(2023, 4, 10), date(2023, 4, 10)))
    weeks = _cpu_s(_energyplus(date(2023, 4, 10), date(2023, 5, 7)))
    return one_day + (weeks - one_day) / 27.0 * 364.0


def _energyplus(first: date, last: date) -> Callable[[], object]:
    model = prepare_model(ModelRequest(first_day=first, last_day=last))
    return EnergyPlusRun(model, None).run


def _scaling(site: Site, drivers: Drivers, sizes: tuple[int, ...]) -> list[Document]:
    """Cost per zone and 15-minute step in buildings made of copies of the medium office, 28 days."""
    rows, parameters = list[Document](), Parameters({})
    for zones in sizes:
        copies = zones // len(site.zones)
        large, met = _copied(site, copies), _copied_drivers(drivers, copies, 28 * 96)
        simulate(large, parameters, met, site.operation)
        seconds = median(_cpu_s(lambda s=large, d=met: simulate(s, parameters, d, site.operation)) for _ in range(3))
        steps = 28 * 96 + 7 * 96  # the run settles for seven days first
        rows.append({"zones": zones, "ns_per_zone_step": 1e9 * seconds / (zones * steps)})
    return rows


def _copied(site: Site, copies: int) -> Site:
    def zone(original: Zone, k: int) -> Zone:
        near = tuple(replace(other, zone=f"{other.zone}_{k}") for other in original.adjacent)
        return replace(original, id=f"{original.id}_{k}", air_handler=f"{original.air_handler}_{k}", adjacent=near)

    def unit(original: AirHandler, k: int) -> AirHandler:
        return replace(original, id=f"{original.id}_{k}", zones=tuple(f"{z}_{k}" for z in original.zones))

    zones = tuple(zone(original, k) for k in range(copies) for original in site.zones)
    units = tuple(unit(original, k) for k in range(copies) for original in site.air_handlers)
    return replace(site, zones=zones, air_handlers=units)


def _copied_drivers(drivers: Drivers, copies: int, steps: int) -> Drivers:
    weather = Weather(**{name: getattr(drivers.weather, name)[:steps] for name in Weather.__slots__})
    tiled = {
        name: np.tile(getattr(drivers, name)[:steps], (1, copies))
        for name in ("people", "lights_w", "plugs_w", "other_gain_w")
    }
    prices = {name: getattr(drivers, name)[:steps] for name in ("electricity_price_kwh", "carbon_kg_kwh")}
    return replace(drivers, weather=weather, **tiled, **prices)


def _drivers(site: Site, seed: int) -> Drivers:
    """A year of seeded people and of a smooth made-up weather; speed does not depend on which."""
    days = office_days(site, utc_offset_h=-6, seed=seed + 1)
    hour = np.arange(STEPS) / 4.0
    season, day = np.cos(2 * np.pi * (hour / 8760 - 0.55)), np.cos(2 * np.pi * (hour - 15.0) / 24.0)
    light = np.maximum(day, 0.0)
    weather = Weather(
        outdoor_c=10.0 + 13.0 * season + 4.0 * day,
        outdoor_rh=np.full(STEPS, 0.65),
        wind_m_s=np.full(STEPS, 4.0),
        direct_normal_w_m2=450.0 * light,
        diffuse_horizontal_w_m2=150.0 * light,
    )
    return Drivers(
        start=datetime(2023, 1, 1, 6, tzinfo=UTC),
        step_s=900.0,
        weather=weather,
        people=days.people,
        lights_w=days.lights_w,
        plugs_w=days.plugs_w,
        other_gain_w=np.zeros_like(days.people),
        electricity_price_kwh=np.full(STEPS, 0.13),
        carbon_kg_kwh=np.full(STEPS, 0.4),
    )


if __name__ == "__main__":
    frame.run(__doc__, measure)
