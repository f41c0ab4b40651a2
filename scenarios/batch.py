"""A batch of runs as plain data, and one run of it: what a worker process does, without files or clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scenarios.expand import DriverRequest, Scenario, World
from scenarios.worlds import changed, synthetic
from twin.drivers import Drivers
from twin.kpi import KPIS, kpis
from twin.policy import Policy
from twin.result import RunResult
from twin.site import Site
from twin.units import JOULES_PER_KWH, SECONDS_PER_DAY
from twin.vocab import EndUse

Array = NDArray[np.float64]
USES: tuple[EndUse, ...] = tuple(EndUse)
WEIGHTS = ("kwh", "cost", "co2_kg")
"""What is summed by day and end use: energy, its price, its carbon."""


class Simulator(Protocol):
    """Runs the twin once; it must be importable by name in a worker process."""

    def __call__(self, site: Site, parameters: object, drivers: Drivers, policy: Policy, *, seed: int) -> RunResult:
        """The run of a policy (already merged over the site's operation) under drivers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Draw:
    """One draw of what is uncertain; runs of two scenarios with equal draws are a pair."""

    seed: int
    sample: int
    member: int
    """Position in the ensemble of parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Everything that the runs share."""

    site: Site
    parameters: tuple[object, ...]
    """Best parameters first, then the ensemble."""
    drivers: Mapping[DriverRequest, tuple[Drivers, ...]]
    simulate: Simulator


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run to do."""

    scenario: Scenario
    draw: Draw
    keep_series: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """What is kept of a run."""

    draw: Draw
    kpis: Array
    """In the order of the KPI table; NaN where the run cannot answer."""
    daily: Array
    """Energy, cost and carbon by day and end use, shape (weights, uses, days)."""
    findings: tuple[str, ...]
    series: Mapping[str, NDArray[np.float32]] | None


def draws_of(scenario: Scenario, members: int) -> tuple[Draw, ...]:
    """All draws of a scenario: seeds × forecast samples × members of the ensemble, in that order."""
    samples = range(scenario.request.samples)
    return tuple(
        Draw(seed=seed, sample=sample, member=member)
        for seed in scenario.seeds
        for sample in samples
        for member in range(members)
    )


def tasks_of(scenario: Scenario, members: int) -> tuple[Task, ...]:
    """All runs of a scenario; the first draw keeps its series."""
    draws = draws_of(scenario, members)
    return tuple(Task(scenario=scenario, draw=draw, keep_series=draw == draws[0]) for draw in draws)


def run_task(batch: Batch, task: Task) -> RunRow:
    """One run of the twin with what is kept of it."""
    scenario, draw = task.scenario, task.draw
    drivers = drivers_of(batch, scenario, draw)
    policy = batch.site.operation.merge(scenario.policy)
    result = batch.simulate(batch.site, batch.parameters[draw.member], drivers, policy, seed=draw.seed)
    values = kpis(result, batch.site)
    return RunRow(
        draw=draw,
        kpis=np.array([values.get(name, np.nan) for name in KPIS]),
        daily=daily_sums(result, batch.site),
        findings=result.findings,
        series=series_of(result, batch.site) if task.keep_series else None,
    )


def drivers_of(batch: Batch, scenario: Scenario, draw: Draw) -> Drivers:
    """Drivers of one draw: recorded, sampled or drawn, then changed as the scenario says.

    Runs that differ only in policy and parameters get the same object, so that they can share what follows from it.
    """
    request = scenario.request
    asked = (request, scenario.world, draw.seed, draw.sample)
    for of_batch, known, drivers in _MADE:
        if of_batch is batch and known == asked:
            return drivers
    given = batch.drivers[request]
    if request.kind == "synthetic":
        made = synthetic(given, request, batch.site, draw.seed)
    else:
        made = replace(given[draw.sample], seed=draw.seed)
    made = changed(made, scenario.world)
    _MADE[:] = [(batch, asked, made), *_MADE[: KEPT - 1]]
    return made


KEPT = 4
_MADE: list[tuple[Batch, tuple[DriverRequest, World, int, int], Drivers]] = []
"""Drivers made last, with what they were made of; never part of a result."""


def daily_sums(result: RunResult, site: Site) -> Array:
    """Energy [kWh], cost [currency] and carbon [kg] by day and end use, shape (weights, uses, days)."""
    steps = len(result.it_power_w)
    power = np.zeros((len(USES), steps))
    for row, use in enumerate(USES):
        if use in result.building.power_w:
            power[row] = result.building.power_w[use]
    power[USES.index(EndUse.IT)] += result.it_power_w
    gas = USES.index(EndUse.HEATING_GAS)
    price = np.tile(result.electricity_price_kwh, (len(USES), 1))
    carbon = np.tile(result.carbon_kg_kwh, (len(USES), 1))
    price[gas], carbon[gas] = site.tariff.gas_per_kwh, site.tariff.gas_carbon_kg_per_kwh
    energy = power * (result.step_s / JOULES_PER_KWH)
    per_day = round(SECONDS_PER_DAY / result.step_s)
    edges = np.arange(0, steps, per_day)
    stacked = np.stack([energy, energy * price, energy * carbon])
    summed: Array = np.add.reduceat(stacked, edges, axis=2)
    return summed


def series_of(result: RunResult, site: Site) -> dict[str, NDArray[np.float32]]:
    """Series of a run by column name: power by end use, people, temperatures and setpoints by zone."""
    building = result.building
    columns: dict[str, Array] = {f"power_{use.value}_w": power for use, power in building.power_w.items()}
    columns["power_hosts_w"] = result.it_power_w
    columns["people"] = result.people.sum(axis=1)
    for index, zone in enumerate(site.zones):
        columns[f"people.{zone.id}"] = result.people[:, index]
        columns[f"temperature_c.{zone.id}"] = building.zone_temperature_c[:, index]
        columns[f"heating_setpoint_c.{zone.id}"] = building.heating_setpoint_c[:, index]
        columns[f"cooling_setpoint_c.{zone.id}"] = building.cooling_setpoint_c[:, index]
    for index, unit in enumerate(site.air_handlers):
        columns[f"fan_on.{unit.id}"] = building.fan_on[:, index]
        columns[f"supply_temperature_c.{unit.id}"] = building.supply_temperature_c[:, index]
    return {name: np.asarray(values, dtype=np.float32) for name, values in columns.items()}


def steps_of(batch: Batch, tasks: Sequence[Task]) -> int:
    """Steps that all tasks take together: the size of the job."""
    total = 0
    for task in tasks:
        request, given = task.scenario.request, batch.drivers[task.scenario.request]
        if request.kind == "synthetic" and request.start is not None and request.end is not None:
            total += round((request.end - request.start).total_seconds() / given[0].step_s)
        else:
            total += given[task.draw.sample].steps
    return total
