"""VMs that start, resize and stop; links; copies that never end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twin.compute import ComputeModel
from twin.compute.fleet import fleet
from twin.compute.network import copy_mb_s
from twin.compute.packing import Packing
from twin.errors import BadInputError, RefusedError
from twin.policy import Consolidation, Policy
from twin.site import Host, HostType, NetworkLink, Vm

CONSOLIDATE = Policy(consolidation=Consolidation(), power_down_idle_hosts=True)


@pytest.fixture
def model(hosts: tuple[Host, ...], host_type: HostType, vms: tuple[Vm, ...]) -> ComputeModel:
    return ComputeModel(hosts, [host_type], vms, Policy())


def test_a_stopped_vm_asks_for_nothing_and_frees_its_memory(model: ComputeModel) -> None:
    model.stop_vm("vm-00")
    step = model.step(np.full(12, 0.4))
    np.testing.assert_allclose(step.host_power_w, [120.0, 130.0, 130.0, 130.0])
    assert model.memory_mb()[0] == 2 * 4096.0


def test_a_vm_starts_where_it_is_told(model: ComputeModel) -> None:
    model.stop_vm("vm-00")
    model.start_vm("vm-00", host="host-3")
    assert model.step(np.full(12, 0.4)).placement[0] == 3


def test_a_vm_that_runs_cannot_be_started(model: ComputeModel) -> None:
    with pytest.raises(RefusedError, match="runs already on host-0"):
        model.start_vm("vm-00")


def test_a_vm_without_room_is_refused(model: ComputeModel) -> None:
    model.stop_vm("vm-00")
    model.resize_vm("vm-00", mips=5000.0, ram_mb=30_000.0)
    with pytest.raises(RefusedError, match="does not fit on any host"):
        model.start_vm("vm-00")


def test_resizing_changes_demand_and_is_refused_without_memory(model: ComputeModel) -> None:
    model.resize_vm("vm-00", mips=10_000.0, ram_mb=8192.0)
    np.testing.assert_allclose(model.step(np.full(12, 0.4)).host_power_w, [140.0, 130.0, 130.0, 130.0])
    with pytest.raises(RefusedError, match="MB free"):
        model.resize_vm("vm-01", mips=5000.0, ram_mb=40_000.0)


def test_an_unknown_vm_is_named(model: ComputeModel) -> None:
    with pytest.raises(BadInputError, match="'ghost'"):
        model.stop_vm("ghost")


def test_a_vm_that_never_converges_stays_and_is_left_alone(
    hosts: tuple[Host, ...], host_type: HostType, vms: tuple[Vm, ...]
) -> None:
    restless = [replace(vm, dirty_mb_s=5000.0) for vm in vms]
    model = ComputeModel(hosts, [host_type], restless, CONSOLIDATE)
    for _ in range(250):
        model.step(np.full(12, 0.05))
    moves = model.result().migrations
    assert moves
    assert not any(move.completed for move in moves)
    assert len(moves) == len({move.vm for move in moves})
    np.testing.assert_array_equal(model.host_of, np.arange(12) % 4)


def test_copies_share_no_link_at_the_same_time(
    hosts: tuple[Host, ...], host_type: HostType, vms: tuple[Vm, ...]
) -> None:
    model = ComputeModel(hosts, [host_type], vms, CONSOLIDATE)
    for _ in range(30):
        model.step(np.full(12, 0.05))
    moves = sorted(model.result().migrations, key=lambda move: move.at_s)
    for i, first in enumerate(moves):
        for second in moves[i + 1 :]:
            if {first.source, first.target} & {second.source, second.target}:
                assert second.at_s >= first.at_s + first.duration_s


def test_both_ends_of_a_copy_work_for_it(hosts: tuple[Host, ...], host_type: HostType, vms: tuple[Vm, ...]) -> None:
    quiet = ComputeModel(hosts, [host_type], vms, Policy())
    moving = ComputeModel(hosts, [host_type], vms, CONSOLIDATE)
    for _ in range(2):
        calm, busy = quiet.step(np.full(12, 0.05)), moving.step(np.full(12, 0.05))
    assert busy.migrations
    assert busy.host_power_w.sum() > calm.host_power_w.sum()


def test_the_narrowest_link_of_the_path_limits_a_copy(host_type: HostType) -> None:
    hosts = [Host(id=name, type="plain") for name in ("a", "b", "c")]
    links = [
        NetworkLink(a="a", b="switch", mbit_s=1000.0),
        NetworkLink(a="b", b="switch", mbit_s=100.0),
        NetworkLink(a="c", b="switch", mbit_s=10_000.0),
    ]
    width = copy_mb_s(fleet(hosts, [host_type], []), links)
    np.testing.assert_allclose([width[0, 1], width[0, 2]], [100.0 / 16.0, 1000.0 / 16.0])


def test_hosts_without_a_path_are_refused(host_type: HostType) -> None:
    hosts = [Host(id="a", type="plain"), Host(id="b", type="plain")]
    with pytest.raises(BadInputError, match="no path from host a to b"):
        copy_mb_s(fleet(hosts, [host_type], []), [NetworkLink(a="a", b="switch", mbit_s=1000.0)])


def test_over_committed_memory_slows_its_vms(hosts: tuple[Host, ...], host_type: HostType) -> None:
    """Two VMs of 32 GB on a host of 32 GB get half of what they ask for, and the host counts as short."""
    from twin.compute import Rules

    vms = [Vm(id=name, vcpus=2, mips=5000.0, ram_mb=32_768.0, host="host-0") for name in "ab"]
    model = ComputeModel(hosts, [host_type], vms, Policy(), rules=Rules(memory_overcommit=2.0))
    model.step(np.full(2, 0.4))
    assert model.result().slatah == 1.0


def test_a_member_of_a_group_keeps_others_away_from_both_ends_of_its_copy(
    hosts: tuple[Host, ...], host_type: HostType
) -> None:
    vms = [Vm(id="a", vcpus=1, mips=1.0, ram_mb=1.0, host="host-0", anti_affinity="pair")]
    vms.append(Vm(id="b", vcpus=1, mips=1.0, ram_mb=1.0, host="host-3", anti_affinity="pair"))
    packing = Packing(fleet(hosts, [host_type], vms), np.array([1, 3]), np.zeros(2), 1.0)
    packing.hold(np.array([0, 3]))
    np.testing.assert_array_equal(packing.fits(1, 1.0), [False, False, True, True])
