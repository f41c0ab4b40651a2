"""One decision round: relieve over-utilised hosts, then try to empty every other one, least used first."""

from __future__ import annotations

import numpy as np

from twin.compute.reference.arrays import HISTORY, Facts, Plan, Rule, State
from twin.compute.reference.compiled import compiled
from twin.compute.reference.detectors import choose, over_utilized
from twin.compute.reference.hosts import clipped, power_at


@compiled
def put(facts: Facts, state: State, plan: Plan, host: int, vm: int) -> bool:
    """Reserve a VM on a planned host; False where the list is full."""
    place = plan.count[host]
    if place >= plan.vms.shape[1]:
        return False
    plan.vms[host, place] = vm
    plan.count[host] = place + 1
    add_sums(facts, state, plan, host, vm)
    return True


@compiled
def add_sums(facts: Facts, state: State, plan: Plan, host: int, vm: int) -> None:
    """Add one VM to the sums of a planned host."""
    capped = min(state.demand[vm], facts.pe_mips[host])
    plan.given[host] += capped
    plan.free[host] = plan.free[host] - capped if plan.free[host] >= capped else 0.0
    plan.asked[host] += state.demand[vm]
    plan.ram[host] += facts.ram_mb[vm]
    plan.trend[host] += state.trend[vm]
    plan.oldest[host] = max(plan.oldest[host], state.oldest[vm])
    for lag in range(state.oldest[vm] + 1):
        plan.past[host, lag] += state.past[vm, lag] * facts.mips[vm] / facts.total_mips[host]


@compiled
def rebuild(facts: Facts, state: State, plan: Plan, host: int) -> None:
    """Sum a planned host anew, in list order."""
    plan.given[host] = plan.asked[host] = plan.ram[host] = plan.trend[host] = 0.0
    plan.free[host] = facts.total_mips[host]
    plan.oldest[host] = -1
    for lag in range(HISTORY):
        plan.past[host, lag] = 0.0
    for place in range(plan.count[host]):
        add_sums(facts, state, plan, host, plan.vms[host, place])


@compiled
def take(facts: Facts, state: State, plan: Plan, host: int, vm: int) -> None:
    """Take a VM off a planned host."""
    found = False
    for place in range(plan.count[host]):
        if not found and plan.vms[host, place] == vm:
            found = True
        if found and place + 1 < plan.count[host]:
            plan.vms[host, place] = plan.vms[host, place + 1]
    if found:
        plan.count[host] -= 1
    rebuild(facts, state, plan, host)


@compiled
def begin(facts: Facts, state: State, plan: Plan) -> None:
    """Copy lists and utilisation of the last recomputation into the plan."""
    for host in range(len(facts.pe_mips)):
        plan.count[host] = state.count[host]
        for place in range(state.count[host]):
            plan.vms[host, place] = state.vms[host, place]
        rebuild(facts, state, plan, host)
        plan.used[host] = clipped(state.used_mips[host] / facts.total_mips[host])
        plan.power[host] = power_at(facts.curve_w[host], plan.used[host])
        plan.closed[host] = plan.picked[host] = False


@compiled
def find(facts: Facts, rule: Rule, state: State, plan: Plan, vm: int) -> int:
    """Open host where power rises least and the detector stays quiet, -1 where there is none.

    Empty hosts of one type are alike, so only the first of each is looked at; the detector is asked only where power
    would be the least so far. Neither changes the outcome.
    """
    best, chosen, tried = np.inf, -1, 0
    demand = state.demand[vm]
    for host in range(len(facts.pe_mips)):
        if plan.closed[host]:
            continue
        empty = plan.given[host] == 0.0 and plan.used[host] == 0.0
        if empty:
            bit = 1 << facts.kind[host]
            if tried & bit:
                continue
            tried |= bit
        if not suitable(facts, rule, plan, host, vm, demand):
            continue
        rise = power_at(facts.curve_w[host], (plan.given[host] + demand) / facts.total_mips[host]) - plan.power[host]
        if rise >= best:
            continue
        if plan.given[host] != 0.0 and over_utilized(facts, rule, state, plan, host, vm):
            continue
        best, chosen = rise, host
    return chosen


