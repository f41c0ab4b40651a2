"""What a candidate does in the twin, against the site as it operates: same drivers, same seeds, whole ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.experience import strangers
from optimizer.goals import STRANGERS, Goal
from optimizer.packing import repacked
from scenarios.batch import Batch, bundles_of, in_order, run_bundle, tasks_of
from scenarios.expand import DriverRequest, Scenario, Tree, World
from scenarios.runner import Progress, Twin
from scenarios.summary import ScenarioRuns, delta_block, kpi_block
from twin.compute import simulate_compute
from twin.drivers import Drivers
from twin.health.finding import Finding
from twin.kpi import KPIS, kpis
from twin.plan import PointId
from twin.policy import Policy
from twin.site import Site
from twin.units import SECONDS_PER_DAY

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """KPIs of baseline and candidate and their difference, each with its 80 % interval, as in ``summary.json``."""

    baseline: Tree
    candidate: Tree
    delta: Tree
    members: tuple[tuple[Mapping[str, float], Mapping[str, float]], ...] = ()
    """KPIs of baseline and candidate by each calibration alone, over all samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A twin with the drivers that lie ahead; evaluates policies in it."""

    twin: Twin
    drivers: tuple[Drivers, ...]
    """Samples of what lies ahead; the first is the one that the search uses."""
    busiest: Array
    """Demand of each VM that a packing must hold, as a share of its own CPU, shape (VMs,)."""
    seen: Mapping[PointId, tuple[float, float]]
    """Values that calibration has seen, by program point; what is absent counts as never seen."""
    seeds: tuple[int, ...] = (0,)
    findings: tuple[Finding, ...] = ()
    """What must be known of telemetry and forecast that a plan rests on."""
    notes: tuple[str, ...] = ()
    """What was found about the hosts that differs from the site file, for people."""
    consolidates: bool = True
    """Whether it is known where all VMs stand and something can switch the hosts, so that packing pays."""
    _machines: dict[object, tuple[Site, Drivers, Mapping[str, float]]] = field(default_factory=dict, repr=False)

    @property
    def weeks(self) -> float:
        """Length of the period. [weeks]"""
        return self.drivers[0].steps * self.drivers[0].step_s / (7 * SECONDS_PER_DAY)

    def within(self, goal: Goal) -> Rehearsal:
        """The same rehearsal with the temperature limit that a goal asks for in place of the comfort band's."""
        if goal.warmest_c is None:
            return self
        site = self.twin.site
        band = replace(site.comfort, max_c=goal.warmest_c, min_c=min(site.comfort.min_c, goal.warmest_c))
        return replace(self, twin=replace(self.twin, site=replace(site, comfort=band)), _machines={})

    def site_of(self, policy: Policy) -> Site:
        """The site as the policy has it stand: VMs packed where idle hosts are powered down."""
        site = self.twin.site
        if not policy.power_down_idle_hosts or not site.hosts:
            return site
        return repacked(site, self.busiest, policy.headroom or 0.0)

    def quick(self, policy: Policy) -> Mapping[str, float]:
        """KPIs of one run (best parameters, first sample), and how many points leave what telemetry has shown."""
        site, drivers, machines = self._with_machines(policy)
        merged = site.operation.merge(policy)
        result = self.twin.simulate(site, self.twin.parameters[0], drivers, merged, seed=self.seeds[0])
        return {**machines, **kpis(result, site), STRANGERS: float(len(strangers(site, policy, self.seen)))}

    def _with_machines(self, policy: Policy) -> tuple[Site, Drivers, Mapping[str, float]]:
        """Site, drivers with the hosts' power in place of VM demand, and the KPIs of the hosts.

        Hosts do not depend on the building's policy, so each packing is simulated once and its heat reused.
        """
        key = (policy.power_down_idle_hosts, policy.headroom, policy.consolidation)
        if key not in self._machines:
            self._machines[key] = _machine_run(self.site_of(policy), self.drivers[0], policy, self.seeds[0])
        return self._machines[key]

    def effect(self, policy: Policy, progress: Progress | None = None) -> Effect:
        """Paired runs of the candidate and of the site as it operates over the whole ensemble and all samples."""
        runs = [self._runs("baseline", Policy(), progress), self._runs("candidate", policy, progress)]
        structural = self.twin.structural
        return Effect(
            baseline=kpi_block(runs[0], structural),
            candidate=kpi_block(runs[1], structural),
            delta=delta_block(runs[1], runs[0], structural),
            members=tuple(zip(_by_member(runs[0]), _by_member(runs[1]), strict=True)),
        )

    def _runs(self, name: str, policy: Policy, progress: Progress | None) -> ScenarioRuns:
        request = DriverRequest(
            kind="forecast", start=self.drivers[0].start, end=self.drivers[0].end, samples=len(self.drivers)
        )
        scenario = Scenario(
            index=0,
            name=name,
            request=request,
            world=World(),
            policy=policy,
            policy_text={},
            seeds=self.seeds,
            baseline=None,
        )
        batch = Batch(
            site=self.site_of(policy),
            parameters=self.twin.parameters,
            drivers={request: self.drivers},
            simulate=self.twin.simulate,
            simulate_eight=self.twin.simulate_eight,
        )
        tasks = [replace(task, keep_series=False) for task in tasks_of(scenario, len(batch.parameters))]
        rows = []
        for row in in_order(run_bundle(batch, bundle) for bundle in bundles_of(batch, tasks)):
            rows.append(row)
            if progress is not None:
                progress(len(rows), len(tasks), name)
        return ScenarioRuns(
            draws=tuple(row.draw for row in rows),
            kpis=np.array([row.kpis for row in rows]),
            daily=np.array([row.daily for row in rows]),
            findings=(),
        )


def _by_member(runs: ScenarioRuns) -> list[Mapping[str, float]]:
    """KPIs of each member of the ensemble, means over samples and seeds."""
    of = np.array([draw.member for draw in runs.draws])
    return [
        dict(zip(KPIS, runs.kpis[of == member].mean(axis=0).tolist(), strict=True))
        for member in sorted(set(of.tolist()))
    ]


def _machine_run(site: Site, drivers: Drivers, policy: Policy, seed: int) -> tuple[Site, Drivers, Mapping[str, float]]:
    if drivers.vm_utilization is None or not site.hosts:
        return site, drivers, {}
    merged = site.operation.merge(policy)
    run = simulate_compute(site, drivers.vm_utilization, merged, step_s=drivers.vm_step_s, seed=seed)
    each = round(drivers.step_s / drivers.vm_step_s)
    power = run.host_power_w[: drivers.steps * each].reshape(-1, each, len(site.hosts)).mean(axis=1)
    heat = np.zeros((drivers.steps, len(site.zones)))
    zones = site.zone_index()
    for host, column in zip(site.hosts, power.T, strict=True):
        if host.zone is not None and host.zone in zones:
            heat[: len(column), zones[host.zone]] += column
    measures = {"slav": run.slav, "latency_p95_ms": run.latency_p95_ms}
    return site, replace(drivers, vm_utilization=None, host_power_w=heat), measures
