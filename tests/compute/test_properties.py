"""What holds for any demand and policy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.compute import ComputeModel, Rules
from twin.compute.contention import granted_share
from twin.compute.latency import SERVICE_MS, response_ms
from twin.compute.migration import pre_copy
from twin.compute.power import power_w
from twin.policy import Consolidation, Policy
from twin.site import Host, HostType, Vm
from twin.streams import stream

CURVE_W = (60.0, 90.0, 100.0, 108.0, 117.0, 127.0, 138.0, 150.0, 164.0, 180.0, 200.0)
TYPE = HostType(name="t", cores=16, core_mips=2500.0, ram_mb=65_536.0, power_w=CURVE_W)
HOSTS = [Host(id=f"h{i}", type="t") for i in range(5)]
STEPS = 120

policies = st.builds(
    lambda overload, selection, limit, power_down: Policy(
        consolidation=Consolidation(overload=overload, selection=selection, max_migrations_per_step=limit),
        power_down_idle_hosts=power_down,
    ),
    st.sampled_from(["static", "iqr", "mad", "lr", "lrr"]),
    st.sampled_from(["mmt", "rs", "mu", "mc"]),
    st.integers(1, 8),
    st.booleans(),
)


def cluster(seed: int) -> list[Vm]:
    rng = stream(seed, "cluster")
    sizes = rng.choice([2048.0, 8192.0, 16_384.0], size=14)
    return [
        Vm(
            id=f"v{i}",
            vcpus=4,
            mips=10_000.0,
            ram_mb=float(sizes[i]),
            dirty_mb_s=float(rng.choice([5.0, 40.0, 200.0])),
            anti_affinity="pair" if i < 2 else None,
            pinned=i == 2,
        )
        for i in range(14)
    ]


def demand(seed: int, period: int) -> np.ndarray:
    """A square wave with noise: the worst case for a policy that follows it."""
    rng = stream(seed, "demand")
    high = (np.arange(STEPS)[:, None] // period + rng.integers(0, 2, 14)) % 2
    return np.clip(0.05 + 0.75 * high + rng.normal(0.0, 0.05, (STEPS, 14)), 0.0, 1.0)


@settings(max_examples=25, deadline=None)
@given(policy=policies, seed=st.integers(0, 50), period=st.integers(1, 60))
def test_memory_rules_and_budgets_hold_and_migrations_are_conserved(policy: Policy, seed: int, period: int) -> None:
    vms = cluster(seed)
    model = ComputeModel(HOSTS, [TYPE], vms, policy, seed=seed)
    before, changes = model.host_of.copy(), 0
    for row in demand(seed, period):
        step = model.step(row)
        assert np.all(model.memory_mb() <= TYPE.ram_mb)
        assert step.placement[0] != step.placement[1]
        assert step.placement[2] == before[2]
        assert np.all(step.host_on[step.placement] == 1.0)
        changes += int((step.placement != before).sum())
        before = step.placement
    moves = model.result().migrations
    assert changes == sum(move.completed for move in moves)
    assert max((sum(move.vm == vm.id for move in moves) for vm in vms), default=0) <= model.rules.moves_per_vm_day


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_energy_without_moves_is_the_curve_at_the_load(seed: int) -> None:
    vms = cluster(seed)
    rows = demand(seed, 7)
    model = ComputeModel(HOSTS, [TYPE], vms, Policy())
    expected = np.zeros(5)
    got = np.zeros(5)
    for row in rows:
        load = np.bincount(model.host_of, weights=row * 10_000.0, minlength=5) / 40_000.0
        expected += power_w(np.array([CURVE_W] * 5), load)
        got += model.step(row).host_power_w
    np.testing.assert_allclose(got, expected)


@settings(max_examples=15, deadline=None)
@given(policy=policies, seed=st.integers(0, 50))
def test_power_stays_between_all_asleep_and_all_at_full_load(policy: Policy, seed: int) -> None:
    model = ComputeModel(HOSTS, [TYPE], cluster(seed), policy)
    for row in demand(seed, 9):
        power = model.step(row).host_power_w
        assert np.all(power >= TYPE.sleep_power_w - 1e-9)
        assert np.all(power <= CURVE_W[-1] + 1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 50))
def test_packing_saves_energy_on_a_quiet_cluster(seed: int) -> None:
    vms, rows = cluster(seed), np.full((STEPS, 14), 0.03)
    energy = []
    for policy in (Policy(), Policy(consolidation=Consolidation(), power_down_idle_hosts=True)):
        model = ComputeModel(HOSTS, [TYPE], vms, policy)
        energy.append(sum(float(model.step(row).host_power_w.sum()) for row in rows))
    assert energy[1] < energy[0]


@given(asked=st.floats(0.0, 1e6), capacity=st.floats(1.0, 1e6))
def test_nobody_is_given_more_than_there_is_or_than_they_ask(asked: float, capacity: float) -> None:
    share = granted_share(np.array([asked]), np.array([capacity]))[0]
    assert 0.0 <= share <= 1.0
    assert asked * share <= capacity * (1.0 + 1e-12)


@given(ram=st.floats(64.0, 1e5), dirty=st.floats(0.0, 2000.0), link=st.floats(1.0, 5000.0), factor=st.floats(1.1, 10.0))
def test_a_wider_link_never_makes_a_copy_longer(ram: float, dirty: float, link: float, factor: float) -> None:
    slow, fast = pre_copy(ram, dirty, link), pre_copy(ram, dirty, link * factor)
    assert fast.converged or not slow.converged
    if slow.converged:
        assert fast.duration_s <= slow.duration_s * (1.0 + 1e-9) + 0.3
    assert slow.sent_mb <= slow.duration_s * link * (1.0 + 1e-9)


@given(low=st.floats(0.0, 0.99), more=st.floats(0.0, 0.5), cores=st.integers(1, 128))
def test_response_time_rises_with_load(low: float, more: float, cores: int) -> None:
    times = [response_ms(np.array([u]), np.array([float(cores)]))[0] for u in (0.0, low, low + more)]
    assert SERVICE_MS == times[0] <= times[1] <= times[2]


def test_one_core_waits_as_the_queue_of_one_server_says() -> None:
    """M/M/1: response = service / (1 - load)."""
    np.testing.assert_allclose(response_ms(np.array([0.75]), np.array([1.0])), SERVICE_MS / 0.25)


def test_a_spare_host_stays_on() -> None:
    rules = Rules(consolidate=True, power_down=True, spare_hosts=1)
    spare = ComputeModel(HOSTS, [TYPE], cluster(3), Policy(), rules=rules)
    for row in np.full((STEPS, 14), 0.03):
        step = spare.step(row)
    used = np.bincount(step.placement, minlength=5) > 0
    assert step.host_on.sum() == used.sum() + 1
