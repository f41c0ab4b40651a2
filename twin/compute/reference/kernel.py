"""The reference day as one kernel: place, then step by step demand, energy, decisions, copies."""

from __future__ import annotations

import numpy as np

from twin.compute.reference.arrays import Array, Books, Facts, Plan, Rule, State
from twin.compute.reference.compiled import compiled, inner
from twin.compute.reference.hosts import (
    SAMPLE_S,
    append,
    clipped,
    drop,
    power_at,
    refresh,
    refresh_all,
    remember,
    set_demand,
)
from twin.compute.reference.rounds import decide

FIRST_S = 0.1
"""Work starts this long after the VMs. [s]"""
COPY_MB_S = 62.5
"""Half of a 1 Gbit/s link. [MB/s]"""
OK, NO_PLACE, LIST_FULL = 0, 1, 2


@inner
def place_first(facts: Facts, rule: Rule, state: State, plan: Plan) -> int:
    """Place all VMs in order by nominal size, with memory; returns a status."""
    for host in range(len(facts.pe_mips)):
        plan.free[host], plan.given[host], plan.ram[host] = facts.total_mips[host], 0.0, 0.0
    for vm in range(len(facts.mips)):
        host = first_host(facts, rule, plan, vm)
        if host < 0:
            return NO_PLACE
        plan.free[host] -= facts.mips[vm]
        plan.given[host] += facts.mips[vm]
        plan.ram[host] += facts.ram_mb[vm]
        state.host_of[vm] = host
        if not append(state, host, vm, False):
            return LIST_FULL
    return OK


@inner
def first_host(facts: Facts, rule: Rule, plan: Plan, vm: int) -> int:
    """First fit, or least rise of power over idle with the detector's limit on the newcomer alone."""
    best, chosen, mips = np.inf, -1, facts.mips[vm]
    limit = rule.threshold if rule.detector == 0 else rule.fallback
    for host in range(len(facts.pe_mips)):
        total = facts.total_mips[host]
        if facts.pe_mips[host] < mips or plan.free[host] < mips:
            continue
        if plan.ram[host] + facts.ram_mb[vm] > facts.host_ram_mb[host]:
            continue
        if rule.first_fit:
            return host
        if plan.given[host] != 0.0 and mips / total > limit:
            continue
        rise = power_at(facts.curve_w[host], (plan.given[host] + mips) / total) - facts.curve_w[host, 0]
        if rise < best:
            best, chosen = rise, host
    return chosen


@inner
def book_energy(facts: Facts, rule: Rule, before: Array, state: State, books: Books, seconds: float) -> None:
    """Energy of the interval that ends now: mean of the power at both ends, nothing where it began empty. [J]"""
    for host in range(len(facts.pe_mips)):
        left = clipped(before[host] / facts.total_mips[host])
        if left == 0.0 and rule.empty_hosts_are_free:
            continue
        start = power_at(facts.curve_w[host], left)
        end = power_at(facts.curve_w[host], clipped(state.used_mips[host] / facts.total_mips[host]))
        books.energy_j[0] += (start + (end - start) / 2) * seconds


@inner
def close_interval(state: State, books: Books, seconds: float) -> None:
    """Book the states that held until now: active and short hosts, CPU asked, given and lost to copying."""
    for host in range(len(state.filled)):
        if books.active[host]:
            books.host_active_s[0] += seconds
            if state.used_mips[host] < state.asked_mips[host]:
                books.host_short_s[0] += seconds
    for vm in range(len(state.alive)):
        if not state.alive[vm]:
            continue
        asked, given = state.vm_asked[vm], state.vm_given[vm]
        books.asked[0] += asked * seconds
        books.given[0] += given * seconds
        if given < asked:
            books.short_sum[0] += (asked - given) / asked
            books.short_count[0] += 1.0
        if state.vm_was_copying[vm]:
            books.lost[0] += (asked - given) * seconds


@inner
def open_interval(state: State, books: Books) -> None:
    """Note the states that hold from now on."""
    for host in range(len(state.filled)):
        active = state.used_mips[host] > 0.0
        if books.active[host] and not active:
            books.shutdowns[0] += 1
        books.active[host] = active
    for vm in range(len(state.alive)):
        state.vm_was_copying[vm] = state.copying[vm]


@inner
def recompute(facts: Facts, rule: Rule, state: State, books: Books, now_s: float, seconds: float) -> None:
    """New demand on the old placement, with the books of the interval that ends."""
    before = state.used_mips.copy()
    if seconds > 0.0:
        close_interval(state, books, seconds)
    set_demand(facts, state, now_s)
    refresh_all(facts, state, rule.violation_during_copy)
    if seconds > 0.0:
        book_energy(facts, rule, before, state, books, seconds)


