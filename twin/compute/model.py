"""The compute twin, step by step: demand in; placement, power, migrations and latency out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twin.compute.consolidator import Consolidator, View
from twin.compute.contention import Account, Load
from twin.compute.fleet import Array, Fleet, Index, fleet
from twin.compute.migration import pre_copy
from twin.compute.packing import initial_placement
from twin.compute.rules import Rules, rules_of
from twin.errors import BadInputError
from twin.policy import Policy
from twin.result import ComputeResult, Migration
from twin.site import Host, HostType, Site, Vm
from twin.streams import stream
from twin.units import SECONDS_PER_DAY

HISTORY_STEPS = 30
IDLE_DIRTY_SHARE = 0.1
"""Share of the full dirty rate that an idle VM still has, our assumption."""


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


@dataclass(slots=True)
class _Copy:
    vm: int
    source: int
    target: int
    start_s: float
    end_s: float
    downtime_s: float
    converged: bool


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
    ) -> None:
        self.fleet: Fleet = fleet(hosts, types, vms)
        self.rules = rules_of(policy) if rules is None else rules
        self.step_s, self.now_s = step_s, 0.0
        self._rng = stream(seed, "vm-selection")
        vm_count, host_count = len(self.fleet.vm_ids), len(self.fleet.host_ids)
        self.host_of = initial_placement(self.fleet, self.rules.memory_overcommit)
        self.awake = np.ones(host_count, dtype=bool)
        self._wake_end_s = np.full(host_count, np.inf)
        self._on_since_s = np.full(host_count, -np.inf)
        self._busy_until_s = np.zeros(host_count)
        self._link_free_s = np.zeros(host_count)
        self._last_move_s = np.full(vm_count, -np.inf)
        self._moves_today: Index = np.zeros(vm_count, dtype=np.int64)
        steps = max(HISTORY_STEPS, round(self.rules.window_s / step_s))
        self._history: deque[Array] = deque(maxlen=steps)
        self._copies: list[_Copy] = []
        self._account = Account(self.fleet)
        self._steps: list[ComputeStep] = []
        self._decide_at_s = 0.0

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
        demand = np.maximum(utilization, 0.0) * self.fleet.vm_mips
        if self.now_s % SECONDS_PER_DAY < self.step_s:
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

    # ---- decisions

    def _decide(self, expected: Array | None) -> None:
        if self.rules.power_down:
            self._sleep_idle_hosts()
        if not self.rules.consolidate:
            return
        view = self._view(expected)
        decision = Consolidator(self.fleet, self.rules, view, self._rng).decide()
        for host in decision.wake:
            self._wake_end_s[host] = self.now_s + self.fleet.wake_s[host]
        for vm, target in decision.moves:
            self._start(vm, target)

    def _view(self, expected: Array | None) -> View:
        history = np.array(self._history)
        recent = history[-max(1, round(self.rules.window_s / self.step_s)) :].max(axis=0)
        ahead = recent if expected is None else np.maximum(expected * self.fleet.vm_mips, history[-1])
        bound = self.host_of.copy()
        movable = ~self.fleet.pinned & (bound >= 0)
        movable &= self.now_s - self._last_move_s >= self.rules.dwell_s
        movable &= self._moves_today < self.rules.moves_per_vm_day
        for copy in self._copies:
            bound[copy.vm] = copy.target
            movable[copy.vm] = False
        return View(
            host_of=bound,
            awake=self.awake.copy(),
            waking=np.isfinite(self._wake_end_s),
            movable=movable,
            history_mips=history,
            expected_mips=ahead,
        )

    def _start(self, vm: int, target: int) -> None:
        source = int(self.host_of[vm])
        begin = max(self.now_s, self._link_free_s[source], self._link_free_s[target])
        link = min(self.fleet.link_mb_s[source], self.fleet.link_mb_s[target])
        busy = float(self._history[-1][vm] / self.fleet.vm_mips[vm])
        dirty = self.fleet.dirty_mb_s[vm] * (IDLE_DIRTY_SHARE + (1.0 - IDLE_DIRTY_SHARE) * min(busy, 1.0))
        copy = pre_copy(float(self.fleet.vm_ram_mb[vm]), float(dirty), float(link))
        end = begin + copy.duration_s
        self._link_free_s[[source, target]] = end
        self._last_move_s[vm] = self.now_s
        self._moves_today[vm] += 1
        self._copies.append(_Copy(vm, source, target, begin, end, copy.downtime_s, copy.converged))

    def _sleep_idle_hosts(self) -> None:
        used = np.bincount(self.host_of[self.host_of >= 0], minlength=len(self.awake)) > 0
        for copy in self._copies:
            used[[copy.source, copy.target]] = True
        self._busy_until_s[used] = self.now_s
        rested = self.now_s - self._busy_until_s >= self.rules.idle_s
        rested &= self.now_s - self._on_since_s >= self.rules.awake_s
        candidates = np.flatnonzero(self.awake & ~used & rested)
        empty = int((self.awake & ~used).sum())
        order = candidates[np.argsort(-self.fleet.curve_w[candidates, 0], kind="stable")]
        self.awake[order[: max(0, empty - self.rules.spare_hosts)]] = False

    # ---- time

    def _run_until(self, end_s: float, demand: Array) -> list[Migration]:
        ended = []
        while self.now_s < end_s:
            ended += self._finish_copies()
            self._finish_wakes()
            times = [copy.end_s for copy in self._copies] + [copy.start_s for copy in self._copies]
            times += list(self._wake_end_s[np.isfinite(self._wake_end_s)])
            until = min([end_s, *(time for time in times if time > self.now_s)])
            self._account.add(self._load(demand), until - self.now_s)
            self.now_s = until
        return ended + self._finish_copies()

    def _load(self, demand: Array) -> Load:
        running = [copy for copy in self._copies if copy.start_s <= self.now_s]
        return Load(
            demand_mips=demand,
            host_of=self.host_of,
            awake=self.awake,
            waking=np.isfinite(self._wake_end_s),
            copying=np.array([copy.vm for copy in running], dtype=np.int64),
            sources=np.array([copy.source for copy in running], dtype=np.int64),
            targets=np.array([copy.target for copy in running], dtype=np.int64),
        )

    def _finish_copies(self) -> list[Migration]:
        over = [copy for copy in self._copies if copy.end_s <= self.now_s]
        self._copies = [copy for copy in self._copies if copy.end_s > self.now_s]
        for copy in over:
            if copy.converged:
                self.host_of[copy.vm] = copy.target
                self._account.pause(copy.vm, copy.downtime_s)
        return [self._migration(copy) for copy in over]

    def _migration(self, copy: _Copy) -> Migration:
        ids = self.fleet.host_ids
        return Migration(
            at_s=copy.start_s,
            vm=self.fleet.vm_ids[copy.vm],
            source=ids[copy.source],
            target=ids[copy.target],
            duration_s=copy.end_s - copy.start_s,
            downtime_s=copy.downtime_s,
            completed=copy.converged,
        )

    def _finish_wakes(self) -> None:
        up = self._wake_end_s <= self.now_s
        self.awake[up] = True
        self._on_since_s[up] = self.now_s
        self._busy_until_s[up] = self.now_s
        self._wake_end_s[up] = np.inf


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
    model = ComputeModel(site.hosts, site.host_types, site.vms, policy, seed=seed, step_s=step_s, rules=rules)
    for row in utilization:
        model.step(row)
    return model.result()
