"""Parameters of the demand generator from a trace, so that a site without traces gets realistic demand."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from twin.compute.demand import DEFAULT_PROFILE, FLOOR, Habit, LocalTime, Profile
from twin.errors import BadInputError
from twin.units import SECONDS_PER_DAY

Array = NDArray[np.float64]

IDLE_P95 = 0.03
"""A VM that stays below this for 95 % of the time is idle."""
EXPLAINED_BY_HOUR = 0.3
"""Share of the variance that the hour of the day must explain in an office or batch VM."""
NARROW = 0.25
"""A batch window fills less than this share of the day."""
DAY_OVER_NIGHT = 1.5
BURST_OVER_MEDIAN = 4.0
LEAST_NOISE = 0.05
MOST_NOISE = 1.5


def hourly_profile(demand: Array, hour: Array) -> Array:
    """Mean demand at each hour of the local day, spread back on the grid, shape (steps,)."""
    place = np.floor(hour).astype(np.int64)
    count = np.bincount(place, minlength=24)
    mean = np.bincount(place, weights=demand, minlength=24) / np.maximum(count, 1)
    back: Array = mean[place]
    return back


def habit_in(demand: Array, time: LocalTime) -> Habit:
    """The habit that a trace of one VM shows."""
    if np.quantile(demand, 0.95) < IDLE_P95:
        return Habit.IDLE
    by_hour = hourly_profile(demand, time.hour)
    explained = float(by_hour.var() / max(demand.var(), 1e-12))
    if explained > EXPLAINED_BY_HOUR:
        if float((by_hour > by_hour.max() / 2.0).mean()) < NARROW:
            return Habit.BATCH
        day = (time.hour >= 9.0) & (time.hour < 17.0) & (time.working > 0.0)
        if day.any() and demand[day].mean() > DAY_OVER_NIGHT * max(float(demand[~day].mean()), 1e-9):
            return Habit.OFFICE
    if np.quantile(demand, 0.98) > BURST_OVER_MEDIAN * max(float(np.median(demand)), FLOOR):
        return Habit.BURSTY
    return Habit.STEADY


def height(demand: Array, habit: Habit, time: LocalTime) -> float:
    """Demand of one VM while its habit is at its height."""
    if habit is Habit.OFFICE:
        day = (time.hour >= 9.0) & (time.hour < 17.0) & (time.working > 0.0)
        return float(demand[day].mean())
    if habit in {Habit.BATCH, Habit.BURSTY}:
        return float(demand[high(demand)].mean())
    return float(demand.mean())


def high(demand: Array) -> NDArray[np.bool_]:
    """Steps above half of the demand's usual top."""
    above: NDArray[np.bool_] = demand > np.quantile(demand, 0.98) / 2.0
    return above


def fit_profile(utilization: Array, time: LocalTime) -> Profile:
    """Parameters of the generator that resemble a trace.

    Args:
        utilization: demand of each VM as a share of its own CPU, without gaps, shape (steps, VMs).
        time: grid of the trace in site time, a day long at least.

    Raises:
        BadInputError: the trace is shorter than a day or has gaps.
    """
    if len(utilization) * time.step_s < SECONDS_PER_DAY or not np.isfinite(utilization).all():
        raise BadInputError("fit of demand: the trace is shorter than a day or has gaps; give whole days without NaN")
    columns = [np.clip(column, 0.0, 1.0) for column in utilization.T]
    habits = [habit_in(column, time) for column in columns]
    heights = [max(height(column, habit, time), FLOOR) for column, habit in zip(columns, habits, strict=True)]
    kinds = list(DEFAULT_PROFILE.shares)
    shares = {kind: habits.count(kind) / len(habits) for kind in kinds}
    logs = {kind: [float(np.log(h)) for h, k in zip(heights, habits, strict=True) if k is kind] for kind in kinds}
    level = {
        kind: float(np.exp(np.median(logs[kind]))) if logs[kind] else DEFAULT_PROFILE.level[kind] for kind in kinds
    }
    spreads = [value - float(np.median(logs[kind])) for kind in kinds if kind is not Habit.IDLE for value in logs[kind]]
    steady = [c for c, habit in zip(columns, habits, strict=True) if habit in {Habit.STEADY, Habit.OFFICE}]
    bursty = [c for c, habit in zip(columns, habits, strict=True) if habit is Habit.BURSTY]
    return replace(
        DEFAULT_PROFILE,
        shares=MappingProxyType(shares),
        level=MappingProxyType({**DEFAULT_PROFILE.level, **level}),
        spread=float(np.std(spreads)) if spreads else DEFAULT_PROFILE.spread,
        **_noise(steady, time),
        **_bursts(bursty, time),
    )


def _noise(columns: list[Array], time: LocalTime) -> dict[str, float]:
    """Size and correlation time of the noise around the hourly profile, medians over VMs."""
    sizes, memories = [], []
    for column in columns:
        ratio = np.log(np.maximum(column, FLOOR) / np.maximum(hourly_profile(column, time.hour), FLOOR))
        kept = float(np.corrcoef(ratio[:-1], ratio[1:])[0, 1]) if ratio.std() > 0.0 else 0.0
        sizes.append(float(ratio.std()))
        memories.append(-time.step_s / np.log(np.clip(kept, 0.01, 0.999)))
    if not sizes:
        return {}
    return {"noise": float(np.clip(np.median(sizes), LEAST_NOISE, MOST_NOISE)), "memory_s": float(np.median(memories))}


def _bursts(columns: list[Array], time: LocalTime) -> dict[str, float]:
    """How often bursts come and how long they last, medians over VMs."""
    if not columns:
        return {}
    days = len(time.hour) * time.step_s / SECONDS_PER_DAY
    often, lasting, floors = [], [], []
    for column in columns:
        above = high(column)
        begins = max(1, int(np.count_nonzero(above[1:] & ~above[:-1])) + int(above[0]))
        often.append(begins / days)
        lasting.append(above.sum() * time.step_s / begins)
        floors.append(float(np.clip(column[~above].mean() / max(float(column[above].mean()), FLOOR), 0.0, 1.0)))
    return {
        "bursts_per_day": float(np.median(often)),
        "burst_s": float(np.median(lasting)),
        "burst_floor": float(np.median(floors)),
    }
