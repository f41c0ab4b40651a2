"""Disk full, failed syncs, locks, rot, swapped files, newer versions: nothing is written that is not journaled."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from change_world import PASSWORD, START, World, make_plan, rooms
from test_cli_plans import proposed, workspace

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from push_harness.kills import faults_after, in_child, prepare, push

import connectors.audit.ledger as ledger_module
from connectors.audit.ledger import Ledger
from connectors.change_control import ChangeControl, FileLock, ManualClock
from connectors.plan_store import StoreFolder
from connectors.simulated import Fault
from dashboard.app import create_dashboard
from twin.cli import run
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import services_of
from twin.cli.telemetry import reopened_reports
from twin.errors import OutsideWorldError, RefusedError
from twin.plan import PlanState, StepState
from twin.streams import stream

__all__ = ["workspace"]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> None:
    """Writes until nothing fits."""
    with (place / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return


def test_on_a_full_disk_no_write_leaves(tiny_disk: Path) -> None:
    world = World(tiny_disk)
    plan_id = world.approved(make_plan(rooms(2)))
    fill(tiny_disk)
    with pytest.raises(OutsideWorldError, match="could not be written"):
        world.push(plan_id)
    assert world.writes() == []
    assert world.store.record(plan_id).state is PlanState.APPROVED


def test_a_disk_that_fills_during_the_push_stops_it_before_a_write_without_its_intent(tiny_disk: Path) -> None:
    """Filled at the first write: what left has its row, the rest does not leave, and a restart gives all of it back."""
    world = World(tiny_disk)
    plan_id = world.approved(make_plan(rooms(9)))
    decide = world._decide

    def filling(operation: str, point: str) -> Fault:
        if operation == "apply":
            fill(tiny_disk)
        return decide(operation, point)

    world._decide = filling  # type: ignore[method-assign]
    world.control = world.new_control("p1")
    with pytest.raises(OutsideWorldError, match="could not be written"):
        world.push(plan_id)
    written = {point for operation, point in world.writes() if operation == "apply"}
    assert 1 <= len(written) < 9
    journaled = {step.action_id for step in world.store.view(plan_id).steps if step.state is not StepState.PENDING}
    assert {f"set-{point.partition('/')[0]}" for point in written} <= journaled
    world.new_control("p2").rollback(plan_id, "olga")
    assert world.store.record(plan_id).state is PlanState.ROLLED_BACK
    assert world.own() == {}


def test_a_full_disk_is_an_alarm_until_there_is_room_again(tiny_disk: Path) -> None:
    folder = World(tiny_disk).store_folder
    assert folder.trouble() == ""
    fill(tiny_disk)
    assert "0 KiB are left on its disk" in folder.trouble()
    (tiny_disk / "ballast").unlink()
    assert folder.trouble() == ""


def test_on_a_full_disk_the_way_back_uses_the_reserve(tiny_disk: Path) -> None:
    world = World(tiny_disk)
    plan_id = world.approved(make_plan(rooms(2)))
    world.push(plan_id)
    fill(tiny_disk)
    try:
        world.control.rollback(plan_id, "olga")
    except OutsideWorldError:
        world.new_control("p2").recover()
    assert world.own() == {}
    assert not (world.store_folder.folder / "reserve.bin").exists()
    assert world.store.record(plan_id).state is PlanState.ROLLED_BACK
    (tiny_disk / "ballast").unlink()
    assert "the reserve for the way back is used up" in world.store_folder.trouble()
    world.open_store()
    assert world.store_folder.trouble() == ""


needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None and not os.environ.get("CI"), reason="strace is not installed"
)


@needs_strace
@pytest.mark.parametrize("nth", [3, 8, 14, 20])
def test_a_failed_sync_stops_the_process_and_a_restart_finds_the_truth(tmp_path: Path, nth: int) -> None:
    plan_id = prepare(tmp_path, pushed=False)
    inject = ["-e", "trace=fdatasync", "-e", f"inject=fdatasync:error=EIO:when={nth}"]
    status = in_child(lambda: _push_or_leave(tmp_path, plan_id), inject)
    assert os.waitstatus_to_exitcode(status) == 4
    assert in_child(lambda: push(tmp_path, plan_id)) == 0
    assert faults_after(tmp_path, PlanState.PUSHED) == []


def _push_or_leave(folder: Path, plan_id: str) -> None:
    try:
        push(folder, plan_id)
    except OutsideWorldError:
        os._exit(4)


def test_a_ledger_whose_commit_failed_is_not_used_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "x.sqlite", ManualClock(START))
    ledger._broken = "a disk error left the last commit unknown (SQLITE_IOERR_FSYNC)"
    with pytest.raises(OutsideWorldError, match="open the journal anew"), ledger.transaction("a", "b", "c", {}):
        pass


HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_that_somebody_holds_is_named_after_a_bounded_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process holds the lock: the alarm says which one, nothing is done, and reads go on."""
    assert ledger_module.LOCK_WAIT_S == 5.0
    monkeypatch.setattr(ledger_module, "LOCK_WAIT_S", 0.2)
    world = World(tmp_path)
    plan_id = world.approved(make_plan(rooms(1)))
    command = [sys.executable, "-c", HOLD, str(world.store_folder.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"  # type: ignore[union-attr]
        with pytest.raises(OutsideWorldError, match=rf"the lock is held by process {other.pid} \(python"):
            world.push(plan_id)
        assert world.store.record(plan_id).state is PlanState.APPROVED
        other.communicate("")
    assert world.writes() == []
    assert world.push(plan_id).state is PlanState.PUSHED


def test_rotten_bytes_are_found_or_harmless(tmp_path: Path) -> None:
    """16 random bytes anywhere in the file: either the proof names something, or every row reads as before."""
    world = World(tmp_path / "a")
    plan_id = world.approved(make_plan(rooms(3)))
    world.push(plan_id)
    world.store.ledger._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    truth = [row.digest for row in world.store.audit()]
    world.store.ledger.close()
    whole = world.store_folder.database.read_bytes()
    missed = 0
    for seed in range(40):
        random = stream(seed, "rot")
        at = int(random.integers(0, len(whole) - 16))
        rotten = bytearray(whole)
        rotten[at : at + 16] = random.bytes(16)
        world.store_folder.database.write_bytes(bytes(rotten))
        missed += _is_missed(world.store_folder, truth)
    assert missed == 0


def _is_missed(folder: StoreFolder, truth: list[str]) -> bool:
    for leftover in folder.folder.glob("plans.sqlite-*"):
        leftover.unlink()
    try:
        store = folder.open("office", ManualClock(START))
        if folder.verify(store):
            return False
        return [row.digest for row in store.audit()] != truth
    except (OutsideWorldError, RefusedError):
        return False


def test_an_emptied_database_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.store.ledger.close()
    for part in world.store_folder.folder.glob("plans.sqlite*"):
        part.unlink()
    world.store_folder.database.write_bytes(b"")
    with pytest.raises(RefusedError, match="emptied or swapped"):
        world.open_store()


def test_beside_an_emptied_database_commands_leave_with_three_and_the_sign_in_page_says_why(workspace: Path) -> None:
    """Accounts stand in it too: nobody can prove who they are, so the dashboard shows the reason and nothing else."""
    plan = proposed(workspace)
    database = workspace / "var" / "plans" / "plans.sqlite"
    for part in database.parent.glob("plans.sqlite*"):
        part.unlink()
    database.write_bytes(b"")
    at = ["--workspace", str(workspace)]
    assert [run(argv) for argv in (["plan", "list", *at], ["plan", "push", plan.id, "--as", "olga", *at])] == [3, 3]
    assert reopened_reports(workspace) == []
    page = create_dashboard(services_of(Rooms(workspace))).server.test_client()
    answer = page.post("/signin", data={"user": "olga", "password": PASSWORD}, headers={"Origin": "http://localhost"})
    assert answer.status_code == 403
    assert "it was emptied or swapped. Restore the right file" in answer.get_data(as_text=True)


def test_last_weeks_copy_is_found_by_the_checkpoints_and_nothing_is_pushed(tmp_path: Path) -> None:
    world = World(tmp_path)
    plan_id = world.approved(make_plan(rooms(1)))
    world.store.ledger._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = world.store_folder.database.read_bytes()
    world.push(plan_id)
    world.store.ledger.close()
    for part in world.store_folder.folder.glob("plans.sqlite-*"):
        part.unlink()
    world.store_folder.database.write_bytes(copy)
    store, written = world.open_store(), len(world.writes())
    connectors, lock = {"building": world.building}, FileLock(world.store_folder.lock_file)
    control = ChangeControl(
        store, connectors, world.clock, world.gate, lock, proof=lambda: world.store_folder.verify(store)
    )
    with pytest.raises(RefusedError, match=r"the audit log does not hold, so nothing is pushed.*rows are gone"):
        control.push(plan_id, "olga")
    assert len(world.writes()) == written


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.store.ledger._db.execute("PRAGMA user_version = 99")
    with pytest.raises(RefusedError, match=r"schema 99 is newer"):
        world.open_store()


def test_a_missing_instance_file_beside_a_database_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.store_folder.instance_file.unlink()
    with pytest.raises(RefusedError, match="missing beside"):
        world.open_store()


def test_reads_go_on_while_a_writer_holds_the_lock(tmp_path: Path) -> None:
    world = World(tmp_path)
    plan_id = world.approved(make_plan(rooms(1)))
    other = sqlite3.connect(world.store_folder.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert world.store.record(plan_id).state is PlanState.APPROVED
    other.execute("ROLLBACK")
    other.close()
