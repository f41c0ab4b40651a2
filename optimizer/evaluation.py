"""What a candidate does in the twin, against the site as it operates: same drivers, same seeds, whole ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.packing import repacked
from scenarios.batch import Batch, run_task, tasks_of
from scenarios.expand import DriverRequest, Scenario, Tree, World
from scenarios.runner import Progress, Twin
from scenarios.summary import ScenarioRuns, delta_block, kpi_block
from twin.drivers import Drivers
from twin.kpi import kpis
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A twin with the drivers that lie ahead; evaluates policies in it."""

    twin: Twin
    drivers: tuple[Drivers, ...]
    """Samples of what lies ahead; the first is the one that the search uses."""
    busiest: Array
    """Demand of each VM that a packing must hold, as a share of its own CPU, shape (VMs,)."""
    seeds: tuple[int, ...] = (0,)

    @property
    def weeks(self) -> float:
        """Length of the period. [weeks]"""
        return self.drivers[0].steps * self.drivers[0].step_s / (7 * SECONDS_PER_DAY)

    def site_of(self, policy: Policy) -> Site:
        """The site as the policy has it stand: VMs packed where idle hosts are powered down."""
        site = self.twin.site
        if not policy.power_down_idle_hosts or not site.hosts:
            return site
        return repacked(site, self.busiest, policy.headroom or 0.0)

    def quick(self, policy: Policy) -> Mapping[str, float]:
        """KPIs of one run: best parameters, first sample."""
        site = self.site_of(policy)
        merged = site.operation.merge(policy)
        return kpis(
            self.twin.simulate(site, self.twin.parameters[0], self.drivers[0], merged, seed=self.seeds[0]), site
        )

    def effect(self, policy: Policy, progress: Progress | None = None) -> Effect:
        """Paired runs of the candidate and of the site as it operates over the whole ensemble and all samples."""
        runs = [self._runs("baseline", Policy(), progress), self._runs("candidate", policy, progress)]
        structural = self.twin.structural
        return Effect(
            baseline=kpi_block(runs[0], structural),
            candidate=kpi_block(runs[1], structural),
            delta=delta_block(runs[1], runs[0], structural),
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
        )
        tasks = [replace(task, keep_series=False) for task in tasks_of(scenario, len(batch.parameters))]
        rows = []
        for task in tasks:
            rows.append(run_task(batch, task))
            if progress is not None:
                progress(len(rows), len(tasks), name)
        return ScenarioRuns(
            draws=tuple(row.draw for row in rows),
            kpis=np.array([row.kpis for row in rows]),
            daily=np.array([row.daily for row in rows]),
            findings=(),
        )
