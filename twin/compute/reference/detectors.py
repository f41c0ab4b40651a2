"""Over-utilisation on a planned host, with or without one VM more."""

from __future__ import annotations

import math

import numpy as np

from twin.compute.reference.arrays import Array, Facts, Plan, Rule, State
from twin.compute.reference.compiled import inlined, inner

STATIC, IQR, MAD, LR = 0, 1, 2, 3
CLOSE = 1e-9
"""A trend nearer to the limit than this is computed again in the reference's own order."""


@inlined
def verdict(rule: Rule, share: float, oldest: int, ahead: float) -> int:
    """Quiet (0) or flagged (1) where sums alone tell, else to be looked into (2).

    Args:
        rule: detector and limits.
        share: CPU asked over capacity.
        oldest: largest lag with any utilisation.
        ahead: extrapolated utilisation.
    """
    if rule.detector == STATIC:
        return int(share > rule.threshold)
    if oldest + 1 < (10 if rule.detector == LR else 12):
        return int(share > rule.fallback)
    ahead *= rule.threshold
    if rule.detector == LR and abs(ahead - 1) > CLOSE:
        return int(ahead >= 1)
    return 2


@inner
def over_utilized(facts: Facts, rule: Rule, state: State, plan: Plan, host: int, extra: int) -> bool:
    """Whether the detector flags the planned host with VM ``extra`` added (-1: none)."""
    asked, oldest, ahead, total = plan.asked[host], plan.oldest[host], plan.trend[host], facts.total_mips[host]
    if extra >= 0:
        asked += state.demand[extra]
        oldest = max(oldest, state.oldest[extra])
        ahead += state.trend[extra]
    told = verdict(rule, asked / total, oldest, ahead / total)
    if told < 2:
        return told == 1
    if rule.detector == LR:
        return regression(with_extra(facts, state, plan, host, extra, 10)) * rule.threshold >= 1
    data = with_extra(facts, state, plan, host, extra, oldest + 1)
    spread = quartile_spread(data) if rule.detector == IQR else median_deviation(plan, data)
    return bool(asked / total > 1 - rule.threshold * spread)


@inner
def add_past(facts: Facts, state: State, plan: Plan, host: int, vm: int) -> None:
    """Add a VM's history to that of a planned host."""
    for lag in range(state.oldest[vm] + 1):
        plan.past[host, lag] += state.past[vm, lag] * facts.mips[vm] / facts.total_mips[host]


@inner
def sum_past(facts: Facts, state: State, plan: Plan, host: int) -> None:
    """Sum the histories of a planned host's VMs, in list order, unless that is done."""
    if plan.past_known[host]:
        return
    plan.past[host] = 0.0
    for place in range(plan.filled[host]):
        add_past(facts, state, plan, host, plan.vms[host, place])
    plan.past_known[host] = True


@inner
def with_extra(facts: Facts, state: State, plan: Plan, host: int, extra: int, length: int) -> Array:
    """The host's history with the VM's added, newest first; a view into scratch."""
    sum_past(facts, state, plan, host)
    data = plan.scratch[0, :length]
    for lag in range(length):
        data[lag] = plan.past[host, lag]
        if extra >= 0:
            data[lag] += state.past[extra, lag] * facts.mips[extra] / facts.total_mips[host]
    return data


@inner
def insertion_sort(data: Array) -> None:
    """Sort a short array in place, ascending."""
    for right in range(1, len(data)):
        value = data[right]
        left = right - 1
        while left >= 0 and data[left] > value:
            data[left + 1] = data[left]
            left -= 1
        data[left + 1] = value


@inner
def quartile_spread(data: Array) -> float:
    """Interquartile range by nearest ranks; sorts the data."""
    insertion_sort(data)
    count = len(data)
    low = math.floor(0.25 * (count + 1) + 0.5) - 1
    high = math.floor(0.75 * (count + 1) + 0.5) - 1
    return float(data[high] - data[low])


@inner
def sorted_median(data: Array) -> float:
    """Median of sorted data."""
    place = 0.5 * (len(data) + 1)
    left = math.floor(place)
    return float(data[left - 1] + (place - left) * (data[min(left, len(data) - 1)] - data[left - 1]))


@inner
def median_deviation(plan: Plan, data: Array) -> float:
    """Median absolute deviation; sorts the data."""
    insertion_sort(data)
    middle = sorted_median(data)
    gaps = plan.scratch[1, : len(data)]
    for i in range(len(data)):
        gaps[i] = abs(middle - data[i])
    insertion_sort(gaps)
    return sorted_median(gaps)


@inner
def regression(newest_first: Array) -> float:
    """Value at 11 of the least-squares line through ten values at 1 … 10, with running means."""
    x_mean = y_mean = x_sum = y_sum = xx = xy = 0.0
    for i in range(10):
        x, y = i + 1.0, newest_first[9 - i]
        if i == 0:
            x_mean, y_mean = x, y
        else:
            dx, dy, weight = x - x_mean, y - y_mean, i / (1.0 + i)
            xx += dx * dx * weight
            xy += dx * dy * weight
            x_mean += dx / (1.0 + i)
            y_mean += dy / (1.0 + i)
        x_sum += x
        y_sum += y
    slope = xy / xx
    return (y_sum - slope * x_sum) / 10 + slope * 11.0


@inner
def choose(facts: Facts, rule: Rule, state: State, plan: Plan, host: int) -> int:
    """VM to take off a planned host: 0 smallest memory, 1 smallest utilisation, 2 random, 3 most correlated."""
    count = plan.filled[host]
    if rule.selection == 2:
        plan.thrown[0] += 1
        return int(plan.vms[host, int(count * plan.dice[plan.thrown[0] % len(plan.dice)])])
    if rule.selection == 3 and 1 < count <= state.steps[0]:
        place = most_correlated(state, plan, host)
        if place >= 0:
            return int(plan.vms[host, place])
    best, chosen = np.inf, plan.vms[host, 0]
    for place in range(count):
        vm = plan.vms[host, place]
        metric = state.demand[vm] / facts.mips[vm] if rule.selection == 1 else facts.ram_mb[vm]
        if metric < best:
            best, chosen = metric, vm
    return int(chosen)


@inner
def most_correlated(state: State, plan: Plan, host: int) -> int:
    """Place of the VM whose history the others' explain best, -1 where the regression is singular."""
    best, chosen = 0.0, 0
    for subject in range(plan.filled[host]):
        explained = explained_share(state, plan, host, subject)
        if explained < 0.0:
            return -1
        if explained > best:
            best, chosen = explained, subject
    return chosen


@inner
def explained_share(state: State, plan: Plan, host: int, subject: int) -> float:
    """R² of one VM's history regressed on the others', -1 where they are linearly dependent."""
    count, length = plan.filled[host], state.steps[0]
    basis = np.zeros((count, length))
    basis[0] = 1.0 / math.sqrt(length)
    rank = 1
    for place in range(count):
        if place == subject:
            continue
        column = state.past[plan.vms[host, place], :length].copy()
        size = math.sqrt((column * column).sum())
        for _ in range(2):
            for done in range(rank):
                column -= basis[done] * (basis[done] * column).sum()
        left = math.sqrt((column * column).sum())
        if left <= 1e-12 * size:
            return -1.0
        basis[rank] = column / left
        rank += 1
    y = state.past[plan.vms[host, subject], :length].copy()
    total = ((y - y.mean()) ** 2).sum()
    for done in range(rank):
        y -= basis[done] * (basis[done] * y).sum()
    return max(0.0, 1.0 - (y * y).sum() / total) if total > 0.0 else 0.0
