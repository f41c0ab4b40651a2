"""The live state of real hosts: heard at once, who may move where, proposed as a site, planned from, pushed, undone."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("libvirt")
pytest.importorskip("httpx2")

from closet_site import PASSWORD, SITE, SYSTEMS, HurriedClock, by_hand, connectors, model, points, proposed, telemetry
from libvirt_moves import Background, moving, settings, slow_down, to_host, unbroken
from peers import ROOT, sushy, wait_until

from connectors.governance import Role
from connectors.libvirt_hosts.connector import LibvirtConnector
from connectors.libvirt_hosts.settings import LibvirtHost
from connectors.telemetry_store import ParquetTelemetryStore
from twin.cli import run
from twin.cli.control_room import open_control_room
from twin.cli.workspace import Workspace
from twin.errors import OutsideWorldError, RefusedError
from twin.plan import ActionKind, CheckVerdict, PlanState

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


class Ear(list):
    """What was heard."""

    def told(self, *words: str) -> bool:
        return any(all(word in sentence for word in words) for sentence in self)


@pytest.fixture
def ear(fresh, connector: LibvirtConnector) -> Iterator[Ear]:
    """Events of all hosts from here on."""
    heard = Ear()
    watch = connector.listen(heard.append)
    wait_until(lambda: watch.listening == frozenset(fresh.hosts), 10.0, "all hosts to be heard")
    heard.clear()
    yield heard
    watch.close()


def test_what_people_do_by_hand_is_heard_at_once_and_again_after_a_lost_connection(fresh, ear: Ear) -> None:
    by_hand(fresh, "g1", "h3")
    wait_until(lambda: ear.told("h3: g1 went on by a live migration"), 2.0, str(ear))
    wait_until(lambda: ear.told("h1: g1 stopped by a live migration"), 2.0, str(ear))
    fresh.virsh("h2", "destroy", "g2")
    wait_until(lambda: ear.told("h2: g2 stopped"), 2.0, str(ear))
    fresh.daemon_kill("h1")
    wait_until(lambda: ear.told("h1: its events are not heard any more"), 10.0, str(ear))
    fresh.daemon_start("h1")
    wait_until(lambda: ear.told("h1: its events are heard"), 15.0, str(ear))
    by_hand(fresh, "g1", "h1")
    wait_until(lambda: ear.told("h1: g1 went on by a live migration"), 2.0, str(ear))


def test_the_planner_sees_a_guest_on_its_way_once_and_leaves_it_alone(fresh, connector: LibvirtConnector) -> None:
    slow_down(fresh)
    work = Background(connector, to_host("h2"))
    moving(fresh)
    live = connector.live_placement()
    assert [(vm.host, vm.half_on, vm.stays) for vm in live.vms if vm.id == "g1"] == [
        ("h1", ("h2",), "it is being moved"),
    ]  # fmt: skip
    assert [live.running_on(host) for host in fresh.hosts] == [1, 2, 1]
    assert work.end() is None
    moved = {vm.id: (vm.host, vm.stays) for vm in connector.live_placement().vms}
    assert moved["g1"] == ("h2", "")
    assert moved["g3"] == ("h3", "it is not under 'guests', so it is not touched")


def test_a_dark_host_makes_the_placement_uncertain_not_empty(rig) -> None:
    wanted = settings(rig)
    dark = {**wanted.hosts, "h3": LibvirtHost(uri=f"qemu+tcp://{rig.subnet}.99/system")}
    live = LibvirtConnector("cloud", replace(wanted, hosts=dark, timeout_s=2.0)).live_placement()
    assert live.silent == ("h3",)
    assert {vm.id for vm in live.vms} == {"g1", "g2"}


@pytest.mark.parametrize(
    ("also", "reason"),
    [
        (lambda xml: xml, "h2 already defines a guest with its UUID"),
        (lambda xml: re.sub("<uuid>.*</uuid>", "", xml), "h2 has another guest of that name"),
    ],
    ids=["uuid", "name"],
)
def test_a_name_or_uuid_that_is_taken_at_the_target_refuses_beforehand(rig, connector, also, reason: str) -> None:
    if rig.where("g1") != ["h1"]:
        rig.reset()
    define(rig, "h2", also(rig.guest_xml("g1")))
    try:
        assert connector.check(to_host("h2")).reason == f"vm/g1/host: {reason}"
        with pytest.raises(RefusedError, match=reason):
            connector.apply(to_host("h2"))
    finally:
        rig.virsh("h2", "undefine", "g1")
    assert rig.where("g1") == ["h1"]
    assert connector.check(to_host("h2")).verdict is CheckVerdict.READY


@pytest.fixture
def lesser_h2(rig) -> Iterator[None]:
    """The hypervisor of h2 offers less: its daemon believes that QEMU there lacks a feature that every guest uses."""
    rig.virsh("h2", "domcapabilities", "--virttype", "qemu", "--arch", "x86_64")
    known = {path: path.read_text() for path in (rig.dir / "h2" / "cache" / "qemu" / "capabilities").glob("*.xml")}
    has = "<property name='lahf-lm' type='boolean' value='{}'"
    assert any(has.format("true") in text for text in known.values())
    for path, text in known.items():
        path.write_text(text.replace(has.format("true"), has.format("false")))
    rig.daemon_kill("h2")
    rig.daemon_start("h2")
    yield
    for path, text in known.items():
        path.write_text(text)
    rig.daemon_kill("h2")
    rig.daemon_start("h2")


def test_a_guest_whose_cpu_the_target_lacks_is_refused_and_not_planned_there(rig, connector, lesser_h2) -> None:
    if rig.where("g1") != ["h1"]:
        rig.reset()
    with pytest.raises(RefusedError, match="the CPU of h2 lacks features that it uses"):
        connector.apply(to_host("h2"))
    assert {vm.id: vm.barred_hosts for vm in connector.live_placement().vms}["g1"] == ("h2",)
    assert rig.where("g1") == ["h1"]
    assert connector.check(to_host("h3")).verdict is CheckVerdict.READY


def test_a_guest_with_a_disk_that_only_its_host_has_is_refused_beforehand(fresh, connector) -> None:
    shutil.copy(fresh.disk("g1"), fresh.dir / "h1" / "lib" / "g1.img")
    restart_as(fresh, fresh.guest_xml("g1").replace(str(fresh.disk("g1")), "/var/lib/libvirt/g1.img"))
    with pytest.raises(RefusedError, match=r"/var/lib/libvirt/g1\.img lies outside rules\.shared_paths"):
        connector.apply(to_host("h2"))
    unbroken(fresh)


def test_what_libvirt_calls_unsafe_is_not_forced(fresh, connector) -> None:
    """A writable disk in a folder that is no shared storage to libvirt: it refuses, and we never say UNSAFE."""
    restart_as(fresh, fresh.guest_xml("g1").replace("<readonly/><shareable/>", ""))
    with pytest.raises(OutsideWorldError, match=r"stayed \(Unsafe migration"):
        connector.apply(to_host("h2"))
    assert fresh.where("g1") == ["h1"]
    unbroken(fresh)


def define(rig, host: str, xml: str) -> None:
    (rig.dir / "shared" / "other.xml").write_text(xml)
    rig.virsh(host, "define", rig.dir / "shared" / "other.xml")


def restart_as(rig, xml: str) -> None:
    """Boots g1 of h1 with another definition."""
    rig.virsh("h1", "destroy", "g1")
    (rig.dir / "shared" / "g1.tty").unlink()
    define(rig, "h1", xml)
    rig.virsh("h1", "start", "g1")
    wait_until(lambda: rig.ticks("g1"), 30.0, "g1 to tick")


def workspace(rig, folder: Path, url: str, capsys: pytest.CaptureFixture[str]) -> dict:
    """A workspace whose hosts and VMs are those that ``site discover`` proposes; the proposal."""
    folder.mkdir()
    (folder / "site.yaml").write_text(SITE + connectors(rig, url))
    assert run(["site", "discover", "cloud", "--workspace", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (folder / "site.yaml").write_text(SITE + found["fragment"] + points() + connectors(rig, url))
    return found


def test_ingest_that_follows_tells_of_a_guest_moved_or_killed_by_hand(
    fresh, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It asks once an hour here, so what it tells within seconds it has heard; a killed daemon's events are missed."""
    folder = tmp_path / "ws"
    workspace(fresh, folder, "http://127.0.0.1:9", capsys)
    log = tmp_path / "log"
    argv = [sys.executable, "-m", "twin", "ingest", "--source", "cloud", "--follow", "3600", "--workspace", folder]
    with log.open("w") as told, subprocess.Popen(argv, cwd=ROOT, stdout=told, stderr=told) as follower:
        try:
            wait_until(lambda: log.read_text().count("its events are heard") == 3, 60.0, "the follower")
            time.sleep(1.0)
            by_hand(fresh, "g1", "h3")
            wait_until(lambda: "g1 runs on h3; before: runs on h1" in log.read_text(), 5.0, log.read_text())
            fresh.daemon_kill("h2")
            wait_until(lambda: "h2: its events are not heard" in log.read_text(), 10.0, log.read_text())
            fresh.run("h2", "pkill", "-KILL", "qemu-system")
            fresh.daemon_start("h2")
            wait_until(lambda: "g2 is off at h2; before: runs on h2" in log.read_text(), 20.0, log.read_text())
        finally:
            follower.send_signal(signal.SIGTERM)
        assert follower.wait(20) == 0
    health = json.loads((folder / "var" / "telemetry" / "health.json").read_text())
    assert {one["point"] for one in health["findings"] if one["kind"] == "placement"} == {"g1", "g2"}
    rows = ParquetTelemetryStore(folder / "var" / "telemetry").read()
    assert {"g1/vm_cpu_utilization", "g3/vm_cpu_utilization"} <= set(rows["point"])


