"""Over-utilisation on a planned host, with or without one VM more."""

from __future__ import annotations

import math

import numpy as np

from twin.compute.reference.arrays import Array, Facts, Plan, Rule, State
from twin.compute.reference.compiled import compiled

STATIC, IQR, MAD, LR = 0, 1, 2, 3
CLOSE = 1e-9
"""A trend nearer to the limit than this is computed again in the reference's own order."""


@compiled
def over_utilized(facts: Facts, rule: Rule, state: State, plan: Plan, host: int, extra: int) -> bool:
    """Whether the detector flags the planned host with VM ``extra`` added (-1: none)."""
    asked, oldest = plan.asked[host], plan.oldest[host]
    if extra >= 0:
        asked += state.demand[extra]
        oldest = max(oldest, state.oldest[extra])
    share = asked / facts.total_mips[host]
    if rule.detector == STATIC:
        return share > rule.threshold
    if rule.detector == LR:
        if oldest + 1 < 10:
            return share > rule.fallback
        return trend_over(facts, rule, state, plan, host, extra)
    if oldest + 1 < 12:
        return share > rule.fallback
    data = with_extra(facts, state, plan, host, extra, oldest + 1)
    spread = quartile_spread(data) if rule.detector == IQR else median_deviation(plan, data)
    return share > 1 - rule.threshold * spread


@compiled
def with_extra(facts: Facts, state: State, plan: Plan, host: int, extra: int, length: int) -> Array:
    """The host's history with the VM's added, newest first; a view into scratch."""
    data = plan.scratch[0, :length]
    for lag in range(length):
        data[lag] = plan.past[host, lag]
        if extra >= 0:
            data[lag] += state.past[extra, lag] * facts.mips[extra] / facts.total_mips[host]
    return data


@compiled
def insertion_sort(data: Array) -> None:
    """Sort a short array in place, ascending."""
    for right in range(1, len(data)):
        value = data[right]
        left = right - 1
        while left >= 0 and data[left] > value:
            data[left + 1] = data[left]
            left -= 1
        data[left + 1] = value


@compiled
def quartile_spread(data: Array) -> float:
    """Interquartile range by nearest ranks; sorts the data."""
    insertion_sort(data)
    count = len(data)
    low = int(math.floor(0.25 * (count + 1) + 0.5)) - 1
    high = int(math.floor(0.75 * (count + 1) + 0.5)) - 1
    return data[high] - data[low]


@compiled
def sorted_median(data: Array) -> float:
    """Median of sorted data."""
    place = 0.5 * (len(data) + 1)
    left = int(math.floor(place))
    return data[left - 1] + (place - left) * (data[min(left, len(data) - 1)] - data[left - 1])


@compiled
def median_deviation(plan: Plan, data: Array) -> float:
    """Median absolute deviation; sorts the data."""
    insertion_sort(data)
    middle = sorted_median(data)
    gaps = plan.scratch[1, : len(data)]
    for i in range(len(data)):
        gaps[i] = abs(middle - data[i])
    insertion_sort(gaps)
    return sorted_median(gaps)


@compiled
def trend_over(facts: Facts, rule: Rule, state: State, plan: Plan, host: int, extra: int) -> bool:
    """Whether the least-squares line through the last ten reaches the limit one step ahead."""
    ahead = plan.trend[host]
    if extra >= 0:
        ahead += state.trend[extra]
    ahead = ahead / facts.total_mips[host] * rule.threshold
    if abs(ahead - 1) > CLOSE:
        return ahead >= 1
    return regression(with_extra(facts, state, plan, host, extra, 10)) * rule.threshold >= 1


@compiled
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


@compiled
def choose(facts: Facts, rule: Rule, state: State, plan: Plan, host: int) -> int:
    """VM to take off a planned host: 0 smallest memory, 1 smallest utilisation, 2 random, 3 most correlated."""
    count = plan.count[host]
    if rule.selection == 2:
        return plan.vms[host, np.random.randint(0, count)]
    if rule.selection == 3 and 1 < count <= state.steps[0]:
        place = most_correlated(state, plan, host)
        if place >= 0:
            return plan.vms[host, place]
    best, chosen = np.inf, plan.vms[host, 0]
    for place in range(count):
        vm = plan.vms[host, place]
        metric = state.demand[vm] / facts.mips[vm] if rule.selection == 1 else facts.ram_mb[vm]
        if metric < best:
            best, chosen = metric, vm
    return chosen


@compiled
def most_correlated(state: State, plan: Plan, host: int) -> int:
    """Place of the VM whose history the others' explain best, -1 where the regression is singular."""
    best, chosen = 0.0, 0
    for subject in range(plan.count[host]):
        explained = explained_share(state, plan, host, subject)
        if explained < 0.0:
            return -1
        if explained > best:
            best, chosen = explained, subject
    return chosen


@compiled
def explained_share(state: State, plan: Plan, host: int, subject: int) -> float:
    """R² of one VM's history regressed on the others', -1 where they are linearly dependent."""
    count, length = plan.count[host], state.steps[0]
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