@compiled
def suitable(facts: Facts, rule: Rule, plan: Plan, host: int, vm: int, demand: float) -> bool:
    """Whether core, host and, where it counts, memory are large enough."""
    if facts.pe_mips[host] < demand or plan.free[host] < demand:
        return False
    return rule.memory_ignored or plan.ram[host] + facts.ram_mb[vm] <= facts.host_ram_mb[host]


@compiled
def order_queue(state: State, plan: Plan, length: int) -> None:
    """Sort the queue by demand, descending and stable."""
    for i in range(length):
        plan.sort_key[i] = -state.demand[plan.queue[i]]
    order = np.argsort(plan.sort_key[:length], kind="mergesort")
    plan.queue[:length] = plan.queue[:length][order]


@compiled
def relieve(facts: Facts, rule: Rule, state: State, plan: Plan) -> int:
    """Queue VMs of over-utilised hosts, which are closed from now on; returns the length of the queue."""
    for host in range(len(facts.pe_mips)):
        plan.closed[host] = plan.count[host] > 0 and over_utilized(facts, rule, state, plan, host, -1)
    length = 0
    for host in range(len(facts.pe_mips)):
        plan.picked[host] = plan.closed[host]
        if not plan.closed[host]:
            continue
        while plan.count[host] > 0:
            vm = choose(facts, rule, state, plan, host)
            plan.queue[length] = vm
            length += 1
            take(facts, state, plan, host, vm)
            if not over_utilized(facts, rule, state, plan, host, -1):
                break
    return length


@compiled
def place_relieved(facts: Facts, rule: Rule, state: State, plan: Plan, length: int) -> int:
    """Place the queue where it fits; returns the number of moves, -1 where a list is full."""
    moves = 0
    order_queue(state, plan, length)
    for i in range(length):
        vm = plan.queue[i]
        host = find(facts, rule, state, plan, vm)
        if host >= 0:
            if not put(facts, state, plan, host, vm):
                return -1
            plan.move_vm[moves], plan.move_host[moves] = vm, host
            moves += 1
    return moves


@compiled
def least_used(plan: Plan) -> int:
    """Host to empty next, -1 where none is left."""
    least, chosen = 1.0, -1
    for host in range(len(plan.count)):
        used = plan.used[host]
        if not plan.picked[host] and 0.0 < used < least and plan.count[host] > 0:
            least, chosen = used, host
    return chosen


@compiled
def empty(facts: Facts, rule: Rule, state: State, plan: Plan, host: int, moves: int) -> int:
    """Move everything off one host or nothing; returns the number of moves, -1 where a list is full."""
    length = plan.count[host]
    for place in range(length):
        plan.queue[place] = plan.vms[host, place]
    order_queue(state, plan, length)
    for i in range(length):
        vm = plan.queue[i]
        target = find(facts, rule, state, plan, vm)
        if target < 0:
            for done in range(moves, moves + i):
                take(facts, state, plan, plan.move_host[done], plan.move_vm[done])
            return moves
        if not put(facts, state, plan, target, vm):
            return -1
        plan.move_vm[moves + i], plan.move_host[moves + i] = vm, target
    for done in range(moves, moves + length):
        plan.picked[plan.move_host[done]] = True
    return moves + length


@compiled
def decide(facts: Facts, rule: Rule, state: State, plan: Plan) -> int:
    """Moves of this step in starting order; returns their number, -1 where a list is full."""
    begin(facts, state, plan)
    length = relieve(facts, rule, state, plan)
    moves = place_relieved(facts, rule, state, plan, length)
    for host in range(len(facts.pe_mips)):
        if plan.used[host] == 0.0:
            plan.closed[host] = plan.picked[host] = True
    while moves >= 0:
        host = least_used(plan)
        if host < 0:
            break
        plan.picked[host] = plan.closed[host] = True
        moves = empty(facts, rule, state, plan, host, moves)
    return moves
