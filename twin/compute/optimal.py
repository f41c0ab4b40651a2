"""The packing with the least power, by constraint programming; needs the extra ``placement``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.compute.fleet import Array, Fleet, Index
from twin.errors import BadInputError

EFFORT = 0.4
"""Deterministic time of the solver, about seconds on one core; the same on every machine."""
GOOD_ENOUGH = 0.002
"""Gap at which the solver stops."""
MILLIWATTS = 1000
MOVE_W = 1.0
"""What a move must save at least: about 1 W over the hours between plans, more than its copy costs. [W]"""
SCALE = 16
"""Steps per MIPS and MB in the solver's whole numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingTask:
    """What has to be packed."""

    fleet: Fleet
    host_of: Index
    """Host of each VM now, -1 for VMs that do not run, shape (VMs,)."""
    demand_mips: Array
    limit: float
    """CPU that may be filled, as a share of each host's capacity."""
    ram_mb: Array
    """Memory that may be filled, shape (hosts,). [MB]"""
    fixed: NDArray[np.bool_]
    """VMs that stay where they are, shape (VMs,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestPacking:
    """A packing and how near it is to the best there can be, both by the straight lines through the power curves."""

    host_of: Index
    power_w: float
    bound_w: float

    @property
    def gap(self) -> float:
        """Share by which the power may lie above the least."""
        return (self.power_w - self.bound_w) / self.power_w if self.power_w > 0.0 else 0.0


def power_lines(fleet: Fleet) -> tuple[Array, Array]:
    """Straight lines through the curves from 10 to 90 %: watts of being on over being asleep, watts per MIPS."""
    x = np.arange(1, 10) / 10.0
    slope, level = np.polyfit(x, fleet.curve_w[:, 1:10].T, 1)
    return level - fleet.sleep_w, slope / fleet.capacity_mips


def best_packing(task: PackingTask, effort: float = EFFORT) -> BestPacking | None:
    """The packing with the least power, or None where the VMs do not fit.

    Raises:
        BadInputError: the solver is not installed.
    """
    try:
        from ortools.sat.python import cp_model
    except ImportError:
        raise BadInputError(
            "placement 'optimal' needs the solver OR-Tools; install the extra 'placement' or use 'pabfd'"
        ) from None
    model = cp_model.CpModel()
    here, on = _variables(model, task)
    _limits(model, task, here, on)
    _order_alike(model, task, on)
    model.minimize(_cost(task, here, on))
    for (vm, host), variable in here.items():
        model.add_hint(variable, int(task.host_of[vm] == host))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = effort
    solver.parameters.relative_gap_limit = GOOD_ENOUGH
    if solver.solve(model) not in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
        return None
    placed = task.host_of.copy()
    for (vm, host), variable in here.items():
        if solver.value(variable):
            placed[vm] = host
    return BestPacking(
        host_of=placed,
        power_w=solver.objective_value / MILLIWATTS,
        bound_w=solver.best_objective_bound / MILLIWATTS,
    )


def _variables(model: Any, task: PackingTask) -> tuple[dict[tuple[int, int], Any], list[Any]]:
    fleet, hosts = task.fleet, range(len(task.fleet.host_ids))
    on = [model.new_bool_var(f"on_{host}") for host in hosts]
    here: dict[tuple[int, int], Any] = {}
    for vm in np.flatnonzero(task.host_of >= 0):
        may_run = (fleet.cores >= fleet.vm_cores[vm]) & ~fleet.barred[vm]
        allowed = [int(task.host_of[vm])] if task.fixed[vm] else [h for h in hosts if may_run[h]]
        for host in allowed:
            here[int(vm), host] = model.new_bool_var(f"{vm}_{host}")
        model.add_exactly_one(here[int(vm), host] for host in allowed)
    return here, on


def _limits(model: Any, task: PackingTask, here: dict[tuple[int, int], Any], on: list[Any]) -> None:
    fleet = task.fleet
    for host in range(len(fleet.host_ids)):
        vms = [vm for vm, at in here if at == host]
        cpu = int(SCALE * task.limit * fleet.capacity_mips[host])
        asked = [int(np.ceil(SCALE * task.demand_mips[vm])) for vm in vms]
        memory = [int(np.ceil(SCALE * fleet.vm_ram_mb[vm])) for vm in vms]
        variables = [here[vm, host] for vm in vms]
        model.add(sum(a * v for a, v in zip(asked, variables, strict=True)) <= cpu * on[host])
        model.add(
            sum(m * v for m, v in zip(memory, variables, strict=True)) <= int(SCALE * task.ram_mb[host]) * on[host]
        )
        for group in np.unique(fleet.group[fleet.group >= 0]):
            model.add_at_most_one(here[vm, host] for vm in vms if fleet.group[vm] == group)
        for variable in variables:
            model.add_implication(variable, on[host])


def _order_alike(model: Any, task: PackingTask, on: list[Any]) -> None:
    """Of empty hosts of one kind the first is used first; any other choice is the same packing under another name."""
    fleet = task.fleet
    empty = np.bincount(task.host_of[task.host_of >= 0], minlength=len(on)) == 0
    facts = np.column_stack([fleet.curve_w, fleet.capacity_mips, fleet.cores, task.ram_mb, fleet.sleep_w])
    last: dict[bytes, int] = {}
    for host in np.flatnonzero(empty):
        kind = facts[host].tobytes()
        if kind in last:
            model.add_implication(on[host], on[last[kind]])
        last[kind] = int(host)


def _cost(task: PackingTask, here: dict[tuple[int, int], Any], on: list[Any]) -> Any:
    being_on, per_mips = power_lines(task.fleet)
    total = sum(int(MILLIWATTS * being_on[host]) * variable for host, variable in enumerate(on))
    for (vm, host), variable in here.items():
        watts = task.demand_mips[vm] * per_mips[host] + (MOVE_W if task.host_of[vm] != host else 0.0)
        total += int(MILLIWATTS * watts) * variable
    return total
