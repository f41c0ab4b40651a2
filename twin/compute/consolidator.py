"""Decides moves and wake-ups: relieve hosts that are too full, then empty hosts that are not needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.compute.detector import overloaded
from twin.compute.fleet import Array, Fleet, Index
from twin.compute.packing import Packing
from twin.compute.rules import Rules
from twin.compute.selection import select

Flags = NDArray[np.bool_]

TARGET_LIMIT = 0.8
"""CPU up to which hosts are filled, headroom not yet taken off."""


def fill_limit(rules: Rules) -> float:
    """Share of a host's CPU up to which VMs are placed."""
    return min(rules.threshold if rules.overload == "static" else TARGET_LIMIT, 1.0) - rules.headroom


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the platform knows when it decides: placement, hosts that are on, demand of the past."""

    host_of: Index
    """Host of each VM, the destination for one that is on its way, -1 where none, shape (VMs,)."""
    standing: Index
    """Host on which each VM runs now, shape (VMs,)."""
    awake: Flags
    """Shape (hosts,)."""
    waking: Flags
    movable: Flags
    """VMs that may move now: not pinned, not moving, dwell over, budget left, shape (VMs,)."""
    history_mips: Array
    """Demand of the steps before, oldest first, shape (steps, VMs). [MIPS]"""
    goal: Index | None
    """Host of each VM in the packing that the cluster moves towards, shape (VMs,); None: hosts are emptied in turn."""
    expected_mips: Array
    """Demand to plan for: highest of the window or of the forecast, shape (VMs,). [MIPS]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Moves in the order they start, and hosts to wake."""

    moves: tuple[tuple[int, int], ...] = ()
    """(VM, host) pairs."""
    wake: tuple[int, ...] = ()


class Consolidator:
    """One decision round under the rules."""

    def __init__(self, fleet: Fleet, rules: Rules, view: View, rng: np.random.Generator) -> None:
        self._fleet, self._rules, self._view, self._rng = fleet, rules, view, rng
        self._packing = Packing(fleet, view.host_of, view.expected_mips, rules.memory_overcommit)
        self._packing.hold(view.standing)
        self._movable = view.movable.copy()
        self._moves: list[tuple[int, int]] = []
        self._wake: list[int] = []
        self.limit = fill_limit(rules)

    def decide(self) -> Decision:
        """Moves and wake-ups of this round."""
        flagged = self._flagged()
        for host in np.flatnonzero(flagged & self._view.awake):
            self._relieve(int(host), ~flagged & self._view.awake)
        if self._view.goal is not None:
            self._follow(self._view.goal)
        elif self._rules.power_down:
            self._drain_all(flagged)
        return Decision(moves=tuple(self._moves), wake=tuple(self._wake))

    @property
    def _budget(self) -> int:
        return self._rules.moves_per_step - len(self._moves)

    def _host_history(self, host_of: Index) -> Array:
        hosts, history = len(self._fleet.host_ids), self._view.history_mips
        on_host = host_of[:, None] == np.arange(hosts)[None, :]
        load: Array = history @ on_host / self._fleet.capacity_mips
        return load

    def _flagged(self) -> Flags:
        history = self._host_history(self._packing.host_of)
        return overloaded(self._rules.overload, self._rules.threshold, history[-1], history)

    def _relieve(self, host: int, allowed: Flags) -> None:
        capacity = self._fleet.capacity_mips[host]
        staying = list(self._packing.vms_on(host))
        while self._budget > 0:
            candidates = [vm for vm in staying if self._movable[vm]]
            history = self._view.history_mips[:, staying].sum(axis=1, keepdims=True) / capacity
            if not candidates or not overloaded(self._rules.overload, self._rules.threshold, history[-1], history)[0]:
                return
            past = self._view.history_mips[:, candidates]
            vm = int(
                candidates[select(self._rules.selection, self._fleet.vm_ram_mb[candidates], past[-1], past, self._rng)]
            )
            staying.remove(vm)
            self._place(vm, allowed)

    def _place(self, vm: int, allowed: Flags) -> None:
        target = self._packing.best(vm, allowed, self.limit)
        if target >= 0:
            self._plan(vm, target)
        else:
            self._call_host()

    def _plan(self, vm: int, target: int) -> None:
        self._packing.move(vm, target, release=False)
        self._moves.append((vm, target))
        self._movable[vm] = False

    def _call_host(self) -> None:
        asleep = np.flatnonzero(~self._view.awake & ~self._view.waking)
        if len(asleep) and not self._wake and not self._view.waking.any():
            per_watt = self._fleet.capacity_mips[asleep] / self._fleet.curve_w[asleep, -1]
            self._wake.append(int(asleep[np.argmax(per_watt)]))

    def _follow(self, goal: Index) -> None:
        """Move towards the goal as far as this round's budget and the load of this hour allow."""
        for vm in np.flatnonzero((goal != self._packing.host_of) & self._movable & (goal >= 0)):
            target = int(goal[vm])
            if self._budget <= 0:
                return
            if not self._view.awake[target]:
                if target not in self._wake:
                    self._wake.append(target)
            elif self._packing.fits(int(vm), self.limit)[target]:
                self._plan(int(vm), target)

    def _drain_all(self, flagged: Flags) -> None:
        closed = flagged | ~self._view.awake
        used = self._packing.load_mips / self._fleet.capacity_mips
        for host in np.argsort(used, kind="stable"):
            vms = self._packing.vms_on(int(host))
            if closed[host] or not len(vms):
                continue
            if self._budget <= 0:
                return
            closed[host] = True
            moves = self._drained(vms, closed)
            for vm, target in moves[: self._budget]:
                self._plan(vm, target)

    def _drained(self, vms: Index, closed: Flags) -> list[tuple[int, int]]:
        """Moves that empty a host on to hosts in use, or none at all where one VM must stay."""
        if not self._movable[vms].all():
            return []
        placed = self._packing.host_of[self._packing.host_of >= 0]
        allowed = ~closed & (np.bincount(placed, minlength=len(closed)) > 0)
        if not self._packing.may_fit(vms, allowed, self.limit):
            return []
        trial, moves = self._packing.copy(), []
        for vm in vms[np.argsort(-self._view.expected_mips[vms], kind="stable")]:
            target = trial.best(int(vm), allowed, self.limit)
            if target < 0:
                return []
            trial.move(int(vm), target, release=False)
            moves.append((int(vm), target))
        return moves
