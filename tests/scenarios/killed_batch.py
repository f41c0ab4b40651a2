"""A batch of slow runs in a process of its own, to be killed: ``python killed_batch.py FOLDER``."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from fake_twin import SITE, drivers_for, linear_building

from scenarios.expand import expand
from scenarios.runner import BatchResult, Twin, run_scenarios
from scenarios.spec import read_scenario
from twin.drivers import Drivers
from twin.policy import Policy
from twin.result import RunResult
from twin.site import Site

QUESTION = """\
schema_version: 1
name: grid
period: {from: 2023-07-03, to: 2023-07-05}
policy: {cooling_setpoint_c: {occupied: 24, unoccupied: 28}}
matrix: {cooling_setpoint_c.occupied: [22, 23, 24, 25, 26, 27]}
"""


def slow_building(site: Site, parameters: object, drivers: Drivers, policy: Policy, *, seed: int) -> RunResult:
    """As the fake twin, after a tenth of a second."""
    time.sleep(0.1)
    return linear_building(site, parameters, drivers, policy, seed=seed)


def batch(folder: Path, *, slow: bool) -> BatchResult:
    """Runs or resumes the batch."""
    file = folder / "question.yaml"
    file.write_text(QUESTION, encoding="utf-8")
    twin = Twin(site=SITE, parameters=(1.0, 1.1), structural={}, about={"model_id": "fake"}, simulate=linear_building)
    twin = replace(twin, simulate=slow_building) if slow else twin
    return run_scenarios(expand([read_scenario(file)], SITE), twin, drivers_for, folder / "results", resume=True)


if __name__ == "__main__":
    batch(Path(sys.argv[1]), slow=True)
