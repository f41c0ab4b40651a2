"""A small world for the tests of change control: a building of ten rooms, a cluster of three hosts, one clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from change_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
