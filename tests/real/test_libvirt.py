"""The libvirt connector against real hosts: libvirtd and QEMU in namespaces, real live migration, real faults."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("libvirt")

from libvirt_moves import (
    Background,
    action,
    moving,
    settings,
    slow_down,
    stop_daemon,
    to_host,
    unbroken,
    wake_daemon,
)

import connectors.libvirt_hosts.mover as mover_module
from connectors.change_control import PushSettings
from connectors.conformance import CHECKS, Trial
from connectors.libvirt_hosts.connector import LibvirtConnector
from connectors.libvirt_hosts.moving import Outcome
from connectors.libvirt_hosts.settings import LibvirtHost, StubbornGuest
from connectors.simulated.trial_desk import TrialDesk
from connectors.simulated.trial_site import migrate
from twin.errors import OutsideWorldError, RefusedError
from twin.plan import ActionKind, CheckVerdict, PlanState, Quality, StepState

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_libvirt_connector_keeps_the_contract(check, rig, connector) -> None:
    if rig.where("g1") != ["h1"] or rig.where("g2") != ["h2"]:
        rig.reset()
    nobody = settings(rig)
    nobody = replace(nobody, hosts={"h1": LibvirtHost(uri=f"qemu+tcp://{rig.subnet}.99/system")}, timeout_s=2.0)

    def somebody() -> str:
        rig.virsh("h2", "migrate", "--live", "--p2p", "--persistent", "--undefinesource", "g1", rig.uri("h3", "tcp"))
        return "h3"

    check(
        Trial(
            connector=connector,
            readable=["vm/g1/host", "vm/g2/cpu_time_s", "host/h3/free_bytes"],
            unreadable="vm/nobody/host",
            action=to_host("h2"),
            forbidden=[to_host("h9"), to_host("h1", "g3"), to_host("h1", "nobody")],
            unreachable=LibvirtConnector("nobody", nobody),
            timeout_s=5.0,
            settle_s=1.0,
            overwrite=somebody,
        )
    )


def test_a_guest_moves_and_its_clock_is_unbroken(fresh, connector) -> None:
    receipt = connector.apply(to_host("h3"))
    assert fresh.where("g1") == ["h3"]
    assert (receipt.prior, receipt.value) == ("h1", "h3")
    unbroken(fresh)


def test_a_guest_seen_on_both_hosts_is_counted_once_where_it_runs(fresh, connector) -> None:
    slow_down(fresh)
    work = Background(connector, to_host("h2"))
    moving(fresh)
    picture = connector.look()
    assert [guest.host for guest in picture.guests.values() if guest.name == "g1"] == ["h1"]
    assert sum(guest.name == "g1" for view in picture.views.values() for guest in view.guests) == 2
    assert work.end() is None


def test_a_move_that_does_not_converge_is_aborted_at_its_deadline_and_verified(fresh) -> None:
    connector = LibvirtConnector("cloud", settings(fresh, shortest_deadline_s=6.0))
    slow_down(fresh, dirty=900)
    with pytest.raises(OutsideWorldError, match="stayed"):
        connector.apply(to_host("h2"))
    assert fresh.where("g1") == ["h1"]
    unbroken(fresh)


def test_auto_converge_moves_what_would_not_converge_where_the_owner_allows_it(fresh) -> None:
    connector = LibvirtConnector("cloud", settings(fresh, shortest_deadline_s=4.0, auto_converge=True))
    slow_down(fresh, dirty=500)
    with contextlib.suppress(OutsideWorldError):  # whether throttling wins in time depends on this machine
        connector.apply(to_host("h2"))
    assert len(fresh.where("g1")) == 1
    unbroken(fresh)


def test_a_duplicate_during_the_move_adopts_it_and_one_after_it_is_done(fresh) -> None:
    first, second = (LibvirtConnector(name, settings(fresh)) for name in ("first", "second"))
    slow_down(fresh)
    work = Background(first, to_host("h2"))
    moving(fresh)
    second.apply(to_host("h2"))
    assert work.end() is None
    assert fresh.where("g1") == ["h2"]
    assert second.check(to_host("h2")).verdict is CheckVerdict.ALREADY_DONE
    second.apply(to_host("h2"))
    unbroken(fresh)


def test_a_second_move_to_another_host_is_a_conflict(fresh) -> None:
    first, second = (LibvirtConnector(name, settings(fresh)) for name in ("first", "second"))
    slow_down(fresh)
    work = Background(first, to_host("h2"))
    moving(fresh)
    with pytest.raises(RefusedError, match="another job runs"):
        second.apply(to_host("h3"))
    assert work.end() is None
    assert fresh.where("g1") == ["h2"]


def test_a_killed_pusher_leaves_the_job_going_and_the_next_adopts_it(fresh, tmp_path: Path) -> None:
    slow_down(fresh)
    program = tmp_path / "push.py"
    program.write_text(
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from libvirt_moves import *\nfrom peers import rig_cluster\n"
        "LibvirtConnector('cloud', settings(rig_cluster())).apply(to_host('h2'))\n"
    )
    root = Path(__file__).parents[2]
    pusher = subprocess.Popen([sys.executable, program, root, root / "tests" / "real"])
    moving(fresh)
    pusher.send_signal(signal.SIGKILL)
    pusher.wait()
    connector = LibvirtConnector("cloud", settings(fresh))
    move = connector.move(connector.look().named("g1"), "h2")
    assert (move.outcome, move.adopted) == (Outcome.ARRIVED, True)
    assert fresh.where("g1") == ["h2"]
    unbroken(fresh)


@pytest.mark.parametrize("victim", ["h1", "h2"], ids=["source", "target"])
def test_a_killed_daemon_ends_in_a_state_that_both_hosts_show(fresh, connector, victim: str) -> None:
    slow_down(fresh)
    work = Background(connector, to_host("h2"))
    moving(fresh)
    fresh.daemon_kill(victim)
    time.sleep(2.0)
    fresh.daemon_start(victim)
    error = work.end()
    expected = ["h2"] if error is None else ["h1"]
    assert fresh.where("g1") == expected, error
    unbroken(fresh)


def test_a_power_cut_of_the_target_leaves_the_guest_at_its_source(fresh, connector) -> None:
    slow_down(fresh)
    work = Background(connector, to_host("h2"))
    moving(fresh)
    fresh.power_off("h2")
    time.sleep(3.0)
    fresh.power_on("h2")
    assert "stayed" in str(work.end())
    assert fresh.where("g1") == ["h1"]
    unbroken(fresh)


def test_a_target_that_stays_dark_leaves_the_outcome_unknown_not_good(fresh) -> None:
    connector = LibvirtConnector("cloud", settings(fresh, verify_s=3.0))
    slow_down(fresh)
    work = Background(connector, to_host("h2"))
    moving(fresh)
    fresh.power_off("h2")
    error = work.end()
    assert "unknown" in str(error)
    assert "h2 cannot be asked" in str(error)
    assert fresh.where("g1") == ["h1"]


@pytest.mark.parametrize("peer", [None, "h1", "ctl"], ids=["unplugged", "data path", "control path"])
def test_a_network_cut_ends_in_a_state_that_both_hosts_show(fresh, connector, peer: str | None) -> None:
    slow_down(fresh)
    work = Background(connector, to_host("h2"))
    moving(fresh)
    fresh.cut("h2", peer)
    time.sleep(9.0)
    fresh.heal("h2")
    error = work.end()
    expected = ["h2"] if error is None else ["h1"]
    assert fresh.where("g1") == expected, error
    unbroken(fresh)


@pytest.mark.parametrize("victim", ["h1", "h2"], ids=["source", "target"])
def test_a_hanging_daemon_costs_its_timeout_and_no_more(fresh, victim: str) -> None:
    """It hangs for less than the hosts' own keepalive, and while pages are still being sent."""
    connector = LibvirtConnector("cloud", replace(settings(fresh), timeout_s=2.0))
    connector.read(["host/h1/state"])  # connections stand before anything hangs
    slow_down(fresh)
    work = Background(connector, to_host("h2"))
    moving(fresh)
    stop_daemon(fresh, victim)
    began = time.monotonic()
    shown = connector.read([f"host/{victim}/state"])[0].value
    took_s = time.monotonic() - began
    wake_daemon(fresh, victim)
    assert shown == "silent"
    assert 2.0 <= took_s < 4.0
    error = work.end()
    assert fresh.where("g1") == (["h2"] if error is None else ["h1"]), error
    unbroken(fresh)


