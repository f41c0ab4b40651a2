"""A run of the twin: SimPy schedules what is discrete, the building advances lazily in between."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twin.building.model import BuildingBatch, BuildingModel, Sun, power_of
from twin.building.parameters import Parameters
from twin.building.program import compile_program
from twin.compute import ComputeModel
from twin.drivers import Drivers
from twin.health.finding import told_by_kind
from twin.policy import Policy
from twin.result import ComputeResult, RunResult
from twin.site import Site
from twin.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    import simpy

Array = NDArray[np.float64]
SETTLE_DAYS = 7


class Simulation:
    """The processes of one run and what they share."""

    def __init__(self, site: Site, drivers: Drivers, building: BuildingModel) -> None:
        self.site, self.drivers, self.building = site, drivers, building
        self.it_power_w = np.zeros(drivers.steps)
        self.compute: ComputeModel | None = None
        zones = site.zone_index()
        self._host_zone = [zones.get(host.zone or "", -1) for host in site.hosts]

    def serve(self, env: simpy.Environment, model: ComputeModel, seed_rows: Array) -> Generator[Any, Any, None]:
        """Events of the hosts: demand changes, and their power becomes heat of the zone that they stand in."""
        step_s, fine_s = self.drivers.step_s, self.drivers.vm_step_s
        share = fine_s / step_s
        for row in seed_rows:
            i = int(env.now // step_s)
            if i >= self.drivers.steps:
                return
            power = model.step(row).host_power_w
            self.it_power_w[i] += float(power.sum()) * share
            for host, zone in enumerate(self._host_zone):
                if zone >= 0:
                    self.building.other_w[i, zone] += power[host] * share
            yield env.timeout(fine_s)
            self.building.advance(int(env.now // step_s))


def _operate(
    env: simpy.Environment, building: BuildingModel | BuildingBatch, drivers: Drivers
) -> Generator[Any, Any, None]:
    """Bring the building up to date week by week; its controller lives in the kernel, so nothing else needs to."""
    while True:
        yield env.timeout(7 * SECONDS_PER_DAY)
        building.advance(min(int(env.now // drivers.step_s), drivers.steps))


def _run(env: simpy.Environment, processes: Sequence[Generator[Any, Any, None]], drivers: Drivers) -> None:
    """Run processes to the end of the drivers, and let go of what they hold: it would wait for the cycle collector."""
    for process in processes:
        env.process(process)
    env.run(until=drivers.steps * drivers.step_s)
    for process in processes:
        process.close()


def simulate(
    site: Site,
    parameters: Parameters,
    drivers: Drivers,
    policy: Policy,
    *,
    seed: int = 0,
    sun: Sun | None = None,
    hosts: ComputeResult | None = None,
) -> RunResult:
    """Run building and hosts under drivers and a policy.

    Args:
        site: the building.
        parameters: of building and plant, as calibrated.
        drivers: weather, people, loads and demand on the grid of the run.
        policy: already merged over the site's operation.
        seed: of the random choices of the compute policies.
        sun: irradiance of these drivers, when many runs share them.
        hosts: the hosts' run under the same drivers, policy and seed, when many runs share it (``hosts_of``); the
            building does not act on the hosts, so the result is the same.
    """
    import simpy

    program = compile_program(site, policy, drivers.start, drivers.steps, drivers.step_s)
    building = BuildingModel(site, parameters, drivers, program, sun=sun)
    simulation = Simulation(site, drivers, building)
    compute, demand = _compute(site, drivers, policy, seed) if hosts is None else (None, None)
    power, heat = _it_of(site, drivers, hosts) if compute is None else (simulation.it_power_w, None)
    simulation.it_power_w += power
    if heat is not None and hosts is None:
        building.other_w[:] += heat
    building.settle(int(SETTLE_DAYS * SECONDS_PER_DAY / drivers.step_s))
    if heat is not None and hosts is not None:
        building.other_w[:] += heat
    env = simpy.Environment()
    processes = [_operate(env, building, drivers)]
    if compute is not None and demand is not None:
        processes.append(simulation.serve(env, compute, demand))
    _run(env, processes, drivers)
    building.advance(drivers.steps)
    return RunResult(
        start=drivers.start,
        step_s=drivers.step_s,
        people=drivers.people,
        building=building.result(drivers),
        compute=hosts if compute is None else compute.result(),
        it_power_w=simulation.it_power_w,
        electricity_price_kwh=drivers.electricity_price_kwh,
        carbon_kg_kwh=drivers.carbon_kg_kwh,
        findings=_findings(site, policy, drivers),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run of those that share drivers."""

    parameters: Parameters
    policy: Policy
    """Already merged over the site's operation."""
    hosts: ComputeResult | None
    """The hosts' run under these drivers and this policy (``hosts_of``), None where no hosts are modelled."""


