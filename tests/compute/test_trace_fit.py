"""The generator fitted to traces, made and recorded."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from connectors.traces import read_planetlab
from twin.compute import DEFAULT_PROFILE, Habit, LocalTime, generate_demand, local_time
from twin.compute.trace_fit import fit_profile, habit_in
from twin.errors import BadInputError
from twin.site import Vm

SHARED = Path(os.environ.get("UNDERSTUDY_SHARED", Path(__file__).parents[3] / "shared"))
PLANETLAB = SHARED / "telemetry" / "planetlab" / "planetlab_20110303.parquet"
MANY = [Vm(id=f"vm-{i}", vcpus=2, mips=5000.0, ram_mb=2048.0) for i in range(200)]


def only(habit: Habit) -> MappingProxyType[Habit, float]:
    return MappingProxyType({habit: 1.0})


@pytest.mark.parametrize("habit", [Habit.OFFICE, Habit.BATCH, Habit.IDLE])
def test_habits_are_recognised_in_what_they_make(habit: Habit, chicago: Callable[[int], LocalTime]) -> None:
    time = chicago(7 * 288)
    made = generate_demand(MANY[:40], time, seed=2, profile=replace(DEFAULT_PROFILE, shares=only(habit)))
    found = [habit_in(column, time) for column in made.T]
    assert found.count(habit) > 0.8 * len(found)


def test_a_refit_of_generated_demand_finds_its_parameters(chicago: Callable[[int], LocalTime]) -> None:
    time = chicago(7 * 288)
    truth = replace(DEFAULT_PROFILE, shares=only(Habit.STEADY), noise=0.4, memory_s=3600.0)
    found = fit_profile(generate_demand(MANY, time, seed=3, profile=truth), time)
    assert found.noise == pytest.approx(0.4, rel=0.15)
    assert found.memory_s == pytest.approx(3600.0, rel=0.35)
    assert found.level[Habit.STEADY] == pytest.approx(truth.level[Habit.STEADY], rel=0.15)


def test_the_default_mix_survives_a_refit(chicago: Callable[[int], LocalTime]) -> None:
    time = chicago(7 * 288)
    made = generate_demand(MANY, time, seed=4)
    again = generate_demand(MANY, time, seed=5, profile=fit_profile(made, time))
    assert again.mean() == pytest.approx(made.mean(), rel=0.25)


@pytest.mark.skipif(not PLANETLAB.exists(), reason="the traces are not part of the project")
def test_generated_demand_resembles_the_recorded_day() -> None:
    """Mean within 15 %, 95th percentile of VMs within 35 %; the swing of the sum is not met."""
    trace = read_planetlab(PLANETLAB).percent.T / 100.0
    time = local_time(datetime(2011, 3, 3, tzinfo=UTC), len(trace), 300.0, ZoneInfo("UTC"))
    vms = [Vm(id=f"vm-{i}", vcpus=1, mips=1000.0, ram_mb=1024.0) for i in range(trace.shape[1])]
    made = generate_demand(vms, time, seed=1, profile=fit_profile(trace, time))
    assert made.mean() == pytest.approx(trace.mean(), rel=0.15)
    tops = [np.quantile(demand, 0.95, axis=0).mean() for demand in (made, trace)]
    assert tops[0] == pytest.approx(tops[1], rel=0.35)


def test_gaps_and_short_traces_are_refused(chicago: Callable[[int], LocalTime]) -> None:
    with pytest.raises(BadInputError, match="shorter than a day"):
        fit_profile(np.zeros((100, 2)), chicago(100))
    with pytest.raises(BadInputError, match="gaps"):
        fit_profile(np.full((288, 2), np.nan), chicago(288))