def test_a_target_without_memory_refuses_and_the_guest_stays(fresh, connector) -> None:
    subprocess.run(["prlimit", "--pid", str(fresh.libvirtd_pid("h2")), "--as=150000000"], check=True)
    with pytest.raises(OutsideWorldError, match="stayed"):
        connector.apply(to_host("h2"))
    assert fresh.where("g1") == ["h1"]
    fresh.daemon_kill("h2")
    fresh.daemon_start("h2")
    unbroken(fresh)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"pinned": ["g1"]}, "pinned"),
        ({"apart": [["g1", "g2"]]}, "g2 at h2 must not share"),
        ({"shared_paths": ["/srv"]}, "outside rules.shared_paths"),
        ({"memory_margin_bytes": 1e13}, "GiB free"),
        ({"moves_per_host": 0}, "try later"),
    ],
    ids=["pinned", "apart", "disks", "memory", "cap"],
)
def test_a_rule_against_the_move_refuses_it_beforehand(rig, rules: dict, reason: str) -> None:
    if rig.where("g1") != ["h1"] or rig.where("g2") != ["h2"]:
        rig.reset()
    verdict = LibvirtConnector("cloud", settings(rig, **rules)).check(to_host("h2"))
    assert verdict.verdict is CheckVerdict.REFUSED
    assert reason in verdict.reason


