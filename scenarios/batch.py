"""A batch of runs as plain data, and one run of it: what a worker process does, without files or clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scenarios.expand import DriverRequest, Scenario, World
from scenarios.worlds import changed, synthetic
from twin.drivers import Drivers
from twin.kpi import KPIS, kpis
from twin.policy import Policy
from twin.result import Migration, RunResult
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


class Ensemble(Protocol):
    """Runs the twin for several parameters, policies and seeds at once; importable by name in a worker process."""

    def __call__(self, site: Site, runs: Sequence[tuple[object, Policy, int]], drivers: Drivers) -> Sequence[RunResult]:
        """As the ``Simulator`` for each of at most ``TOGETHER`` runs, without series of zones and units."""
        ...


TOGETHER = 8


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
    simulate_eight: Ensemble | None = None
    """Runs that share their drivers, at once; None: each alone."""


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
    migrations: tuple[Migration, ...] = ()
    """Of the run whose series are kept."""


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
    return _row(batch, task, result)


def _row(batch: Batch, task: Task, result: RunResult) -> RunRow:
    values = kpis(result, batch.site)
    return RunRow(
        draw=task.draw,
        kpis=np.array([values.get(name, np.nan) for name in KPIS]),
        daily=daily_sums(result, batch.site),
        findings=result.findings,
        series=series_of(result, batch.site) if task.keep_series else None,
        migrations=result.compute.migrations if task.keep_series and result.compute is not None else (),
    )


Bundle = Sequence[tuple[int, Task]]
"""Tasks that one process runs at once, with their positions among all."""


def bundles_of(batch: Batch, tasks: Sequence[Task]) -> Iterator[Bundle]:
    """Tasks in bundles that share their drivers; a task that keeps its series stands alone."""
    waiting: dict[object, list[tuple[int, Task]]] = {}
    for position, task in enumerate(tasks):
        if batch.simulate_eight is None or task.keep_series:
            yield [(position, task)]
            continue
        scenario, draw = task.scenario, task.draw
        bundle = waiting.setdefault((scenario.request, scenario.world, draw.seed, draw.sample), [])
        bundle.append((position, task))
        if len(bundle) == TOGETHER:
            yield waiting.pop((scenario.request, scenario.world, draw.seed, draw.sample))
    yield from waiting.values()


def run_bundle(batch: Batch, bundle: Bundle) -> list[tuple[int, RunRow]]:
    """The runs of a bundle with what is kept of each, with their positions."""
    if batch.simulate_eight is None or len(bundle) < FEWEST_TOGETHER:
        return [(position, run_task(batch, task)) for position, task in bundle]
    first = bundle[0][1]
    drivers = drivers_of(batch, first.scenario, first.draw)
    runs = [
        (batch.parameters[task.draw.member], batch.site.operation.merge(task.scenario.policy), task.draw.seed)
        for _, task in bundle
    ]
    results = batch.simulate_eight(batch.site, runs, drivers)
    return [(position, _row(batch, task, result)) for (position, task), result in zip(bundle, results, strict=True)]


def in_order(done: Iterable[list[tuple[int, RunRow]]]) -> Iterator[RunRow]:
    """Rows of bundles in the order of their tasks; one that comes early waits."""
    early: dict[int, RunRow] = {}
    following = 0
    for rows in done:
        early.update(rows)
        while following in early:
            yield early.pop(following)
            following += 1


FEWEST_TOGETHER = 4
"""Eight at once take as long as three alone: fewer runs are done one by one."""


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
    edges = np.arange(0, steps, round(SECONDS_PER_DAY / result.step_s))
    summed = np.zeros((len(WEIGHTS), len(USES), len(edges)))
    tariff, to_kwh = site.tariff, result.step_s / JOULES_PER_KWH
    powers = {**result.building.power_w, EndUse.IT: result.it_power_w}
    if EndUse.IT in result.building.power_w:
        powers[EndUse.IT] = result.building.power_w[EndUse.IT] + result.it_power_w
    for use, power in powers.items():
        gas = use is EndUse.HEATING_GAS
        price = tariff.gas_per_kwh if gas else result.electricity_price_kwh
        carbon = tariff.gas_carbon_kg_per_kwh if gas else result.carbon_kg_kwh
        energy = power * to_kwh
        for weight, weighed in enumerate((energy, energy * price, energy * carbon)):
            summed[weight, USES.index(use)] = np.add.reduceat(weighed, edges)
    return summed


def series_of(result: RunResult, site: Site) -> dict[str, NDArray[np.float32]]:
    """Series of a run by column name: power by end use, people, zones, units, hosts that are on."""
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
    columns |= {f"host_on.{host.id}": on for host, on in zip(site.hosts, hosts_on(result), strict=False)}
    return {name: np.asarray(values, dtype=np.float32) for name, values in columns.items()}


def hosts_on(result: RunResult) -> Array:
    """Share of each step of the run that a host is on, shape (hosts, steps); no rows for a site without hosts."""
    steps, compute = len(result.it_power_w), result.compute
    if compute is None:
        return np.zeros((0, steps))
    middle_s = (np.arange(compute.host_on.shape[0]) + 0.5) * compute.step_s
    place = np.minimum((middle_s / result.step_s).astype(np.int64), steps - 1)
    summed = np.zeros((steps, compute.host_on.shape[1]))
    np.add.at(summed, place, compute.host_on)
    counted = np.maximum(np.bincount(place, minlength=steps), 1)
    shares: Array = (summed / counted[:, None]).T
    return shares


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
