"""A seeded generator of what VMs ask for: days and weeks, bursts, idle machines, machines that serve meetings.

Each VM draws a *habit* and then its own noise from streams named after its id, so that adding a VM changes nobody else.
The shares of the habits and their levels are chosen so that the whole has the mean of published clusters: 10–15 % of
what is provisioned (PlanetLab 2011: 11–12 %; Bitbrains 2013: 12.4 %), with a sixth of the VMs idle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from twin.site import Vm
from twin.streams import stream
from twin.units import SECONDS_PER_HOUR

Array = NDArray[np.float64]

FLOOR = 0.005
"""Share that an operating system uses with nothing to do."""
WEEKEND_FROM = 5


class Habit(StrEnum):
    """How the demand of a VM goes through the day."""

    OFFICE = "office"
    """Follows office hours, little at night and at weekends."""
    STEADY = "steady"
    """Much the same by day and night."""
    BATCH = "batch"
    """Near full load in a nightly window, idle else."""
    BURSTY = "bursty"
    """Low, with random bursts of minutes to an hour."""
    IDLE = "idle"
    """Forgotten: runs and does nothing."""
    MEETING = "meeting"
    """Load per person in the room that it serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Parameters of the generator."""

    shares: Mapping[Habit, float]
    """Share of VMs with each habit, of those that serve no room."""
    level: Mapping[Habit, float]
    """Typical demand while the habit is at its height, as a share of the VM's CPU."""
    spread: float = 0.35
    """Standard deviation of log(level) between VMs."""
    noise: float = 0.25
    """Standard deviation of log(demand) around the habit of one VM."""
    memory_s: float = 1800.0
    """Correlation time of that noise. [s]"""
    bursts_per_day: float = 5.0
    burst_s: float = 1500.0
    """Mean length of a burst. [s]"""
    burst_floor: float = 0.06
    """Demand between bursts, as a share of that in a burst."""
    per_person: float = 0.06
    """Demand of a meeting VM per person in its room."""


