"""What is kept of hosts: their states on the run's grid, and every live migration with its moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from fake_twin import SITE, drivers_for, linear_building, recorded

from scenarios.batch import hosts_on
from scenarios.expand import expand
from scenarios.results import migrations_file
from scenarios.runner import Twin, run_scenarios
from scenarios.spec import read_scenario
from twin.drivers import Drivers
from twin.policy import Policy
from twin.result import ComputeResult, Migration, RunResult
from twin.site import Host, HostType, Site

QUESTION = """\
schema_version: 1
name: moved
period: {from: 2023-07-03, to: 2023-07-04}
policy: {cooling_setpoint_c: {occupied: 25, unoccupied: 28}}
"""
MOVE = Migration(at_s=1800.0, vm="v0", source="h0", target="h1", duration_s=12.0, downtime_s=0.2)
HOSTED = replace(
    SITE,
    host_types=(HostType(name="plain", cores=4, core_mips=1000, ram_mb=1024, power_w=tuple(range(100, 210, 10))),),
    hosts=(Host(id="h0", type="plain"), Host(id="h1", type="plain")),
)


def with_hosts(site: Site, parameters: object, drivers: Drivers, policy: Policy, *, seed: int) -> RunResult:
    """The fake twin with two hosts on a grid of 300 s: h1 is always on, h0 sleeps after the first 600 s."""
    run = linear_building(site, parameters, drivers, policy, seed=seed)
    steps = 3 * len(run.it_power_w)
    on = np.ones((steps, 2))
    on[2:, 0] = 0.0
    compute = ComputeResult(
        step_s=300.0,
        host_power_w=100.0 * on,
        host_on=on,
        host_utilization=0.0 * on,
        placement=np.zeros((steps, 1), dtype=np.int64),
        migrations=(MOVE,),
        slatah=0.0,
        pdm=0.0,
        latency_p95_ms=20.0,
        latency_ms=np.full(steps, 20.0),
    )
    return replace(run, compute=compute)


def test_states_of_hosts_are_means_over_the_steps_of_the_run() -> None:
    drivers = recorded()
    on = hosts_on(with_hosts(HOSTED, 1.0, drivers, HOSTED.operation, seed=0))
    assert on.shape == (2, drivers.steps)
    np.testing.assert_allclose(on[0, :2], [2 / 3, 0.0])
    np.testing.assert_allclose(on[1], 1.0)


def test_a_batch_keeps_states_and_migrations_of_its_first_run(tmp_path: Path) -> None:
    file = tmp_path / "moved.yaml"
    file.write_text(QUESTION, encoding="utf-8")
    twin = Twin(site=HOSTED, parameters=(1.0,), structural={}, about={"model_id": "fake"}, simulate=with_hosts)
    done = run_scenarios(expand([read_scenario(file)], HOSTED), twin, drivers_for, tmp_path / "results")
    series = pd.read_parquet(done.folder / "series" / "0000.parquet")
    assert series["host_on.h1"].eq(1.0).all()
    moved = pd.read_parquet(done.folder / migrations_file(0))
    assert moved["at"].tolist() == [pd.Timestamp(datetime(2023, 7, 3, 5, 30, tzinfo=UTC))]
    assert moved[["vm", "source", "target"]].to_numpy().tolist() == [["v0", "h0", "h1"]]
