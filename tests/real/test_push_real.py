"""A plan pushed to a real BACnet device and rolled back; real hosts have theirs in test_libvirt_live.py."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from peers import BacnetPeer, free_port

from connectors.change_control import PushSettings
from connectors.set_point import Allowance
from connectors.simulated.trial_desk import TrialDesk
from twin.plan import Action, ActionKind, PlanState, StepState, Value
from twin.plans.document import Guard, Step, Target, TargetKind
from twin.vocab import PointKind

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
SETTINGS = PushSettings(write_timeout_s=2.0, backoff_s=0.2, poll_s=0.1, lease_s=30.0)


def step(connector: str, point: str, value: Value, expected: Value | None) -> Step:
    action = Action(
        id=f"set {point}",
        kind=ActionKind.SET_POINT,
        connector=connector,
        point=point,
        value=value,
        expected=expected,
        tolerance=1e-3,
    )
    zone = point.split("/", maxsplit=1)[0]
    target = Target(kind=TargetKind.ZONE, id=zone, rooms=(zone,))
    return Step(action=action, target=target, inside_calibrated_range=True)


def test_a_plan_is_pushed_to_bacnet_and_rolled_back_and_an_operator_keeps_his_room(
    tmp_path: Path, bacnet_peer: BacnetPeer
) -> None:
    from connectors.bacnet.connector import BacnetConnector
    from connectors.bacnet.settings import BacnetDevice, BacnetPoint, BacnetSettings

    names = {n: f"zone-{n}/cooling_setpoint" for n in range(1, 6)}
    allowed = Allowance(min=15.0, max=30.0)
    points = {
        name: BacnetPoint(device="ahu", object=f"analog-value,{n}", kind=PointKind.ZONE_COOLING_SETPOINT, write=allowed)
        for n, name in names.items()
    }
    points |= {"zone-1/temperature": BacnetPoint(device="ahu", object="analog-input,1")}
    connector = BacnetConnector(
        "bms",
        BacnetSettings(
            bind=f"127.0.0.1/8:{free_port(socket.SOCK_DGRAM)}",
            devices={"ahu": BacnetDevice(instance=bacnet_peer.instance, address=bacnet_peer.address)},
            points=points,
            timeout_s=1.0,
        ),
    )
    try:
        before = {name: connector.read([name])[0].value for name in names.values()}
        site = TrialDesk(tmp_path / "plans", {"bms": connector}, SETTINGS)
        steps = [step("bms", name, 23.5, before[name]) for name in names.values()]
        guard = Guard(name="air", connector="bms", point="zone-1/temperature", low=0.0, high=60.0)
        plan_id = site.approved(steps, guards=[guard], rooms_in_site=5, settle_s=0.5)
        bacnet_peer.operator(5, 19.0)
        assert site.control.push(plan_id, "olga").state is PlanState.PUSHED
        assert site.states(plan_id) == [StepState.VERIFIED] * 4 + [StepState.OVERRIDDEN]
        assert bacnet_peer.slots(1) == {"13": 23.5}
        assert site.control.rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
        assert [bacnet_peer.slots(n) for n in range(1, 6)] == [{}, {}, {}, {}, {"8": 19.0}]
        assert site.folder.verify(site.store) == []
    finally:
        connector.close()