DEFAULT_PROFILE = Profile(
    shares=MappingProxyType(
        {Habit.OFFICE: 0.42, Habit.STEADY: 0.16, Habit.BATCH: 0.12, Habit.BURSTY: 0.14, Habit.IDLE: 0.16}
    ),
    level=MappingProxyType(
        {
            Habit.OFFICE: 0.32,
            Habit.STEADY: 0.18,
            Habit.BATCH: 0.75,
            Habit.BURSTY: 0.6,
            Habit.IDLE: 0.01,
            Habit.MEETING: 0.1,
        }
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTime:
    """The grid in site time."""

    hour: Array
    """Hour of the local day, shape (steps,)."""
    working: Array
    """1 on working days, 0 at weekends and on holidays, shape (steps,)."""
    step_s: float


def local_time(
    start: datetime, steps: int, step_s: float, time_zone: ZoneInfo, holidays: Sequence[object] = ()
) -> LocalTime:
    """Local hour and kind of day of each step; offsets are looked up per hour."""
    closed = frozenset(holidays)
    moments = [(start + timedelta(seconds=i * step_s)).astimezone(time_zone) for i in range(steps)]
    hour = np.array([m.hour + m.minute / 60.0 + m.second / SECONDS_PER_HOUR for m in moments])
    working = np.array([float(m.weekday() < WEEKEND_FROM and m.date() not in closed) for m in moments])
    return LocalTime(hour=hour, working=working, step_s=step_s)


def coloured_noise(steps: int, step_s: float, memory_s: float, rng: np.random.Generator) -> Array:
    """Stationary first-order autoregressive noise of unit variance, shape (steps,)."""
    keep = float(np.exp(-step_s / memory_s))
    white = rng.standard_normal(steps)
    white[1:] *= np.sqrt(1.0 - keep**2)
    return np.array(list(accumulate(white.tolist(), lambda last, fresh: fresh + keep * last)))


def office_shape(time: LocalTime, rng: np.random.Generator) -> Array:
    """Office hours with soft edges and a dip at noon, a sixth of it at night and on free days; peak 1."""
    opens, closes = 8.0 + rng.normal(0.0, 0.7), 17.5 + rng.normal(0.0, 0.9)
    day = 1.0 / (1.0 + np.exp(-(time.hour - opens) / 0.5)) - 1.0 / (1.0 + np.exp(-(time.hour - closes) / 0.6))
    lunch = 1.0 - 0.2 * np.exp(-(((time.hour - 12.5) / 0.7) ** 2))
    shape: Array = 0.15 + 0.85 * day * lunch * np.where(time.working > 0.0, 1.0, 0.08)
    return shape


def batch_shape(time: LocalTime, rng: np.random.Generator) -> Array:
    """1 in a nightly window of one to three hours, else near nothing."""
    begins, lasts = rng.uniform(0.0, 5.0), rng.uniform(1.0, 3.0)
    shape: Array = np.where((time.hour - begins) % 24.0 < lasts, 1.0, 0.03)
    return shape


def burst_shape(time: LocalTime, profile: Profile, rng: np.random.Generator) -> Array:
    """Bursts that come at random (Poisson) and last exponentially long, over a low floor."""
    steps = len(time.hour)
    shape = np.full(steps, profile.burst_floor)
    seconds = steps * time.step_s
    count = rng.poisson(profile.bursts_per_day * seconds / (24.0 * SECONDS_PER_HOUR))
    begins = rng.integers(0, max(steps, 1), size=count)
    lasts = np.maximum(1, np.rint(rng.exponential(profile.burst_s, size=count) / time.step_s)).astype(int)
    for begin, last in zip(begins, lasts, strict=True):
        shape[begin : begin + last] = 1.0
    return shape


def habit_of(vm: Vm, profile: Profile, seed: int) -> Habit:
    """The habit that a VM draws; one that serves a room follows the people there."""
    if vm.room is not None:
        return Habit.MEETING
    names = list(profile.shares)
    odds = np.array([profile.shares[name] for name in names])
    return names[int(stream(seed, "vm-habit", vm.id).choice(len(names), p=odds / odds.sum()))]


def _shape(habit: Habit, time: LocalTime, profile: Profile, rng: np.random.Generator) -> Array:
    if habit is Habit.OFFICE:
        return office_shape(time, rng)
    if habit is Habit.BATCH:
        return batch_shape(time, rng)
    if habit is Habit.BURSTY:
        return burst_shape(time, profile, rng)
    return np.ones(len(time.hour))


def vm_demand(vm: Vm, time: LocalTime, profile: Profile, seed: int, people: Array | None = None) -> Array:
    """Demand of one VM as a share of its CPU, shape (steps,).

    Args:
        vm: the machine.
        time: the grid.
        profile: parameters.
        seed: of the whole run.
        people: people in the room that it serves, shape (steps,).
    """
    habit = habit_of(vm, profile, seed)
    rng = stream(seed, "vm-demand", vm.id)
    level = profile.level[habit] * np.exp(rng.normal(0.0, profile.spread))
    noise = coloured_noise(len(time.hour), time.step_s, profile.memory_s, rng)
    demand = level * _shape(habit, time, profile, rng)
    if habit is Habit.MEETING:
        demand = 0.02 + profile.per_person * (np.zeros(len(time.hour)) if people is None else people)
    jitter = np.exp(profile.noise * noise - profile.noise**2 / 2.0)
    clipped: Array = np.clip(FLOOR + demand * jitter, 0.0, 1.0)
    return clipped


def generate_demand(
    vms: Sequence[Vm],
    time: LocalTime,
    *,
    seed: int,
    profile: Profile = DEFAULT_PROFILE,
    people: Mapping[str, Array] | None = None,
) -> Array:
    """Demand of every VM as a share of its own CPU, shape (steps, VMs).

    Args:
        vms: the machines.
        time: the grid in site time, from ``local_time``.
        seed: of the whole run.
        profile: parameters of the generator.
        people: room → people in it, each of shape (steps,), for VMs that serve a room.
    """
    rooms = people or {}
    columns = [vm_demand(vm, time, profile, seed, rooms.get(vm.room or "")) for vm in vms]
    return np.column_stack(columns) if columns else np.zeros((len(time.hour), 0))
