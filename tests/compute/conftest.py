"""A small cluster for the tests of the compute twin."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from twin.compute import LocalTime, local_time
from twin.site import Host, HostType, Vm

CURVE_W = (100.0, 110.0, 120.0, 130.0, 140.0, 150.0, 160.0, 170.0, 180.0, 190.0, 200.0)
"""A straight line from 100 to 200 W."""


@pytest.fixture
def host_type() -> HostType:
    return HostType(name="plain", cores=8, core_mips=2500.0, ram_mb=32_768.0, power_w=CURVE_W)


@pytest.fixture
def hosts() -> tuple[Host, ...]:
    return tuple(Host(id=f"host-{i}", type="plain", zone="core") for i in range(4))


@pytest.fixture
def vms() -> tuple[Vm, ...]:
    return tuple(Vm(id=f"vm-{i:02d}", vcpus=2, mips=5000.0, ram_mb=4096.0, host=f"host-{i % 4}") for i in range(12))


@pytest.fixture
def chicago() -> Callable[[int], LocalTime]:
    start = datetime(2024, 3, 4, 6, tzinfo=UTC)
    return lambda steps: local_time(start, steps, 300.0, ZoneInfo("America/Chicago"))
