"""One decision round: relieve over-utilised hosts, then try to empty every other one, least used first."""

from __future__ import annotations

import numpy as np

from twin.compute.reference.arrays import Array, Facts, Plan, Rule, State
from twin.compute.reference.compiled import inlined, inner
from twin.compute.reference.detectors import add_past, choose, over_utilized, verdict
from twin.compute.reference.hosts import clipped, power_at

FULLEST_W = 2.0
"""What a full host is preferred by over an empty one where both are on. [W]"""
CLEARLY_W = 1e-6
"""A rise larger than the best by this needs no exact arithmetic. [W]"""


@inner
def put(facts: Facts, state: State, plan: Plan, host: int, vm: int) -> bool:
    """Reserve a VM on a planned host; False where the list is full."""
    place = plan.filled[host]
    if place >= plan.vms.shape[1]:
        return False
    plan.vms[host, place] = vm
    plan.filled[host] = place + 1
    add_sums(facts, state, plan, host, vm)
    return True


@inner
def add_sums(facts: Facts, state: State, plan: Plan, host: int, vm: int) -> None:
    """Add one VM to the sums of a planned host."""
    capped = min(state.demand[vm], facts.pe_mips[host])
    plan.given[host] += capped
    plan.free[host] = plan.free[host] - capped if plan.free[host] >= capped else 0.0
    plan.asked[host] += state.demand[vm]
    plan.ram[host] += facts.ram_mb[vm]
    plan.trend[host] += state.trend[vm]
    plan.oldest[host] = max(plan.oldest[host], state.oldest[vm])
    if plan.past_known[host]:
        add_past(facts, state, plan, host, vm)


@inner
def rebuild(facts: Facts, state: State, plan: Plan, host: int) -> None:
    """Sum a planned host anew, in list order."""
    demands, trends, oldests, sizes = state.demand, state.trend, state.oldest, facts.ram_mb
    given, asked, ram, trend, oldest = 0.0, 0.0, 0.0, 0.0, -1
    free, pe = facts.total_mips[host], facts.pe_mips[host]
    for place in range(plan.filled[host]):
        vm = plan.vms[host, place]
        capped = min(demands[vm], pe)
        given += capped
        free = free - capped if free >= capped else 0.0
        asked += demands[vm]
        ram += sizes[vm]
        trend += trends[vm]
        oldest = max(oldest, oldests[vm])
    plan.given[host], plan.asked[host], plan.ram[host], plan.trend[host] = given, asked, ram, trend
    plan.free[host], plan.oldest[host], plan.past_known[host] = free, oldest, False


@inner
def take(facts: Facts, state: State, plan: Plan, host: int, vm: int) -> None:
    """Take a VM off a planned host."""
    found = False
    for place in range(plan.filled[host]):
        if not found and plan.vms[host, place] == vm:
            found = True
        if found and place + 1 < plan.filled[host]:
            plan.vms[host, place] = plan.vms[host, place + 1]
    if found:
        plan.filled[host] -= 1
    rebuild(facts, state, plan, host)


@inner
def begin(facts: Facts, state: State, plan: Plan) -> None:
    """Copy lists and utilisation of the last recomputation into the plan."""
    for host in range(len(facts.pe_mips)):
        plan.filled[host] = state.filled[host]
        for place in range(state.filled[host]):
            plan.vms[host, place] = state.vms[host, place]
        if plan.filled[host] > 0 or plan.asked[host] != 0.0 or plan.free[host] != facts.total_mips[host]:
            rebuild(facts, state, plan, host)
        plan.used[host] = clipped(state.used_mips[host] / facts.total_mips[host])
        plan.power[host] = power_at(facts.curve_w[host], plan.used[host])
        plan.closed[host] = plan.picked[host] = False


