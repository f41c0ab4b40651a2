"""The consolidation day on PlanetLab traces beside CloudSim's measured figures, with speed, memory and growth.

Each policy runs in a process of its own that gets the trace as an array: one warm-up, then the median of three runs;
``peak_rss_mb`` is of that process. Machine code is built before, once. References are CloudSim 3.0.3 on the same files
in byte order; they are left out for other orders.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import frame
import numpy as np
from numpy.typing import NDArray

from connectors.traces import read_planetlab
from twin.compute.reference import (
    ReferenceDay,
    ReferencePolicy,
    least_energy_kwh,
    reference_facts,
    run_reference_day,
)

DAYS = ("20110303", "20110306", "20110409")
POLICIES = ("npa", "dvfs", "thr", "iqr", "mad", "lr", "lrr", "thr-mu", "lr-mu", "lr-rs", "lr-mc")
QUICK_POLICIES = ("npa", "dvfs", "thr", "lr")
SIZES = ((200, 150), (1_000, 750), (4_000, 2_500), (10_000, 5_000))
"""VMs and hosts of the growth runs."""
REFERENCE_COLUMNS = {
    "energy_kwh": "energy_kwh",
    "migrations": "live_migrations",
    "slatah_pct": "slatah_pct",
    "pdm_pct": "pdm_pct",
}
NAME_IN_REFERENCE = {"thr-mu": "thr_mu_0.8"}

Trace = NDArray[np.int8]


def more_options(parser: argparse.ArgumentParser) -> None:
    """Days, order and policies."""
    parser.add_argument("--day", action="append", help=f"date of a trace file; default {', '.join(DAYS)}")
    parser.add_argument("--order", default="sorted", help="'sorted' (byte order of file names), 'reversed' or a seed")
    parser.add_argument("--policy", action="append", help=f"default {', '.join(POLICIES)}")
    parser.add_argument("--child", help=argparse.SUPPRESS)


def measure(chosen: argparse.Namespace) -> frame.Document:
    """All measures."""
    days = chosen.day or (DAYS[:1] if chosen.quick else DAYS)
    policies = chosen.policy or (QUICK_POLICIES if chosen.quick else POLICIES)
    traces = {day: ordered(day, chosen.order) for day in days}
    first = next(iter(traces.values()))
    child("lr", first[:40], hosts=40, repeats=0, seed=chosen.seed)
    rows = []
    for day, trace in traces.items():
        references = reference_rows(day) if chosen.order == "sorted" else {}
        for policy in policies:
            row = child(policy, trace, hosts=800, repeats=3, seed=chosen.seed)
            reference = references.get(NAME_IN_REFERENCE.get(policy, policy))
            rows.append({"day": day, "policy": policy} | row | {"reference": reference})
            frame.note(
                f"{day} {policy}: {row['energy_kwh']:.3f} kWh, {row['migrations']} migrations, {row['wall_s']:.3f} s"
            )
    return {
        "order": chosen.order,
        "days": rows,
        "optimal": optimal(first),
        "scaling": scaling(first, quick=chosen.quick, seed=chosen.seed),
    }


def ordered(day: str, order: str) -> Trace:
    """The day's trace with its rows in an order."""
    trace = read_planetlab(frame.shared_folder("telemetry", "planetlab") / f"planetlab_{day}.parquet").percent
    if order == "sorted":
        return trace
    rows = (
        np.arange(len(trace))[::-1]
        if order == "reversed"
        else np.random.default_rng(int(order)).permutation(len(trace))
    )
    return np.ascontiguousarray(trace[rows])


def reference_rows(day: str) -> dict[str, dict[str, float]]:
    """CloudSim's figures of a day, by policy."""
    path = frame.shared_folder("reference") / "cloudsim_measured.csv"
    with path.open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if (r["day"], r["version"], r["order"]) == (day, "3.0.3", "sorted")]
    return {r["policy"]: {ours: float(r[theirs]) for ours, theirs in REFERENCE_COLUMNS.items()} for r in rows}


