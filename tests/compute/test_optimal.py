"""The packing with the least power."""

from __future__ import annotations

import numpy as np
import pytest

from twin.compute import ComputeModel
from twin.compute.fleet import fleet
from twin.compute.optimal import BestPacking, PackingTask, best_packing
from twin.policy import Consolidation, Policy
from twin.site import Host, HostType, Vm

pytest.importorskip("ortools")

OPTIMAL = Policy(consolidation=Consolidation(placement="optimal"), power_down_idle_hosts=True)


def pack(types: list[HostType], vms: list[Vm], demand: float, limit: float = 1.0) -> BestPacking | None:
    hosts = [Host(id=f"h{i}", type=kind.name) for i, kind in enumerate(types)]
    facts = fleet(hosts, types, vms)
    task = PackingTask(
        fleet=facts,
        host_of=facts.home,
        demand_mips=np.full(len(vms), demand),
        limit=limit,
        ram_mb=facts.ram_mb,
        fixed=facts.pinned,
    )
    return best_packing(task)


def kind(name: str, idle_w: float, peak_w: float, ram_mb: float = 8192.0) -> HostType:
    watts = tuple(float(w) for w in np.linspace(idle_w, peak_w, 11))
    return HostType(name=name, cores=8, core_mips=1000.0, ram_mb=ram_mb, power_w=watts)


def vm(name: str, host: str, ram_mb: float = 1024.0, group: str | None = None, *, pinned: bool = False) -> Vm:
    return Vm(id=name, vcpus=1, mips=1000.0, ram_mb=ram_mb, host=host, anti_affinity=group, pinned=pinned)


def test_everything_goes_to_the_thriftier_of_two_hosts() -> None:
    best = pack([kind("old", 200.0, 300.0), kind("new", 60.0, 100.0)], [vm("a", "h0"), vm("b", "h1")], 500.0)
    assert best is not None
    np.testing.assert_array_equal(best.host_of, [1, 1])
    assert best.gap == pytest.approx(0.0, abs=1e-6)


def test_memory_groups_and_pins_are_kept() -> None:
    vms = [vm("a", "h0", group="pair"), vm("b", "h1", group="pair"), vm("c", "h0", pinned=True)]
    best = pack([kind("old", 200.0, 300.0), kind("new", 60.0, 100.0)], vms, 100.0)
    assert best is not None
    assert best.host_of[0] != best.host_of[1]
    assert best.host_of[2] == 0


def test_what_does_not_fit_has_no_packing() -> None:
    assert pack([kind("small", 60.0, 100.0)], [vm("a", "h0"), vm("b", "h0")], 5000.0) is None


def test_the_cluster_moves_to_the_goal_within_its_budget(
    hosts: tuple[Host, ...], host_type: HostType, vms: tuple[Vm, ...]
) -> None:
    model = ComputeModel(hosts, [host_type], vms, OPTIMAL)
    for _ in range(100):
        step = model.step(np.full(12, 0.05))
        assert len(step.migrations) <= model.rules.moves_per_step
    assert step.host_on.sum() == 2
    assert np.all(model.memory_mb() <= host_type.ram_mb)