def test_declared_memory_counts_what_guests_may_grow_to(rig) -> None:
    wanted = settings(rig)
    small = replace(wanted.hosts["h2"], memory_bytes=120e6)
    connector = LibvirtConnector("cloud", replace(wanted, hosts={**wanted.hosts, "h2": small}))
    if rig.where("g1") != ["h1"]:
        rig.reset()
    assert "GiB free" in connector.check(to_host("h2")).reason


def test_a_shutdown_is_asked_and_waited_for_and_a_start_brings_the_guest_back(fresh, connector) -> None:
    receipt = connector.apply(action(ActionKind.SHUT_DOWN_VM, "state", "shut_off"))
    assert fresh.where("g1") == []
    connector.release(receipt)
    assert fresh.where("g1") == ["h1"]


def test_a_stubborn_guest_is_left_running_and_reported(fresh, connector) -> None:
    fresh.control("g1", stubborn=True)
    time.sleep(2.5)
    with pytest.raises(OutsideWorldError, match="still runs after 8 s"):
        connector.apply(action(ActionKind.SHUT_DOWN_VM, "state", "shut_off"))
    assert fresh.where("g1") == ["h1"]


def test_a_stubborn_guest_is_saved_where_the_owner_says_so_and_continues(fresh) -> None:
    wanted = replace(settings(fresh), stubborn=StubbornGuest.SAVE, shutdown_s=4.0)
    connector = LibvirtConnector("cloud", wanted)
    fresh.control("g1", stubborn=True)
    time.sleep(2.5)
    connector.apply(action(ActionKind.SHUT_DOWN_VM, "state", "shut_off"))
    assert fresh.where("g1") == []
    connector.apply(action(ActionKind.START_VM, "state", "running"))
    unbroken(fresh)


def test_the_plug_of_a_stubborn_guest_is_pulled_only_where_the_owner_says_so(fresh) -> None:
    connector = LibvirtConnector("cloud", replace(settings(fresh), stubborn=StubbornGuest.FORCE, shutdown_s=4.0))
    fresh.control("g1", stubborn=True)
    time.sleep(2.5)
    receipt = connector.apply(action(ActionKind.SHUT_DOWN_VM, "state", "shut_off"))
    assert fresh.where("g1") == []
    assert connector.read(["vm/g1/state"])[0].value == "shut_off"
    connector.release(receipt)
    assert fresh.where("g1") == ["h1"]


def test_vcpus_are_plugged_and_an_uncertain_unplug_is_read_again(fresh, connector) -> None:
    connector.apply(action(ActionKind.RESIZE_VM, "vcpus", 3.0))
    assert connector.read(["vm/g1/vcpus"])[0].value == 3.0
    with contextlib.suppress(OutsideWorldError):  # emulation answers 68 and lets the CPU go late
        connector.apply(action(ActionKind.RESIZE_VM, "vcpus", 2.0))
    shown = connector.read(["vm/g1/vcpus"])[0].value
    assert shown == float(fresh.virsh("h1", "vcpucount", "g1", "--live", "--current").stdout)


def test_more_vcpus_than_the_maximum_are_refused(rig, connector) -> None:
    assert connector.check(action(ActionKind.RESIZE_VM, "vcpus", 99.0)).verdict is CheckVerdict.REFUSED


def test_no_guest_is_started_while_a_host_that_may_run_it_cannot_be_asked(fresh, connector) -> None:
    connector.apply(action(ActionKind.SHUT_DOWN_VM, "state", "shut_off"))
    fresh.power_off("h3")
    with pytest.raises(RefusedError, match="h3 cannot be asked and may run it"):
        connector.apply(action(ActionKind.START_VM, "state", "running"))
    assert connector.read(["vm/g1/state"])[0].quality is Quality.BAD
    fenced = LibvirtConnector("cloud", settings(fresh), fenced=lambda host: host == "h3")
    fenced.apply(action(ActionKind.START_VM, "state", "running"))
    assert fresh.where("g1") == ["h1"]