@inner
def vanish(state: State) -> None:
    """Destroy VMs that ask for exactly nothing."""
    for vm in range(len(state.alive)):
        if state.alive[vm] and not state.copying[vm] and state.demand[vm] == 0.0:
            drop(state, state.host_of[vm], vm)
            state.alive[vm] = False


@inner
def keep_last(plan: Plan, moves: int) -> int:
    """Forget the first of two moves of one VM; returns the number left."""
    kept = 0
    for i in range(moves):
        again = False
        for later in range(i + 1, moves):
            again = again or plan.move_vm[later] == plan.move_vm[i]
        if not again:
            plan.move_vm[kept], plan.move_host[kept] = plan.move_vm[i], plan.move_host[i]
            kept += 1
    return kept


@inner
def start_copies(facts: Facts, rule: Rule, state: State, plan: Plan, books: Books, moves: int) -> int:
    """Put the VMs on their destinations as incoming; returns a status."""
    for i in range(moves):
        vm, host = plan.move_vm[i], plan.move_host[i]
        state.copying[vm] = True
        if not append(state, host, vm, True):
            return LIST_FULL
    for i in range(moves):
        refresh(facts, state, plan.move_host[i], rule.violation_during_copy)
        refresh(facts, state, state.host_of[plan.move_vm[i]], rule.violation_during_copy)
    books.migrations[0] += moves
    return OK


@inner
def finish_copies(facts: Facts, state: State, plan: Plan, moves: int, ram_mb: float) -> int:
    """End the copies of one memory size, in starting order; a VM with two ends on the second.

    Hosts that changed are marked as ``closed``.
    """
    for i in range(moves):
        vm, host = plan.move_vm[i], plan.move_host[i]
        if facts.ram_mb[vm] != ram_mb:
            continue
        plan.closed[state.host_of[vm]] = plan.closed[host] = True
        drop(state, state.host_of[vm], vm)
        drop(state, host, vm)
        if not append(state, host, vm, False):
            return LIST_FULL
        state.host_of[vm] = host
        state.copying[vm] = False
    return OK


@inner
def copy_all(
    facts: Facts, rule: Rule, state: State, plan: Plan, books: Books, sizes: Array, moves: int, now_s: float
) -> float:
    """Carry out the moves of a step; returns the time of the last recomputation, negative where a list is full."""
    if start_copies(facts, rule, state, plan, books, moves) != OK:
        return -1.0
    open_interval(state, books)
    last_s = now_s
    for size in sizes:
        found = False
        for i in range(moves):
            found = found or facts.ram_mb[plan.move_vm[i]] == size
        if not found:
            continue
        then_s = now_s + size / COPY_MB_S
        recompute(facts, rule, state, books, then_s, then_s - last_s)
        plan.closed[:] = False
        if finish_copies(facts, state, plan, moves, size) != OK:
            return -1.0
        for host in np.flatnonzero(plan.closed):
            refresh(facts, state, int(host), rule.violation_during_copy)
        open_interval(state, books)
        last_s = then_s
    return last_s


@inner
def note(state: State, books: Books, step: int, now_s: float) -> None:
    """Write the row of a step, before its decisions."""
    row = books.series[step - 1]
    row[0], row[1], row[3] = now_s, books.energy_j[0], books.migrations[0]
    for host in range(len(state.filled)):
        row[2] += 1.0 if state.used_mips[host] > 0.0 else 0.0
        row[5] += state.used_mips[host]
    for vm in range(len(state.alive)):
        row[4] += 1.0 if state.alive[vm] else 0.0


@compiled
def run(facts: Facts, rule: Rule, state: State, plan: Plan, books: Books, sizes: Array) -> int:
    """Run the whole trace; returns a status."""
    status = place_first(facts, rule, state, plan)
    if status != OK:
        return status
    now_s = last_s = FIRST_S
    for step in range(1, facts.trace.shape[1] - 1):
        now_s += SAMPLE_S
        recompute(facts, rule, state, books, now_s, 0.0 if step == 1 else now_s - last_s)
        remember(facts, state, now_s, step)
        if rule.idle_vms_vanish:
            vanish(state)
        note(state, books, step, now_s)
        moves = decide(facts, rule, state, plan) if rule.migrations else 0
        if moves < 0:
            return LIST_FULL
        if not rule.doubles_counted:
            moves = keep_last(plan, moves)
        last_s = copy_all(facts, rule, state, plan, books, sizes, moves, now_s)
        if last_s < 0.0:
            return LIST_FULL
    return OK