@inner
def find_published(facts: Facts, rule: Rule, state: State, plan: Plan, vm: int) -> int:
    """Open host where power rises least and the detector stays quiet, -1 where there is none.

    Empty hosts of one type are alike, so only the first of each is looked at; exact arithmetic is done only where a
    rough rise comes near the least so far, and the detector is asked only where the exact one is below it. None of
    this changes the outcome. Arrays are taken out of their tuples first: passing tuples on costs more than the work.
    """
    pe_mips, total_mips, per_mips, curves = facts.pe_mips, facts.total_mips, facts.segments_per_mips, facts.curve_w
    given, free, power, used, closed = plan.given, plan.free, plan.power, plan.used, plan.closed
    asked, trends, oldests, rams, sizes = plan.asked, plan.trend, plan.oldest, plan.ram, facts.host_ram_mb
    trend, oldest = state.trend[vm], state.oldest[vm]
    best, chosen, tried = np.inf, -1, 0
    demand, ram = state.demand[vm], 0.0 if rule.memory_ignored else facts.ram_mb[vm]
    for host in range(len(pe_mips)):
        if closed[host] or pe_mips[host] < demand or free[host] < demand:
            continue
        if ram > 0.0 and rams[host] + ram > sizes[host]:
            continue
        if given[host] == 0.0 and used[host] == 0.0:
            bit = 1 << facts.kind[host]
            if tried & bit:
                continue
            tried |= bit
        after = given[host] + demand
        if rough_power(curves[host], after * per_mips[host]) - power[host] > best + CLEARLY_W:
            continue
        total = total_mips[host]
        rise = power_at(curves[host], after / total) - power[host]
        if rise >= best:
            continue
        told = 0
        if given[host] != 0.0:
            share, ahead = (asked[host] + demand) / total, (trends[host] + trend) / total
            told = verdict(rule, share, max(oldests[host], oldest), ahead)
        if told == 0 or (told == 2 and not over_utilized(facts, rule, state, plan, host, vm)):
            best, chosen = rise, host
    return chosen


@inner
def find_least_rise(facts: Facts, rule: Rule, state: State, plan: Plan, vm: int) -> int:
    """Open host where power truly rises least, a host that is off from nothing; of like ones the fullest."""
    demand, ram = state.demand[vm], 0.0 if rule.memory_ignored else facts.ram_mb[vm]
    best, chosen = np.inf, -1
    for host in range(len(facts.pe_mips)):
        if plan.closed[host] or facts.pe_mips[host] < demand or plan.free[host] < demand:
            continue
        if ram > 0.0 and plan.ram[host] + ram > facts.host_ram_mb[host]:
            continue
        total, given = facts.total_mips[host], plan.given[host]
        before = power_at(facts.curve_w[host], given / total) if given > 0.0 else 0.0
        score = power_at(facts.curve_w[host], (given + demand) / total) - before - FULLEST_W * given / total
        if score < best and (given == 0.0 or not over_utilized(facts, rule, state, plan, host, vm)):
            best, chosen = score, host
    return chosen


@inner
def find(facts: Facts, rule: Rule, state: State, plan: Plan, vm: int) -> int:
    """Host for a VM by the placement of the policy, -1 where there is none."""
    if rule.least_rise:
        return find_least_rise(facts, rule, state, plan, vm)
    return find_published(facts, rule, state, plan, vm)


@inlined
def rough_power(curve_w: Array, place: float) -> float:
    """Power without the reference's way of rounding; ``place`` is utilisation times ten. [W]"""
    left = min(int(place), 9)
    return float(curve_w[left] + (place - left) * (curve_w[left + 1] - curve_w[left]))


@inner
def order_queue(state: State, plan: Plan, length: int) -> None:
    """Sort the queue by demand, descending and stable."""
    for i in range(length):
        plan.sort_key[i] = -state.demand[plan.queue[i]]
    order = np.argsort(plan.sort_key[:length], kind="mergesort")
    plan.queue[:length] = plan.queue[:length][order]


@inner
def relieve(facts: Facts, rule: Rule, state: State, plan: Plan) -> int:
    """Queue VMs of over-utilised hosts, which are closed from now on; returns the length of the queue."""
    for host in range(len(facts.pe_mips)):
        plan.closed[host] = plan.filled[host] > 0 and over_utilized(facts, rule, state, plan, host, -1)
    length = 0
    for host in range(len(facts.pe_mips)):
        plan.picked[host] = plan.closed[host]
        if not plan.closed[host]:
            continue
        while plan.filled[host] > 0:
            vm = choose(facts, rule, state, plan, host)
            plan.queue[length] = vm
            length += 1
            take(facts, state, plan, host, vm)
            if not over_utilized(facts, rule, state, plan, host, -1):
                break
    return length


@inner
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


@inner
def least_used(plan: Plan) -> int:
    """Host to empty next, -1 where none is left."""
    least, chosen = 1.0, -1
    for host in range(len(plan.filled)):
        used = plan.used[host]
        if not plan.picked[host] and 0.0 < used < least and plan.filled[host] > 0:
            least, chosen = used, host
    return chosen


@inner
def empty(facts: Facts, rule: Rule, state: State, plan: Plan, host: int, moves: int) -> int:
    """Move everything off one host or nothing; returns the number of moves, -1 where a list is full."""
    length = plan.filled[host]
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
    return int(moves + length)


@inner
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
