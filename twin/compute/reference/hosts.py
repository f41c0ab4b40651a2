"""Demand, sharing and power on hosts, in the arithmetic order of the reference simulator."""

from __future__ import annotations

import math

import numpy as np

from twin.compute.reference.arrays import HISTORY, Array, Facts, State
from twin.compute.reference.compiled import inlined, inner

SAMPLE_S = 300.0
NEAR = 1e-9
"""Only so near to a ten-percent point can the remainder by 0.1 be nothing."""
OVER = 11.0
"""Where the regression looks: one step after the ten it fits."""


@inlined
def power_at(curve_w: Array, utilization: float) -> float:
    """Power between ten-percent points, as the reference rounds it. [W]"""
    left, right = math.floor(utilization * 10), math.ceil(utilization * 10)
    near = utilization * 10 - left
    if (near < NEAR or near > 1.0 - NEAR) and np.fmod(utilization, 0.1) == 0.0:
        return float(curve_w[int(utilization * 10)])
    slope = (curve_w[int(right)] - curve_w[int(left)]) / 10
    return float(curve_w[int(left)] + slope * (utilization - left / 10) * 100)


@inlined
def clipped(utilization: float) -> float:
    """Utilisation with rounding above one taken off."""
    if 1.0 < utilization < 1.01:
        return 1.0
    return utilization


@inner
def set_demand(facts: Facts, state: State, now_s: float) -> None:
    """Demand of every VM that is there, linear between samples."""
    left = math.floor(now_s / SAMPLE_S)
    right = math.ceil(now_s / SAMPLE_S)
    for vm in range(len(facts.mips)):
        if state.alive[vm]:
            state.demand[vm] = utilization_at(facts.trace[vm], left, right, now_s) * facts.mips[vm]


@inlined
def utilization_at(trace: Array, left: int, right: int, now_s: float) -> float:
    """Utilisation between two samples."""
    slope = (trace[right] - trace[left]) / ((right - left) * SAMPLE_S)
    return float(trace[left] + slope * (now_s - left * SAMPLE_S))


@inner
def remember(facts: Facts, state: State, now_s: float, step: int) -> None:
    """Put the utilisation of this step in front of each VM's history; fit its trend."""
    state.steps[0] = min(step, HISTORY)
    left = math.floor(now_s / SAMPLE_S)
    right = math.ceil(now_s / SAMPLE_S)
    for vm in range(len(facts.mips)):
        if not state.alive[vm]:
            continue
        past = state.past[vm]
        for lag in range(HISTORY - 1, 0, -1):
            past[lag] = past[lag - 1]
        past[0] = utilization_at(facts.trace[vm], left, right, now_s)
        oldest, trend = -1, 0.0
        for lag in range(min(step, HISTORY)):
            if past[lag] != 0.0:
                oldest = lag
        for x in range(1, 11):
            trend += (0.1 + (OVER - 5.5) * (x - 5.5) / 82.5) * past[10 - x]
        state.oldest[vm], state.trend[vm] = oldest, trend * facts.mips[vm]


@inner
def refresh(facts: Facts, state: State, host: int, copy_is_short: bool) -> None:
    """Share the CPU of a host among its VMs and sum what it gives and what is asked, in list order."""
    pe, total = facts.pe_mips[host], facts.total_mips[host]
    needed, free, short = 0.0, total, False
    for place in range(state.filled[host]):
        vm = state.vms[host, place]
        capped = min(state.demand[vm], pe)
        if state.incoming[host, place]:
            capped *= 0.1
        needed += capped
        if free >= capped:
            free -= capped
        else:
            short, free = True, 0.0
    scale = total / needed if short else 1.0
    used, asked = 0.0, 0.0
    for place in range(state.filled[host]):
        vm = state.vms[host, place]
        given = allotted(state, host, place, min(state.demand[vm], pe), scale, short)
        if not state.incoming[host, place]:
            state.vm_given[vm], state.vm_asked[vm] = given, state.demand[vm]
            if state.copying[vm]:
                given /= 0.9
        used += given
        if copy_is_short or not state.incoming[host, place]:
            asked += state.demand[vm]
        else:
            asked += given
    state.used_mips[host], state.asked_mips[host] = used, asked


@inlined
def allotted(state: State, host: int, place: int, capped: float, scale: float, short: bool) -> float:
    """MIPS that one VM gets: 90 % while it leaves, 10 % where it arrives, whole MIPS where there is not enough."""
    leaving = state.copying[state.vms[host, place]] and not state.incoming[host, place]
    if not short:
        if leaving:
            return capped * 0.9
        return capped * 0.1 if state.incoming[host, place] else capped
    if leaving:
        return math.floor(capped * scale * 0.9)
    if state.incoming[host, place]:
        return math.floor(capped * 0.1 * scale)
    return math.floor(capped * scale)


@inner
def refresh_all(facts: Facts, state: State, copy_is_short: bool) -> None:
    """Refresh every host."""
    for host in range(len(facts.pe_mips)):
        if state.filled[host] > 0:
            refresh(facts, state, host, copy_is_short)
        else:
            state.used_mips[host] = state.asked_mips[host] = 0.0


@inner
def append(state: State, host: int, vm: int, incoming: bool) -> bool:
    """Put a VM at the end of a host's list; False where the list is full."""
    place = state.filled[host]
    if place >= state.vms.shape[1]:
        return False
    state.vms[host, place] = vm
    state.incoming[host, place] = incoming
    state.filled[host] = place + 1
    return True


@inner
def drop(state: State, host: int, vm: int) -> None:
    """Take the first entry of a VM off a host's list."""
    found = False
    for place in range(state.filled[host]):
        if not found and state.vms[host, place] == vm:
            found = True
        if found and place + 1 < state.filled[host]:
            state.vms[host, place] = state.vms[host, place + 1]
            state.incoming[host, place] = state.incoming[host, place + 1]
    if found:
        state.filled[host] -= 1
