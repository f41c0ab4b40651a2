"""Errors of calibrated power: a real cluster on days it never saw, and server curves from idle and peak alone.

Lisa: a day at a time is held out, the model is fitted to the other days, and every 30 s step of the held-out day is
compared; ``mape_pct`` is over all days. SPECpower: each server's nine points between idle and peak are predicted by
shapes learnt from the other servers; ``median_mape_pct`` is the median over servers of the mean error of nine points.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from itertools import combinations

import frame
import numpy as np
from numpy.typing import NDArray

from connectors.host_types import read_host_types
from twin.compute.power_fit import IDLE_BELOW, ClusterLoad, cvrmse_pct, fit_power, held_out, mape_pct
from twin.compute.power_shape import left_out_errors

HOST_CORES = 16
HOST_MHZ = 33_600.0
STEP_S = 30
DAY_STEPS = 2880
BLOCK_STEPS = 720
"""Six hours."""

Array = NDArray[np.float64]


def measure(chosen: argparse.Namespace) -> frame.Document:
    """Both measures."""
    load, power, baseline = _lisa()
    day = np.arange(len(power)) // DAY_STEPS
    days = range(int(day.max()) + 1)
    predicted = np.concatenate([held_out(load, power, day, [out]) for out in days])
    by_day = [mape_pct(predicted[day == out], power[day == out]) for out in days]
    two = [mape_pct(held_out(load, power, day, pair), power[np.isin(day, pair)]) for pair in combinations(days, 2)]
    forward = [mape_pct(_forward(load, power, day, out), power[day == out]) for out in days if out > 0]
    model = fit_power(load, power, BLOCK_STEPS, seed=chosen.seed)
    servers = read_host_types(frame.ROOT / "data" / "host_types.csv")
    errors = left_out_errors([s.facts for s in servers], np.array([s.type.power_w for s in servers]))
    lines = np.array([_straight(np.array(s.type.power_w)) for s in servers])
    return {
        "surf_lisa": {
            "mape_pct": mape_pct(predicted, power),
            "cvrmse_pct": cvrmse_pct(predicted, power),
            "mape_by_held_out_day_pct": by_day,
            "mape_two_days_held_out_pct": float(np.mean(two)),
            "mape_next_day_from_days_before_pct": forward,
            "mape_line_in_cpu_pct": _baseline(baseline[:, :2], power, day),
            "mape_line_in_cpu_and_cores_pct": _baseline(baseline, power, day),
            "model": asdict(model),
        },
        "specpower": {
            "median_mape_pct": float(np.median(errors)),
            "p90_mape_pct": float(np.percentile(errors, 90)),
            "mean_mape_pct": float(errors.mean()),
            "straight_line_median_mape_pct": float(np.median(lines)),
            "servers": len(servers),
        },
    }


def _lisa() -> tuple[ClusterLoad, Array, Array]:
    """Load and power of the cluster, and the columns of plain lines."""
    from pyarrow import parquet

    folder = frame.shared_folder("telemetry", "surf_lisa")
    power = parquet.read_table(folder / "cluster_power_30s.parquet")
    cpu = parquet.read_table(folder / "cluster_cpu_30s.parquet")
    jobs = parquet.read_table(folder / "task_cpu_30s.parquet", columns=["ts", "cpu_mhz"])
    watts = power.column("power_w").to_numpy().astype(float)
    begun = power.column("ts").to_numpy()[0]
    step = ((jobs.column("ts").to_numpy() - begun) / np.timedelta64(STEP_S, "s")).astype(np.int64)
    share = jobs.column("cpu_mhz").to_numpy() / HOST_MHZ
    idle = np.bincount(step[share < IDLE_BELOW], minlength=len(watts))[: len(watts)]
    used = cpu.column("cpu_mhz").to_numpy().astype(float) / HOST_MHZ
    allocated = cpu.column("cores_allocated").to_numpy().astype(float) / HOST_CORES
    lines = np.column_stack([np.ones(len(watts)), used, allocated])
    return ClusterLoad(used=used, busy=allocated - idle), watts, lines


def _forward(load: ClusterLoad, power: Array, day: NDArray[np.int64], out: int) -> Array:
    known = day <= out
    part = ClusterLoad(used=load.used[known], busy=load.busy[known])
    return held_out(part, power[known], day[known], [out])


def _baseline(design: Array, power: Array, day: NDArray[np.int64]) -> float:
    """Plain least squares, a day held out at a time. [%]"""
    errors = []
    for out in range(int(day.max()) + 1):
        hidden = day == out
        fit = np.linalg.lstsq(design[~hidden], power[~hidden], rcond=None)[0]
        errors.append(mape_pct(design[hidden] @ fit, power[hidden]))
    return float(np.mean(errors))


def _straight(watts: Array) -> float:
    guess = watts[0] + (watts[-1] - watts[0]) * np.arange(1, 10) / 10.0
    return mape_pct(guess, watts[1:-1])


if __name__ == "__main__":
    frame.run(__doc__, measure)