@pytest.fixture
def redfish(tmp_path: Path) -> Iterator[str]:
    """Power of the three hosts; switching it does not touch the rig."""
    with sushy(tmp_path, SYSTEMS) as address:
        yield address


def test_real_hosts_are_discovered_emptied_by_a_plan_and_used_again(
    fresh, redfish: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ws"
    found = workspace(fresh, folder, redfish, capsys)
    assert {vm["id"]: vm["host"] for vm in found["vms"]} == {"g1": "h1", "g2": "h2", "g3": "h3"}
    assert {vm["anti_affinity"] for vm in found["vms"]} == {"apart-1", None}
    telemetry(folder)
    model(folder)
    for guest, there in (("g1", "h2"), ("g2", "h1")):  # what the file says is no longer so
        by_hand(fresh, guest, there)
    clock = HurriedClock()
    room = open_control_room(folder, clock=clock)
    for name in ("paula", "anna", "olga"):
        room.identity.add(name, PASSWORD, [Role.PROPOSER, Role.APPROVER, Role.OPERATOR])
    people = {name: room.identity.authenticate(name, PASSWORD) for name in ("paula", "anna", "olga")}
    plan_id = proposed(Workspace.at(folder), room, people["paula"])
    plan = room.store.plan(plan_id)
    machines = [step.action for step in plan.steps() if step.action.kind is not ActionKind.SET_POINT]
    assert [(one.connector, one.point, one.expected, one.value) for one in machines] == [
        ("cloud", "vm/g2/host", "h1", "h2"),
        ("bmc", "host/h1/power", "on", "off"),
    ]
    assert "g1 is on h2, not on h1 as the site file says" in plan.evidence.assumptions
    for name in ("anna", "olga"):
        room.approvals.approve(plan_id, people[name], "looked at")
    assert room.control.push(plan_id, "olga").state is PlanState.PUSHED
    assert [fresh.where(guest) for guest in ("g1", "g2", "g3")] == [["h2"], ["h2"], ["h3"]]
    assert room.connectors["bmc"].read(["host/h1/power"])[0].value == "off"
    assert room.control.rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
    assert [fresh.where(guest) for guest in ("g1", "g2", "g3")] == [["h2"], ["h1"], ["h3"]]
    assert room.connectors["bmc"].read(["host/h1/power"])[0].value == "on"
    assert room.folder.verify(room.store) == []
    for guest in ("g1", "g2", "g3"):
        unbroken(fresh, guest)
