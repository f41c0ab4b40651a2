"""A small site and a twin whose answers are known in closed form."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_twin import SITE, linear_building

from scenarios.runner import Twin
from twin.site import Site

BASELINE = """\
schema_version: 1
name: as operated
period: {from: 2023-07-03, to: 2023-07-05}
drivers: replay
"""
WARMER = """\
schema_version: 1
name: warmer
period: {from: 2023-07-03, to: 2023-07-05}
drivers: replay
policy:
  cooling_setpoint_c: {occupied: 25, unoccupied: 28}
baseline: as operated
"""


@pytest.fixture
def site() -> Site:
    return SITE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a_warmer.yaml").write_text(WARMER)
    (tmp_path / "b_baseline.yaml").write_text(BASELINE)
    return tmp_path


@pytest.fixture
def twin() -> Twin:
    return Twin(
        site=SITE,
        parameters=(1.0, 0.9, 1.1),
        structural={"cooling": 0.1},
        about={"model_id": "fake", "accepted": True},
        simulate=linear_building,
    )
