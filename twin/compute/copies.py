"""Live migrations under way: when they start, what they hold, how they end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twin.compute.fleet import Array, Fleet, Index
from twin.compute.migration import pre_copy
from twin.result import Migration

IDLE_DIRTY_SHARE = 0.1
"""Share of the full dirty rate that an idle VM still has, our assumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One live migration."""

    vm: int
    source: int
    target: int
    start_s: float
    end_s: float
    downtime_s: float
    converged: bool

    def record(self, fleet: Fleet) -> Migration:
        """For the result."""
        return Migration(
            at_s=self.start_s,
            vm=fleet.vm_ids[self.vm],
            source=fleet.host_ids[self.source],
            target=fleet.host_ids[self.target],
            duration_s=self.end_s - self.start_s,
            downtime_s=self.downtime_s,
            completed=self.converged,
        )


class Copies:
    """Queue of copies: one at a time on the link of each host, in the order of the decisions."""

    def __init__(self, hosts: int, path_mb_s: Array) -> None:
        self._path_mb_s = path_mb_s
        self._link_free_s = np.zeros(hosts)
        self.under_way: list[Copy] = []

    def start(self, fleet: Fleet, vm: int, source: int, target: int, *, busy: float, now_s: float) -> Copy:
        """Queue a copy.

        Args:
            fleet: facts.
            vm: what moves.
            source: from here.
            target: to there.
            busy: CPU utilisation of the VM, which drives its dirty rate.
            now_s: time of the decision. [s]
        """
        begin = max(now_s, self._link_free_s[source], self._link_free_s[target])
        dirty = float(fleet.dirty_mb_s[vm]) * (IDLE_DIRTY_SHARE + (1.0 - IDLE_DIRTY_SHARE) * min(busy, 1.0))
        cost = pre_copy(float(fleet.vm_ram_mb[vm]), dirty, float(self._path_mb_s[source, target]))
        copy = Copy(
            vm=vm,
            source=source,
            target=target,
            start_s=begin,
            end_s=begin + cost.duration_s,
            downtime_s=cost.downtime_s,
            converged=cost.converged,
        )
        self._link_free_s[[source, target]] = copy.end_s
        self.under_way.append(copy)
        return copy

    def finish(self, now_s: float) -> list[Copy]:
        """Take out what is over by now, in the order of the decisions."""
        over = [copy for copy in self.under_way if copy.end_s <= now_s]
        if over:
            self.under_way = [copy for copy in self.under_way if copy.end_s > now_s]
        return over

    def cancel(self, vm: int) -> None:
        """Forget the copy of a VM that stops."""
        self.under_way = [copy for copy in self.under_way if copy.vm != vm]

    def running(self, now_s: float) -> tuple[Index, Index, Index]:
        """VMs, sources and targets of copies that have begun."""
        begun = [copy for copy in self.under_way if copy.start_s <= now_s]
        columns = ([c.vm for c in begun], [c.source for c in begun], [c.target for c in begun])
        vms, sources, targets = (np.array(column, dtype=np.int64) for column in columns)
        return vms, sources, targets

    def times(self) -> list[float]:
        """Moments at which something changes."""
        return [copy.start_s for copy in self.under_way] + [copy.end_s for copy in self.under_way]
