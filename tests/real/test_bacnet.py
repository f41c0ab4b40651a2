"""The BACnet connector against a real device: a bacpypes3 device in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Timer

import pytest
from peers import BacnetPeer, free_port, wait_until

from connectors.bacnet.connector import BacnetConnector
from connectors.bacnet.settings import BacnetDevice, BacnetPoint, BacnetSettings, Heartbeat
from connectors.conformance import CHECKS, Trial
from connectors.set_point import OURS, Allowance
from twin.errors import BadInputError, OutsideWorldError, RefusedError
from twin.plan import Action, ActionKind, CheckVerdict, Quality
from twin.vocab import PointKind

pytestmark = pytest.mark.real
ALLOWED = Allowance(min=15.0, max=30.0, max_step=6.0)


def settings(peer: BacnetPeer, points: int = 5, **changes: object) -> BacnetSettings:
    named = {
        f"zone-{n}/cooling_setpoint": BacnetPoint(
            device="ahu", object=f"analog-value,{n}", kind=PointKind.ZONE_COOLING_SETPOINT, write=ALLOWED, cov=True
        )
        for n in range(1, points + 1)
    }
    named |= {
        f"zone-{n}/temperature": BacnetPoint(device="ahu", object=f"analog-input,{n}") for n in range(1, points + 1)
    }
    base = BacnetSettings(
        bind=f"127.0.0.1/8:{free_port(socket.SOCK_DGRAM)}",
        devices={"ahu": BacnetDevice(instance=peer.instance, address=peer.address)},
        points={
            **named,
            "plain": BacnetPoint(device="ahu", object="analog-value,9001"),
            "ghost": BacnetPoint(device="ahu", object="analog-value,777", write=ALLOWED),
        },
        timeout_s=0.5,
        breaker_s=1.0,
        probe_s=0.5,
    )
    return replace(base, **changes)


@pytest.fixture
def connect() -> Iterator:
    opened: list[BacnetConnector] = []

    def make(wanted: BacnetSettings) -> BacnetConnector:
        opened.append(BacnetConnector("bms", wanted))
        return opened[-1]

    yield make
    for connector in opened:
        connector.close()


def set_to(value: float, zone: int = 1, **changes: object) -> Action:
    return replace(
        Action(
            id=f"a-{zone}-{value}", kind=ActionKind.SET_POINT, connector="bms",
            point=f"zone-{zone}/cooling_setpoint", value=value, expected=None, tolerance=1e-3,
        ),
        **changes,
    )  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_bacnet_connector_keeps_the_contract(check, bacnet_peer: BacnetPeer, connect) -> None:
    nobody = replace(
        settings(bacnet_peer),
        bind=f"127.0.0.1/8:{free_port(socket.SOCK_DGRAM)}",
        devices={"ahu": BacnetDevice(instance=9, address=f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}")},
    )

    def operator() -> float:
        bacnet_peer.operator(1, 26.5)
        return 26.5

    check(
        Trial(
            connector=connect(settings(bacnet_peer)),
            readable=["zone-1/cooling_setpoint", "zone-2/temperature", "plain"],
            unreadable="ghost",
            action=set_to(23.5),
            forbidden=[
                set_to(99.0), set_to(float("nan")), set_to(29.0), set_to(16.0, point="plain"),
                set_to(22.0, expires_at=datetime(2020, 1, 1, tzinfo=UTC)),
            ],
            unreachable=connect(nobody),
            timeout_s=5.0,
            overwrite=operator,
        )
    )  # fmt: skip


@pytest.mark.parametrize("options", [(), ("--no-multi",), ("--small",)], ids=["multi", "single", "no segments"])
def test_many_points_are_read_from_devices_of_any_ability(options, bacnet_peers, connect) -> None:
    peer = bacnet_peers(*options, points=60)
    connector = connect(settings(peer, points=60))
    names = [f"zone-{n}/{what}" for n in range(1, 61) for what in ("temperature", "cooling_setpoint")]
    assert [reading.value for reading in connector.read(names)] == [20.0 + n for n in range(1, 61) for _ in range(2)]


def test_an_operator_above_us_is_seen_and_refuses_our_write(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer))
    bacnet_peer.operator(1, 19.0)
    reading = connector.read([set_to(23.0).point])[0]
    assert (reading.value, reading.held_by) == (19.0, "operator")
    with pytest.raises(RefusedError, match="held by operator"):
        connector.apply(set_to(23.0))
    assert bacnet_peer.slots(1) == {"8": 19.0}


def test_a_schedule_below_us_is_the_devices_own_program(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer))
    bacnet_peer.operator(1, 24.0, priority=15)
    assert connector.read([set_to(23.0).point])[0].held_by is None
    connector.apply(set_to(23.0))
    assert connector.read([set_to(23.0).point])[0].value == 23.0
    assert bacnet_peer.slots(1) == {"13": 23.0, "15": 24.0}


def test_an_operator_who_comes_later_wins_and_is_not_pushed_back(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer))
    connector.apply(set_to(23.0))
    bacnet_peer.operator(1, 19.0)
    connector.tend()
    connector.tend()
    assert [finding.what for finding in connector.findings()] == ["overridden"]
    assert bacnet_peer.slots(1) == {"8": 19.0, "13": 23.0}


def test_an_action_expires_and_its_slot_is_given_back(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer))
    connector.apply(set_to(23.0, expires_at=datetime.now(UTC) + timedelta(seconds=1.0)))
    assert bacnet_peer.slots(1) == {"13": 23.0}
    wait_until(lambda: bacnet_peer.slots(1) == {}, 5.0, "release at expiry")
    found = wait_until(connector.findings, 5.0, "a word on it")
    assert [finding.what for finding in found] == ["expired and released"]


def test_a_device_that_comes_back_gets_our_command_again_by_itself(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer))
    connector.apply(set_to(23.0))
    bacnet_peer.stop()
    time.sleep(1.5)
    bacnet_peer.start()
    wait_until(lambda: bacnet_peer.slots(1) == {"13": 23.0}, 8.0, "command again")


def test_a_device_restart_loses_our_slot_and_we_notice_and_reassert(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer, probe_s=60.0))
    connector.apply(set_to(23.0))
    bacnet_peer.restart()
    assert bacnet_peer.slots(1) == {}
    connector.tend()
    assert bacnet_peer.slots(1) == {"13": 23.0}
    assert [finding.what for finding in connector.findings()] == ["lost and re-asserted"]


def test_a_slot_that_is_emptied_again_and_again_is_left_alone(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer))
    connector.apply(set_to(23.0))
    for _ in range(4):
        bacnet_peer.operator(1, None, priority=13)
        connector.tend()
    assert bacnet_peer.slots(1) == {}
    assert connector.findings()[-1].what == "given up"


def test_an_older_receipt_does_not_release_a_newer_command(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer))
    older = connector.apply(set_to(23.0))
    newer = connector.apply(set_to(24.0))
    connector.release(older)
    assert bacnet_peer.slots(1) == {"13": 24.0}
    connector.release(newer)
    assert bacnet_peer.slots(1) == {}


def test_a_silent_device_is_an_error_and_then_left_alone_for_a_while(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer, breaker_s=30.0))
    connector.read(["plain"])
    bacnet_peer.stop()
    with pytest.raises(OutsideWorldError, match="no answer from ahu"):
        connector.read(["plain"])
    started = datetime.now(UTC)
    with pytest.raises(OutsideWorldError):
        connector.read(["plain"])
    assert datetime.now(UTC) - started < timedelta(seconds=0.3)


def test_one_dead_device_does_not_hide_the_living(bacnet_peers, connect) -> None:
    living, dead = bacnet_peers(), bacnet_peers(instance=1002)
    wanted = settings(living)
    wanted = replace(
        wanted,
        devices={**wanted.devices, "dead": BacnetDevice(instance=1002, address=dead.address)},
        points={**wanted.points, "far": BacnetPoint(device="dead", object="analog-input,1")},
    )
    dead.stop()
    near, far = connect(wanted).read(["plain", "far"])
    assert (near.value, far.value, far.quality) == (5.0, None, Quality.BAD)


def test_changes_are_reported_and_silence_makes_them_stale(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer, cov_renew_s=1.0, max_age_s=2.5))
    point = "zone-1/cooling_setpoint"
    connector.watch()
    wait_until(lambda: connector.latest([point])[0].value == 21.0, what="first value")
    bacnet_peer.operator(1, 25.0)
    wait_until(lambda: connector.latest([point])[0].value == 25.0, 2.0, "change")
    bacnet_peer.stop()
    wait_until(lambda: connector.latest([point])[0].quality is Quality.STALE, 5.0, "stale")
    bacnet_peer.start()
    wait_until(lambda: connector.latest([point])[0].quality is Quality.GOOD, 6.0, "subscribed again")
    bacnet_peer.operator(1, 18.0)
    wait_until(lambda: connector.latest([point])[0].value == 18.0, 2.0, "change after restart")


def test_a_device_that_froze_renews_its_subscription_and_does_not_add_one(bacnet_peer: BacnetPeer, connect) -> None:
    """Two of each would double its messages, and some devices hold only a few."""
    connector = connect(settings(bacnet_peer, cov_renew_s=1.0, max_age_s=2.5))
    point = "zone-1/cooling_setpoint"
    connector.watch()
    wait_until(lambda: connector.latest([point])[0].value == 21.0, what="first value")
    bacnet_peer.signal(signal.SIGSTOP)
    wait_until(lambda: connector.latest([point])[0].quality is Quality.STALE, 5.0, "stale")
    bacnet_peer.signal(signal.SIGCONT)
    wait_until(lambda: connector.latest([point])[0].quality is Quality.GOOD, 10.0, "subscribed again")
    assert bacnet_peer.tell(do="look", type="analog-value", number=1)["listeners"] == 1


def test_a_frozen_device_does_not_block_longer_than_its_timeout(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer))
    connector.read(["plain"])
    bacnet_peer.signal(signal.SIGSTOP)
    started = datetime.now(UTC)
    with pytest.raises(OutsideWorldError):
        connector.read(["plain"])
    assert datetime.now(UTC) - started < timedelta(seconds=3.0)
    bacnet_peer.signal(signal.SIGCONT)


def test_the_heartbeat_beats_while_we_hold_and_is_given_back(bacnet_peer: BacnetPeer, connect) -> None:
    beat = Heartbeat(device="ahu", object="binary-value,1", every_s=0.2)
    connector = connect(settings(bacnet_peer, heartbeat=beat))
    receipt = connector.apply(set_to(23.0))
    seen: set[float] = set()

    def both() -> bool:
        seen.add(bacnet_peer.tell(do="look", type="binary-value", number=1)["value"])
        return seen == {0.0, 1.0}

    wait_until(both, 5.0, "both states of the heartbeat")
    connector.release(receipt)
    wait_until(lambda: bacnet_peer.slots(1, "binary-value") == {}, 5.0, "heartbeat given back")


def test_objects_are_discovered_with_names_units_and_values(bacnet_peer: BacnetPeer, connect) -> None:
    found = connect(settings(bacnet_peer)).objects(1001, 1001, bacnet_peer.address)
    by_object = {item.object: item for item in found}
    assert by_object["analog-value,2"].name == "zone 2 cooling setpoint"
    assert (by_object["analog-input,3"].unit, by_object["analog-input,3"].value) == ("degrees-celsius", 23.0)


def test_units_on_the_wire_are_converted_both_ways(bacnet_peer: BacnetPeer, connect) -> None:
    wanted = settings(bacnet_peer)
    point = BacnetPoint(
        device="ahu", object="analog-value,1", kind=PointKind.ZONE_COOLING_SETPOINT, unit="degF",
        write=Allowance(min=-10.0, max=30.0),
    )  # fmt: skip
    connector = connect(replace(wanted, points={"cool": point}))
    assert connector.read(["cool"])[0].value == pytest.approx((21.0 - 32.0) / 1.8)
    connector.apply(set_to(20.0, point="cool"))
    assert bacnet_peer.slots(1) == {"13": 68.0}


def test_priorities_of_people_cannot_even_be_configured(bacnet_peer: BacnetPeer) -> None:
    with pytest.raises(BadInputError, match="belong to safety and people"):
        settings(bacnet_peer, priority=8)


def test_a_taken_port_is_an_error_at_once(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer, bind=f"127.0.0.1/8:{bacnet_peer.port}"))
    with pytest.raises(OutsideWorldError, match="cannot be opened"):
        connector.read(["plain"])


def test_our_slot_is_told_from_others_in_a_reading(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer))
    connector.apply(set_to(23.0))
    bacnet_peer.operator(1, 19.0)
    reading = connector.read([set_to(23.0).point])[0]
    assert (reading.value, reading.held_by, reading.own_value) == (19.0, "operator", 23.0)
    bacnet_peer.operator(1, None)
    assert connector.read([set_to(23.0).point])[0].held_by == OURS
    assert connector.check(set_to(23.0)).verdict is CheckVerdict.ALREADY_DONE


@pytest.mark.skipif("UNDERSTUDY_BACNET_DEVICE" not in os.environ, reason="names no device: INSTANCE@IP:PORT")
def test_a_device_of_the_user_is_discovered_and_read(connect) -> None:
    instance, _, address = os.environ["UNDERSTUDY_BACNET_DEVICE"].partition("@")
    bind = os.environ.get("UNDERSTUDY_BACNET_BIND", f"127.0.0.1/8:{free_port(socket.SOCK_DGRAM)}")
    device = BacnetDevice(instance=int(instance), address=address)
    probe = connect(BacnetSettings(bind=bind, devices={"it": device}, points={}))
    found = probe.objects(int(instance), int(instance), address)
    assert found


def test_the_clock_of_a_device_is_compared_with_ours(bacnet_peer: BacnetPeer, connect) -> None:
    assert abs(connect(settings(bacnet_peer)).clock_difference_s()) < 2.0


def test_of_kept_commands_the_lost_are_told_and_left_to_who_keeps_them(bacnet_peer: BacnetPeer, connect) -> None:
    """Another process may just be giving them back, so the one that holds the site writes them again, or does not."""
    beat = Heartbeat(device="ahu", object="binary-value,1", every_s=0.2)
    writer, keeper = connect(settings(bacnet_peer)), connect(settings(bacnet_peer, heartbeat=beat))
    for zone in (1, 2):
        writer.apply(set_to(23.0, zone))
    assert keeper.keep([set_to(23.0, 1), set_to(23.0, 2)]) == []
    wait_until(lambda: bacnet_peer.slots(1, "binary-value"), 5.0, "a beating heart")
    bacnet_peer.operator(1, None, priority=13)
    bacnet_peer.operator(2, 19.0)
    assert keeper.keep([set_to(23.0, 1), set_to(23.0, 2)]) == [set_to(23.0, 1).point]
    keeper.tend()
    assert bacnet_peer.slots(1) == {}
    assert {finding.what for finding in keeper.findings()} == {"lost", "overridden"}
    assert keeper.keep([]) == []
    wait_until(lambda: bacnet_peer.slots(1, "binary-value") == {}, 5.0, "heartbeat given back")


def test_a_connector_that_is_closed_ends_what_others_wait_for(bacnet_peer: BacnetPeer, connect) -> None:
    connector = connect(settings(bacnet_peer, timeout_s=5.0))
    connector.read(["plain"])
    bacnet_peer.signal(signal.SIGSTOP)
    Timer(0.3, connector.close).start()
    with pytest.raises(OutsideWorldError, match="closed"):
        connector.read(["plain"])
    bacnet_peer.signal(signal.SIGCONT)