def simulate_together(site: Site, cases: Sequence[Case], drivers: Drivers, *, sun: Sun) -> list[RunResult]:
    """Up to eight runs at once, each with the bits that ``simulate`` gives, but without series of zones and units.

    Args:
        site: the building.
        cases: what differs between the runs.
        drivers: shared by all.
        sun: irradiance of these drivers.
    """
    import simpy

    programs = [compile_program(site, case.policy, drivers.start, drivers.steps, drivers.step_s) for case in cases]
    pairs = [(case.parameters, program) for case, program in zip(cases, programs, strict=True)]
    made = {
        id(hosts): _it_of(site, drivers, hosts) for hosts in {id(case.hosts): case.hosts for case in cases}.values()
    }
    of_cases = [made[id(case.hosts)] for case in cases]
    building = BuildingBatch(site, pairs, drivers, sun=sun)
    building.add_heat([heat if case.hosts is None else None for case, (_, heat) in zip(cases, of_cases, strict=True)])
    building.settle(int(SETTLE_DAYS * SECONDS_PER_DAY / drivers.step_s))
    building.add_heat([None if case.hosts is None else heat for case, (_, heat) in zip(cases, of_cases, strict=True)])
    env = simpy.Environment()
    _run(env, [_operate(env, building, drivers)], drivers)
    building.advance(drivers.steps)
    given = power_of(drivers)
    return [
        RunResult(
            start=drivers.start,
            step_s=drivers.step_s,
            people=drivers.people,
            building=building.result(run, given),
            compute=case.hosts,
            it_power_w=of_cases[run][0],
            electricity_price_kwh=drivers.electricity_price_kwh,
            carbon_kg_kwh=drivers.carbon_kg_kwh,
            findings=_findings(site, case.policy, drivers),
        )
        for run, case in enumerate(cases)
    ]


def _it_of(site: Site, drivers: Drivers, hosts: ComputeResult | None) -> tuple[Array, Array | None]:
    """Power of hosts that were run before, else as recorded, shape (steps,), and its heat in the zones. [W]

    The heat is of shape (steps, zones), None where there is none.
    """
    power = np.zeros(drivers.steps)
    if hosts is None:
        if drivers.host_power_w is None:
            return power, None
        recorded = np.nan_to_num(drivers.host_power_w)
        return np.asarray(recorded.sum(axis=1)), recorded
    heat, zones = np.zeros((drivers.steps, len(site.zones))), site.zone_index()
    share = hosts.step_s / drivers.step_s
    per_step = round(1.0 / share)
    steps = min(len(hosts.host_power_w) // per_step, drivers.steps)
    for part in range(per_step):
        given = hosts.host_power_w[part : steps * per_step : per_step]
        power[:steps] += given.sum(axis=1) * share
        for host, column in zip(site.hosts, given.T, strict=True):
            zone = zones.get(host.zone or "", -1)
            if zone >= 0:
                heat[:steps, zone] += column * share
    return power, heat


def hosts_of(site: Site, drivers: Drivers, policy: Policy, *, seed: int = 0) -> ComputeResult | None:
    """The hosts' run alone; None where no hosts are modelled. It depends on neither building nor parameters."""
    compute, demand = _compute(site, drivers, policy, seed)
    if compute is None or demand is None:
        return None
    for row in demand:
        compute.step(row)
    return compute.result()


def _compute(site: Site, drivers: Drivers, policy: Policy, seed: int) -> tuple[ComputeModel | None, Array | None]:
    if not site.hosts or drivers.vm_utilization is None:
        return None, None
    model = ComputeModel(site.hosts, site.host_types, site.vms, policy, seed=seed, step_s=drivers.vm_step_s)
    return model, drivers.vm_utilization


def _findings(site: Site, policy: Policy, drivers: Drivers) -> tuple[str, ...]:
    of_drivers = told_by_kind(drivers.findings)
    if policy.economizer == "differential_dry_bulb":
        without = [unit.id for unit in site.air_handlers if not unit.economizer]
        if without:
            message = f"economizer: {', '.join(without)} has none installed; the policy changes nothing there"
            return (message, *of_drivers)
    return of_drivers