@pytest.mark.parametrize(
    "ask",
    [
        "connector.read(['host/h3/state'])",
        "call = connector._links['h3'].start(lambda c: c.lookupByName('g3').create()); call.done(5); assert call.error",
    ],
    ids=["read", "failed call"],
)
def test_a_process_ends_although_a_host_that_it_asked_went_dark(fresh, tmp_path: Path, ask: str) -> None:
    program = tmp_path / "look.py"
    program.write_text(
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from libvirt_moves import *\nfrom peers import rig_cluster\n"
        "connector = LibvirtConnector('cloud', settings(rig_cluster()))\n"
        f"{ask}; print('ready', flush=True); input()\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, program, root, root / "tests" / "real"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as looker:
        try:
            assert looker.stdout.readline() == "ready\n"
            fresh.cut("h3")
            looker.communicate("\n", timeout=20.0)
            assert looker.returncode == 0
        finally:
            looker.kill()


def test_rows_of_all_hosts_and_guests_are_fetched(rig, connector) -> None:
    connector.fetch(None, None)
    time.sleep(0.3)
    rows = connector.fetch(None, None).set_index("point")["value"]
    assert rows["host/h1/free_bytes"] > 0
    assert 0.0 <= rows["vm/g2/cpu_utilization"] <= 1.5


def test_a_killed_qemu_of_the_target_leaves_the_guest_at_its_source(fresh, connector) -> None:
    slow_down(fresh)
    work = Background(connector, to_host("h2"))
    moving(fresh)
    os.kill(fresh.qemu_pid("h2", "g1"), signal.SIGKILL)
    assert "stayed" in str(work.end())
    assert fresh.where("g1") == ["h1"]
    unbroken(fresh)


def test_a_killed_qemu_of_the_source_is_told_as_down_and_nothing_is_started_instead(fresh, connector) -> None:
    """Downtime beats split brain: the half-filled copy at the target ends too, and a person starts the guest anew."""
    slow_down(fresh)
    work = Background(connector, to_host("h2"))
    moving(fresh)
    os.kill(fresh.qemu_pid("h1", "g1"), signal.SIGKILL)
    assert "down" in str(work.end())
    assert fresh.where("g1") == []
    assert [host for host in fresh.hosts if fresh.qemu_pid(host, "g1")] == []


def test_a_move_is_never_post_copy_nor_unsafe() -> None:
    """QEMU loses the guest when either side fails after the switch to post-copy: the flag is in no call of a move."""
    import libvirt

    asked = mover_module._BASE_FLAGS | mover_module._PERSISTENT_FLAGS | libvirt.VIR_MIGRATE_AUTO_CONVERGE
    assert not asked & (libvirt.VIR_MIGRATE_POSTCOPY | libvirt.VIR_MIGRATE_POSTCOPY_RESUME | libvirt.VIR_MIGRATE_UNSAFE)
    sources = Path(mover_module.__file__).parent.glob("*.py")
    assert not any("migrateStartPostCopy" in source.read_text(encoding="utf-8") for source in sources)


def test_a_move_that_never_converges_fails_its_step_and_the_push_goes_no_further(fresh, tmp_path: Path) -> None:
    """Deadline, abort, proof that it stayed, once more, then FAILED: the second move never begins."""
    connector = LibvirtConnector("hosts", settings(fresh, shortest_deadline_s=4.0))
    patience = PushSettings(write_timeout_s=1.0, backoff_s=0.2, poll_s=0.1, lease_s=60.0, tries=2)
    desk = TrialDesk(tmp_path / "plans", {"hosts": connector}, patience)
    slow_down(fresh, dirty=900)
    try:
        plan_id = desk.approved([migrate("g1", "h1", "h2"), migrate("g2", "h2", "h3")])
        record = desk.push(plan_id)
    finally:
        connector.close()
    told = [json.loads(row.payload) for row in desk.store.audit()]
    assert "failed" in [one.get("steps", {}).get("move-g1") for one in told]
    assert "vm/g1/host: the device did not take it after 2 tries" in [one.get("reason") for one in told]
    states = {step.action_id: step.state for step in desk.store.steps(plan_id)}
    assert states == {"move-g1": StepState.REVERTED, "move-g2": StepState.PENDING}
    assert record.state is PlanState.ROLLED_BACK
    assert (fresh.where("g1"), fresh.where("g2")) == (["h1"], ["h2"])
    unbroken(fresh)
