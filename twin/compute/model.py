"""The compute twin, step by step: demand in; placement, power, migrations and latency out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twin.compute.consolidator import Consolidator, View, fill_limit
from twin.compute.contention import Account, Load
from twin.compute.copies import Copies
from twin.compute.fleet import Array, Fleet, Index, fleet
from twin.compute.network import copy_mb_s
from twin.compute.optimal import PackingTask, best_packing
from twin.compute.packing import Packing, initial_placement
from twin.compute.power_states import PowerStates
from twin.compute.rules import Rules, rules_of
from twin.errors import BadInputError, RefusedError
from twin.policy import Policy
from twin.result import ComputeResult, Migration
from twin.site import Host, HostType, NetworkLink, Site, Vm
from twin.streams import stream
from twin.units import SECONDS_PER_DAY

HISTORY_STEPS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeStep:
    """What happened in one step; means over the step."""

    host_power_w: Array
    host_on: Array
    host_utilization: Array
    placement: Index
    migrations: tuple[Migration, ...]
    """Live migrations that ended in this step."""
    latency_ms: float


class ComputeModel:
    """Hosts and VMs in time. Call ``step`` once per compute step with the demand of that step.

    A decision at the start of a step knows the demand of the steps before, not of the one that begins.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        types: Sequence[HostType],
        vms: Sequence[Vm],
        policy: Policy,
        *,
        seed: int = 0,
        step_s: float = 300.0,
        rules: Rules | None = None,
        links: Sequence[NetworkLink] = (),
    ) -> None:
        self.fleet: Fleet = fleet(hosts, types, vms)
        self.rules = rules_of(policy) if rules is None else rules
        self.step_s, self.now_s = step_s, 0.0
        self._rng = stream(seed, "vm-selection")
        count = len(self.fleet.vm_ids)
        self.host_of = initial_placement(self.fleet, self.rules.memory_overcommit)
        self.states = PowerStates(self.fleet, self.rules)
        self.copies = Copies(len(self.fleet.host_ids), copy_mb_s(self.fleet, links))
        self._rest_until_s = np.full(count, -np.inf)
        self._moves_today: Index = np.zeros(count, dtype=np.int64)
        self._day = 0
        self._history: deque[Array] = deque(maxlen=max(HISTORY_STEPS, round(self.rules.window_s / step_s)))
        self._account = Account(self.fleet)
        self._steps: list[ComputeStep] = []
        self._decide_at_s = self._plan_at_s = 0.0
        self._goal: Index | None = None

    def step(self, utilization: Array, expected: Array | None = None) -> ComputeStep:
        """Advance one step.

        Args:
            utilization: demand of each VM in this step as a share of its own CPU, shape (VMs,).
            expected: highest demand forecast for the next hours as a share of the VM's CPU, shape (VMs,); None: the
                highest of the past window.
        """
        if utilization.shape != self.host_of.shape:
            raise BadInputError(
                f"compute step: demand has shape {utilization.shape}, the site has {len(self.host_of)} VMs; "
                "give one value for each VM"
            )
        demand = np.where(self.host_of >= 0, np.maximum(utilization, 0.0) * self.fleet.vm_mips, 0.0)
        if int(self.now_s // SECONDS_PER_DAY) > self._day:
            self._day = int(self.now_s // SECONDS_PER_DAY)
            self._moves_today[:] = 0
        if self._history and self.now_s >= self._decide_at_s:
            self._decide_at_s = self.now_s + self.rules.interval_s
            self._decide(expected)
        ended = self._run_until(self.now_s + self.step_s, demand)
        self._history.append(demand)
        means = self._account.take(self.step_s)
        done = ComputeStep(
            host_power_w=means.power_w,
            host_on=means.on,
            host_utilization=means.utilization,
            placement=self.host_of.copy(),
            migrations=tuple(ended),
            latency_ms=means.latency_ms,
        )
        self._steps.append(done)
        return done

    def result(self) -> ComputeResult:
        """Series and measures of all steps so far."""
        steps, totals = self._steps, self._account.totals()
        hosts, vms = len(self.fleet.host_ids), len(self.fleet.vm_ids)

        def rows(name: str, width: int) -> np.ndarray:
            return np.array([getattr(step, name) for step in steps]).reshape(len(steps), width)

        return ComputeResult(
            step_s=self.step_s,
            host_power_w=rows("host_power_w", hosts),
            host_on=rows("host_on", hosts),
            host_utilization=rows("host_utilization", hosts),
            placement=rows("placement", vms).astype(np.int64),
            migrations=tuple(migration for step in steps for migration in step.migrations),
            slatah=totals.slatah,
            pdm=totals.pdm,
            latency_p95_ms=totals.latency_p95_ms,
            latency_ms=np.array([step.latency_ms for step in steps]),
        )

    def memory_mb(self) -> Array:
        """Memory taken on each host: VMs that stand there and room for those on their way, shape (hosts,). [MB]"""
        here = self.host_of >= 0
        hosts = len(self.fleet.host_ids)
        taken = np.zeros(hosts) + np.bincount(self.host_of[here], weights=self.fleet.vm_ram_mb[here], minlength=hosts)
        for copy in self.copies.under_way:
            taken[copy.target] += self.fleet.vm_ram_mb[copy.vm]
        return taken

    def stop_vm(self, vm: str) -> None:
        """Stop a VM: its memory is free at once, a copy of it is given up."""
        index = self._vm(vm)
        self.copies.cancel(index)
        self.host_of[index] = -1

    def start_vm(self, vm: str, host: str | None = None) -> None:
        """Start a stopped VM on a host, or where power rises least.

        Raises:
            RefusedError: it runs already, or fits nowhere.
        """
        index = self._vm(vm)
        if self.host_of[index] >= 0:
            raise RefusedError(f"VM {vm} runs already on {self.fleet.host_ids[self.host_of[index]]}; stop it first")
        allowed = self.states.awake.copy()
        if host is not None:
            allowed &= np.array([name == host for name in self.fleet.host_ids])
        target = self._room(index, allowed)
        if target < 0:
            where = "any host that is on" if host is None else f"host {host}"
            raise RefusedError(f"VM {vm} with {self.fleet.vm_ram_mb[index]:g} MB does not fit on {where}; free memory")
        self.host_of[index] = target

    def resize_vm(self, vm: str, *, mips: float, ram_mb: float) -> None:
        """Give a VM other CPU and memory where it stands.

        Raises:
            RefusedError: its host lacks the memory.
        """
        index = self._vm(vm)
        host, more = int(self.host_of[index]), ram_mb - float(self.fleet.vm_ram_mb[index])
        free = float(self.fleet.ram_mb[host] * self.rules.memory_overcommit - self.memory_mb()[host])
        if host >= 0 and more > free:
            raise RefusedError(f"VM {vm} asks for {more:g} MB more, {self.fleet.host_ids[host]} has {free:g} MB free")
        vm_mips, vm_ram_mb = self.fleet.vm_mips.copy(), self.fleet.vm_ram_mb.copy()
        vm_mips[index], vm_ram_mb[index] = mips, ram_mb
        self.fleet = replace(self.fleet, vm_mips=vm_mips, vm_ram_mb=vm_ram_mb)

    def _vm(self, name: str) -> int:
        if name not in self.fleet.vm_ids:
            raise BadInputError(f"VM {name!r} is not in the site; use one of {', '.join(self.fleet.vm_ids[:8])} …")
        return self.fleet.vm_ids.index(name)

    def _room(self, vm: int, allowed: NDArray[np.bool_]) -> int:
        packing = Packing(self.fleet, self._bound(), np.zeros(len(self.fleet.vm_ids)), self.rules.memory_overcommit)
        packing.hold(self.host_of)
        return packing.best(vm, allowed, 1.0)

    def _bound(self) -> Index:
        """Host of each VM once all copies are over."""
        bound = self.host_of.copy()
        for copy in self.copies.under_way:
            bound[copy.vm] = copy.target
        return bound

    def _decide(self, expected: Array | None) -> None:
        bound = self._bound()
        if self.rules.power_down:
            used = np.bincount(self.host_of[self.host_of >= 0], minlength=len(self.states.awake)) > 0
            used |= np.bincount(bound[bound >= 0], minlength=len(used)) > 0
            self.states.sleep_idle(used, self.now_s)
        if not self.rules.consolidate:
            return
        decision = Consolidator(self.fleet, self.rules, self._view(bound, expected), self._rng).decide()
        for host in decision.wake:
            self.states.wake(host, self.now_s)
        for vm, target in decision.moves:
            busy = float(self._history[-1][vm] / self.fleet.vm_mips[vm])
            self.copies.start(self.fleet, vm, int(self.host_of[vm]), target, busy=busy, now_s=self.now_s)
            self._rest_until_s[vm] = self.now_s + self.rules.dwell_s
            self._moves_today[vm] += 1

    def _view(self, bound: Index, expected: Array | None) -> View:
        history = np.array(self._history)
        recent = history[-max(1, round(self.rules.window_s / self.step_s)) :].max(axis=0)
        ahead = recent if expected is None else np.maximum(expected * self.fleet.vm_mips, history[-1])
        movable = ~self.fleet.pinned & (bound >= 0) & (bound == self.host_of)
        movable &= (self.now_s >= self._rest_until_s) & (self._moves_today < self.rules.moves_per_vm_day)
        if self.rules.placement == "optimal" and self.now_s >= self._plan_at_s:
            self._plan_at_s = self.now_s + self.rules.plan_s
            self._goal = self._best(bound, ahead)
        return View(
            host_of=bound,
            goal=self._goal,
            standing=self.host_of.copy(),
            awake=self.states.awake.copy(),
            waking=self.states.waking,
            movable=movable,
            history_mips=history,
            expected_mips=ahead,
        )

    def _best(self, bound: Index, ahead: Array) -> Index | None:
        fixed = self.fleet.pinned | (bound != self.host_of)
        ram_mb = self.fleet.ram_mb * self.rules.memory_overcommit
        task = PackingTask(
            fleet=self.fleet,
            host_of=bound,
            demand_mips=ahead,
            limit=fill_limit(self.rules),
            ram_mb=ram_mb,
            fixed=fixed,
        )
        best = best_packing(task)
        return None if best is None else best.host_of

    def _run_until(self, end_s: float, demand: Array) -> list[Migration]:
        ended = []
        while self.now_s < end_s:
            ended += self._finish_copies()
            self.states.settle(self.now_s)
            times = [*self.copies.times(), *self.states.times()]
            until = min([end_s, *(time for time in times if time > self.now_s)])
            self._account.add(self._load(demand), until - self.now_s)
            self.now_s = until
        return ended + self._finish_copies()

    def _load(self, demand: Array) -> Load:
        copying, sources, targets = self.copies.running(self.now_s)
        return Load(
            demand_mips=demand,
            host_of=self.host_of,
            vm_ram_mb=self.fleet.vm_ram_mb,
            awake=self.states.awake,
            waking=self.states.waking,
            copying=copying,
            sources=sources,
            targets=targets,
        )

    def _finish_copies(self) -> list[Migration]:
        over = self.copies.finish(self.now_s)
        for copy in over:
            if copy.converged:
                self.host_of[copy.vm] = copy.target
                self._account.pause(copy.vm, copy.downtime_s)
            else:
                self._rest_until_s[copy.vm] = self.now_s + SECONDS_PER_DAY
        return [copy.record(self.fleet) for copy in over]


def simulate_compute(
    site: Site, utilization: Array, policy: Policy, *, step_s: float = 300.0, seed: int = 0, rules: Rules | None = None
) -> ComputeResult:
    """Run a whole series of demand through the default mode.

    Args:
        site: hosts, types and VMs.
        utilization: demand of each VM as a share of its own CPU, shape (steps, VMs).
        policy: already merged over the site's operation.
        step_s: length of a step. [s]
        seed: of the run.
        rules: limits beyond those that a policy can name; None: by the policy.
    """
    model = ComputeModel(
        site.hosts, site.host_types, site.vms, policy, seed=seed, step_s=step_s, rules=rules, links=site.links
    )
    for row in utilization:
        model.step(row)
    return model.result()
