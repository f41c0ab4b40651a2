"""Batch runs: speed, what workers bring, overhead, memory, and that results never depend on how they were made.

The bundled site with default parameters under days drawn from its telemetry, a year of them where speed is measured;
hosts left out, so the building alone is measured. Each run is one policy with one set of parameters. Killing is real:
a child process gets SIGKILL in the middle and is resumed.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import frame
import numpy as np

from connectors.files import FileSource
from connectors.settings import load_site
from scenarios.expand import DriverRequest, Scenario, World
from scenarios.runner import Twin, run_scenarios
from scenarios.shared_runs import simulate_eight, simulate_sharing
from scenarios.worlds import synthetic
from twin.building.parameters import Parameters
from twin.drivers import Drivers
from twin.policy_text import parse_policy
from twin.site import Site
from twin.telemetry import drivers_from

DAYS_OF_PROOFS = 14
SECONDS_PER_YEAR = 365 * 86_400.0
OFFICE = frame.ROOT / "data" / "office"
YEAR = (datetime(2023, 1, 1, 6, tzinfo=UTC), datetime(2024, 1, 1, 6, tzinfo=UTC))
REQUEST = DriverRequest(kind="replay", start=YEAR[0], end=YEAR[1])


def world(days: int) -> tuple[Site, Drivers]:
    """The bundled site with days drawn from its telemetry."""
    import pandas as pd

    file = load_site(OFFICE / "site.yaml")
    rows = pd.concat([FileSource(source, OFFICE).fetch(None, None) for source in file.sources.values()])
    weeks = ((1, 9), (1, 16), (3, 20), (5, 8), (7, 10), (7, 17), (10, 2), (10, 9), (10, 16), (10, 23))
    starts = [datetime(2023, month, day, 6, tzinfo=UTC) for month, day in weeks]
    stretches = [drivers_from(file.site, rows, start, start + timedelta(days=7)) for start in starts]
    wanted = replace(REQUEST, kind="synthetic", end=YEAR[0] + timedelta(days=days))
    drivers = synthetic(stretches, wanted, file.site, seed=0)
    return file.site, replace(drivers, vm_utilization=None)


def questions(count: int) -> tuple[Scenario, ...]:
    """A baseline and policies with setpoints and supply air of their own."""
    found = []
    for index in range(count):
        text = {
            "cooling_setpoint_c": {"occupied": 24 + 0.01 * (index % 200), "unoccupied": 28},
            "supply_air_temperature_c": {"reset": {"min": 12.8, "max": 15 + index % 5}},
        }
        policy = text if index else {}
        found.append(
            Scenario(
                index=index,
                name=f"scenario {index:04d}",
                request=REQUEST,
                world=World(),
                policy=parse_policy(policy),
                policy_text=dict(policy),
                seeds=(0,),
                baseline="scenario 0000" if index else None,
            )
        )
    return tuple(found)


class Bench:
    """Site, drivers and a place for results."""

    def __init__(self, folder: Path, days: int, members: int = 4) -> None:
        self.folder = folder
        site, self.drivers = world(days)
        self.twin = Twin(
            site=site,
            parameters=tuple(Parameters() for _ in range(members)),
            structural={"cooling": 0.1},
            about={"model_id": "default"},
            simulate=simulate_sharing,
            simulate_eight=simulate_eight,
        )

    def run(self, count: int, to: str, *, workers: int = 1, resume: bool = False, cluster: str | None = None) -> Path:
        """Runs ``count`` scenarios; the folder of their results."""
        result = run_scenarios(
            questions(count),
            self.twin,
            lambda _: (self.drivers,),
            self.folder / to,
            workers=workers,
            resume=resume,
            cluster=cluster,
        )
        return result.folder


def measure(chosen: argparse.Namespace) -> frame.Document:
    """All measures."""
    count = 6 if chosen.quick else 60
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), days=91 if chosen.quick else 365)
        bench.run(2, "warm-up")
        document = _speed(bench, count, 1 if chosen.quick else 3)
        short = Bench(Path(place), days=DAYS_OF_PROOFS)
        one = short.run(24, "one")
        document |= {"identical_bytes": _equal(one, short.run(24, "two", workers=2))}
        document |= {"resume_equal": _killed_and_resumed(short, one, Path(place), times=1 if chosen.quick else 4)}
        document |= {"ray_node_loss_equal": None if chosen.quick else _node_loss(short, one)}
    return document | _memory(count)


def _seconds(action: object, times: int) -> float:
    taken = []
    for number in range(times):
        begun = time.perf_counter()
        action(number)  # type: ignore[operator]
        taken.append(time.perf_counter() - begun)
    return median(taken)


def _speed(bench: Bench, count: int, times: int) -> frame.Document:
    """Speed with one and two processes, and what the batch adds to the bare runs."""
    twin, drivers = bench.twin, bench.drivers
    policies = [twin.site.operation.merge(one.policy) for one in questions(count)]
    runs = count * len(twin.parameters)
    years = runs * drivers.steps * drivers.step_s / SECONDS_PER_YEAR

    def bare(_: int) -> None:
        for policy in policies:
            for parameters in twin.parameters:
                twin.simulate(twin.site, parameters, drivers, policy, seed=0)

    bare_s = _seconds(bare, times)
    alone_s = _seconds(lambda number: bench.run(count, f"alone-{number}"), times)
    pool_s = _seconds(lambda number: bench.run(count, f"pool-{number}", workers=2), times)
    cores = min(2, os.cpu_count() or 1)
    return {
        "runs": runs,
        "scenario_years_per_min": years / min(alone_s, pool_s) * 60.0,
        "parallel_efficiency": alone_s / pool_s / cores,
        "overhead_pct": 100.0 * (alone_s - bare_s) / bare_s,
        "bare_s": bare_s,
        "one_process_s": alone_s,
        "two_processes_s": pool_s,
    }


def _equal(one: Path, other: Path) -> bool:
    """Whether two results hold the same bytes in everything that is a result."""
    names = ["summary.json", "report.html", "manifest.json", *(f"series/{i:04d}.parquet" for i in (0, 1, 23))]
    return one.name == other.name and all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def _killed_and_resumed(bench: Bench, whole: Path, folder: Path, times: int) -> bool:
    """A batch killed with SIGKILL at several points and resumed each time ends in the same bytes."""
    broken = folder / "broken"
    for _ in range(times):
        child = subprocess.Popen([sys.executable, __file__, "--child", str(broken)], cwd=frame.ROOT)
        parts = broken / whole.name / "parts"
        wanted = len(list(parts.glob("*.npz"))) + 4
        while child.poll() is None and len(list(parts.glob("*.npz"))) < wanted:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        child.wait()
    left = len(list((broken / whole.name / "parts").glob("*.npz")))
    frame.note(f"killed {times} times, {left} of 24 scenarios were done")
    return left < 24 and _equal(whole, bench.run(24, "broken", resume=True))


def _node_loss(bench: Bench, whole: Path) -> bool | None:
    """A Ray cluster of two nodes of which one dies in mid-batch gives the same bytes; None without Ray."""
    try:
        from ray.cluster_utils import Cluster
    except ImportError:
        frame.note("Ray is not installed (extra 'cluster'): node loss is not measured")
        return None
    import threading

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    threading.Timer(3.0, lambda: cluster.remove_node(second, allow_graceful=False)).start()
    try:
        return _equal(whole, bench.run(24, "ray", cluster=cluster.address))
    finally:
        cluster.shutdown()


def _memory(count: int) -> frame.Document:
    """Peak memory of a small and a ten times larger batch, each in a process of its own."""
    found = {}
    for name, size in (("rss_mb_small", max(count // 10, 2)), ("rss_mb_large", count)):
        with tempfile.TemporaryDirectory() as place:
            command = [sys.executable, __file__, "--memory", str(size), "--child", place]
            done = subprocess.run(command, cwd=frame.ROOT, capture_output=True, text=True, check=True)
            found[name] = float(done.stdout.strip().splitlines()[-1])
    return dict(found)


def _child(arguments: list[str]) -> None:
    """A batch in this process, for killing or for weighing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", type=Path)
    parser.add_argument("--memory", type=int, default=0)
    chosen = parser.parse_args(arguments)
    bench = Bench(chosen.child.parent, days=DAYS_OF_PROOFS)
    bench.run(chosen.memory or 24, chosen.child.name, resume=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0)


if __name__ == "__main__":
    np.seterr(all="ignore")
    if "--child" in sys.argv:
        _child(sys.argv[1:])
    else:
        frame.run(__doc__, measure)
