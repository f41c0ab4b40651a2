"""The push against a real socket: replies that are lost, lies, a gateway that dies after k of n writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from change_world import ROOMS, room_step, setpoint
from gateway import Gateway, GatewayConnector, serving

from connectors.change_control import PushSettings
from connectors.simulated.trial_desk import TrialDesk
from twin.plan import PlanState, StepState

FAST = PushSettings(write_timeout_s=0.3, backoff_s=0.01, poll_s=0.01, lease_s=5.0, read_max_age_s=1e12)


class Site(TrialDesk):
    def __init__(self, folder: Path, gateway: Gateway) -> None:
        super().__init__(folder, {"building": GatewayConnector("building", gateway.port)}, FAST)
        self.gateway = gateway

    def approved_rooms(self, n: int) -> str:
        return self.approved([room_step(room) for room in ROOMS[:n]])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving({setpoint(room): 24.0 for room in ROOMS}) as gateway:
        yield Site(tmp_path / "plans", gateway)


@pytest.mark.parametrize("fault", ["close", "hang", "error", "lost"])
def test_the_same_error_means_applied_or_not_and_only_the_read_back_tells(site: Site, fault: str) -> None:
    """``lost`` was not applied and is tried again; the others were, and are not written twice."""
    plan_id = site.approved_rooms(2)
    site.gateway.next_faults = [fault]
    assert site.push(plan_id).state is PlanState.PUSHED
    assert site.states(plan_id) == [StepState.VERIFIED] * 2
    assert site.gateway.writes == (3 if fault == "lost" else 2)


def test_an_ok_that_changed_nothing_is_never_verified(site: Site) -> None:
    plan_id = site.approved_rooms(2)
    site.gateway.next_faults = ["ok", *["ignore"] * 3]
    assert site.push(plan_id).state is PlanState.ROLLED_BACK
    assert site.gateway.own == {}


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_a_gateway_that_dies_after_k_of_n_writes_leaves_a_journal_equal_to_the_world(site: Site, k: int) -> None:
    plan_id = site.approved_rooms(4)
    site.gateway.dies_after = None if k == 0 else k
    if k == 0:
        site.gateway.next_faults = ["lost"] * 3
    record = site.push(plan_id)
    expected = PlanState.ROLLED_BACK if k == 0 else PlanState.PAUSED
    assert record.state is expected
    verified = [step for step in site.store.steps(plan_id) if step.state in {StepState.VERIFIED, StepState.UNKNOWN}]
    assert len(verified) == len(site.gateway.own) == k
    site.gateway.dies_after = None
    if k:
        assert site.control.rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
    assert site.gateway.own == {}


def test_a_device_that_dies_on_the_way_back_leaves_the_exact_list_and_a_retry_ends_it(site: Site) -> None:
    plan_id = site.approved_rooms(4)
    site.push(plan_id)
    site.gateway.dies_after = site.gateway.writes + 2
    record = site.control.rollback(plan_id, "olga")
    assert record.state is PlanState.STUCK
    assert all(point in record.reason for point in site.gateway.own)
    assert len(site.gateway.own) == 2
    site.gateway.dies_after = None
    assert site.control.rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
    assert site.gateway.own == {}