def child(
    policy: str, trace: Trace, *, hosts: int, repeats: int, seed: int, placement: str = "pabfd"
) -> frame.Document:
    """One policy in a process of its own."""
    buffer = io.BytesIO()
    np.save(buffer, trace)
    request = json.dumps({"policy": policy, "placement": placement, "hosts": hosts, "repeats": repeats, "seed": seed})
    command = [sys.executable, str(Path(__file__).resolve()), "--child", request]
    done = subprocess.run(command, input=buffer.getvalue(), capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    document: frame.Document = json.loads(done.stdout)
    return document


def serve_child(request: str) -> None:
    """What the process of one policy does."""
    asked = json.loads(request)
    trace = np.load(io.BytesIO(sys.stdin.buffer.read()))
    overload, _, selection = asked["policy"].partition("-")
    policy = ReferencePolicy(
        overload=overload, selection=selection or "mmt", placement=asked["placement"], seed=asked["seed"]
    )
    day = run_reference_day(trace, policy, asked["hosts"])
    wall, cpu = [], []
    for _ in range(asked["repeats"]):
        begun, used = time.perf_counter(), time.process_time()
        day = run_reference_day(trace, policy, asked["hosts"])
        wall.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - used)
    speed = {"wall_s": median(wall or [0.0]), "cpu_s": median(cpu or [0.0]), "peak_rss_mb": peak_rss_mb()}
    bound = {"lower_bound_kwh": least_energy_kwh(reference_facts(trace, asked["hosts"]), day.allocated_mips)}
    print(json.dumps(figures(day) | speed | (bound if overload == "dvfs" else {})))


def peak_rss_mb() -> float:
    """Peak memory of this program; the rusage of a child process starts from its parent's. [MB]"""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def figures(day: ReferenceDay) -> frame.Document:
    """Measures of a day in the units of the literature."""
    return {
        "energy_kwh": day.energy_kwh,
        "migrations": day.migrations,
        "slatah_pct": 100.0 * day.slatah,
        "pdm_pct": 100.0 * day.pdm,
        "slav": day.slav,
        "esv": day.esv,
        "mean_active_hosts": day.mean_active_hosts,
        "host_shutdowns": day.host_shutdowns,
        "vms_left": float(day.vms_alive[-1]),
    }


def optimal(trace: Trace) -> frame.Document:
    """LR-MMT with placement by the true rise of power, beside the energy that no placement can go below."""
    day = child("lr", trace, hosts=800, repeats=0, seed=0, placement="least_rise")
    bound = float(str(child("dvfs", trace, hosts=800, repeats=0, seed=0)["lower_bound_kwh"]))
    energy = float(str(day["energy_kwh"]))
    return {
        "policy": "lr-mmt, least_rise",
        **{key: value for key, value in day.items() if key not in {"wall_s", "cpu_s"}},
        "lower_bound_kwh": bound,
        "gap_pct": 100.0 * (energy - bound) / energy,
    }


def scaling(trace: Trace, *, quick: bool, seed: int) -> list[frame.Document]:
    """LR-MMT on growing clusters whose VMs repeat the trace in random order."""
    rows = []
    for vms, hosts in SIZES[:2] if quick else SIZES:
        order = np.random.default_rng(seed).permutation(-(-vms // len(trace)) * len(trace))[:vms]
        row = child("lr", np.ascontiguousarray(trace[order % len(trace)]), hosts=hosts, repeats=1, seed=seed)
        seconds = float(str(row["cpu_s"]))
        rows.append(
            {
                "hosts": hosts,
                "vms": vms,
                "s_per_simulated_day": seconds,
                "wall_s": row["wall_s"],
                "ns_per_vm_step": seconds / (vms * (trace.shape[1] - 1)) * 1e9,
                "peak_rss_mb": row["peak_rss_mb"],
            }
        )
    return rows


if __name__ == "__main__":
    if "--child" in sys.argv:
        serve_child(sys.argv[sys.argv.index("--child") + 1])
    else:
        frame.run(__doc__, measure, more_options)
