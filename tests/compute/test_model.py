"""The default mode: energy, moves, sleep and wake."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from twin.compute import ComputeModel, LocalTime, Rules, generate_demand
from twin.errors import BadInputError
from twin.policy import Consolidation, Policy
from twin.site import Host, HostType, Vm

CONSOLIDATE = Policy(consolidation=Consolidation(), power_down_idle_hosts=True)


@pytest.fixture
def build(hosts: tuple[Host, ...], host_type: HostType, vms: tuple[Vm, ...]) -> Callable[..., ComputeModel]:
    def model(policy: Policy, rules: Rules | None = None) -> ComputeModel:
        return ComputeModel(hosts, [host_type], vms, policy, rules=rules)

    return model


def test_hosts_without_a_policy_draw_what_their_curve_says(build: Callable[..., ComputeModel]) -> None:
    """3 VMs of 5000 MIPS at 40 % on 20 000 MIPS are 30 %, which is 130 W on the line from 100 to 200 W."""
    step = build(Policy()).step(np.full(12, 0.4))
    np.testing.assert_allclose(step.host_power_w, 130.0)


def test_nothing_moves_without_consolidation(build: Callable[..., ComputeModel]) -> None:
    model = build(Policy(power_down_idle_hosts=True))
    for _ in range(100):
        model.step(np.full(12, 0.02))
    assert model.result().migrations == ()


def test_a_quiet_cluster_is_packed_and_empty_hosts_sleep(build: Callable[..., ComputeModel]) -> None:
    model = build(CONSOLIDATE)
    for _ in range(100):
        step = model.step(np.full(12, 0.05))
    assert step.host_on.sum() == 2  # 8 VMs of 4 GB fill a host's memory, so 12 VMs need two
    np.testing.assert_allclose(np.sort(step.host_power_w)[:2], 5.0)


def test_sleeping_hosts_wake_when_the_others_fill_up(build: Callable[..., ComputeModel]) -> None:
    model = build(CONSOLIDATE)
    for _ in range(100):
        model.step(np.full(12, 0.05))
    for _ in range(100):
        step = model.step(np.full(12, 0.9))
    assert step.host_on.sum() >= 3


def test_square_wave_demand_moves_no_vm_more_often_than_its_budget(build: Callable[..., ComputeModel]) -> None:
    model = build(CONSOLIDATE)
    for k in range(288):
        model.step(np.full(12, 0.9 if (k // 6) % 2 else 0.05))
    moves = model.result().migrations
    assert max((sum(move.vm == vm for move in moves) for vm in model.fleet.vm_ids), default=0) <= 4


def test_pinned_vms_and_groups_are_respected(hosts: tuple[Host, ...], host_type: HostType) -> None:
    vms = [
        Vm(id="a", vcpus=1, mips=2500.0, ram_mb=512.0, host="host-0", pinned=True),
        Vm(id="b", vcpus=1, mips=2500.0, ram_mb=512.0, host="host-1", anti_affinity="pair"),
        Vm(id="c", vcpus=1, mips=2500.0, ram_mb=512.0, host="host-2", anti_affinity="pair"),
    ]
    model = ComputeModel(hosts, [host_type], vms, CONSOLIDATE)
    for _ in range(100):
        placement = model.step(np.full(3, 0.1)).placement
    assert placement[0] == 0
    assert placement[1] != placement[2]


def test_memory_is_never_over_committed(build: Callable[..., ComputeModel]) -> None:
    model = build(CONSOLIDATE)
    for k in range(200):
        placement = model.step(np.full(12, 0.3 if k % 50 < 25 else 0.01)).placement
        assert np.bincount(placement, weights=model.fleet.vm_ram_mb, minlength=4).max() <= 32_768.0


def test_the_same_seed_gives_the_same_run(
    build: Callable[..., ComputeModel], vms: tuple[Vm, ...], chicago: Callable[[int], LocalTime]
) -> None:
    demand = generate_demand(vms, chicago(288), seed=7)
    policy = Policy(consolidation=Consolidation(overload="lr", selection="rs"))
    runs = []
    for _ in range(2):
        model = build(policy)
        for row in demand:
            model.step(row)
        runs.append(model.result())
    np.testing.assert_array_equal(runs[0].host_power_w, runs[1].host_power_w)
    assert runs[0].migrations == runs[1].migrations


def test_demand_of_the_wrong_width_is_refused(build: Callable[..., ComputeModel]) -> None:
    with pytest.raises(BadInputError, match="12 VMs"):
        build(Policy()).step(np.zeros(11))
