"""Real kills: a real process, a real database file, a real SIGKILL at every write-type system call.

Each run forks a process that pushes (or rolls back) a plan of six steps; strace attaches to it and kills it at the N-th
write, sync, rename or unlink. A second process then does what a restarted service does, and the end must be the same as
without the kill: same state, same values in force, prior values kept, an audit log that holds.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from connectors.change_control import PushSettings, SystemClock
from connectors.simulated.trial_desk import TrialDesk
from connectors.simulated.trial_site import ROOMS, room_step, setpoint, trial_building
from twin.errors import RefusedError
from twin.plan import PlanState

CALLS = "write,pwrite64,pwritev,writev,fsync,fdatasync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,fallocate"
POINTS = tuple(setpoint(room) for room in ROOMS[:6])
SETTINGS = PushSettings(write_timeout_s=0.0, lease_s=2.0, backoff_s=0.0, poll_s=0.01)


class Office(TrialDesk):
    """A store and a building in a folder, as any process opens them."""

    def __init__(self, folder: Path) -> None:
        self.building = trial_building(SystemClock(), state_file=folder / "building.json")
        super().__init__(folder / "plans", {"building": self.building}, SETTINGS)

    def own(self) -> dict[str, object]:
        """What stands in our slots."""
        return {r.point: r.own_value for r in self.building.read(POINTS) if r.own_value is not None}

    def state(self) -> PlanState:
        """Where the only plan stands."""
        return self.store.records()[0].state


def prepare(folder: Path, *, pushed: bool) -> str:
    """A folder with an approved, or pushed, plan of six rooms in three waves; its id."""
    office = Office(folder)
    plan_id = office.approved([room_step(room) for room in ROOMS[:6]])
    if pushed:
        office.push(plan_id)
    office.store.ledger.close()
    return plan_id


def push(folder: Path, plan_id: str) -> None:
    """What the service does when told to push, also when told again after a restart."""
    office = Office(folder)
    office.control.recover()
    with suppress(RefusedError):
        office.control.push(plan_id, "olga")


def roll_back(folder: Path, plan_id: str) -> None:
    """What the service does when told to roll back, also when told again after a restart."""
    office = Office(folder)
    office.control.recover()
    if office.state() is not PlanState.ROLLED_BACK:
        office.control.rollback(plan_id, "olga")


def faults_after(folder: Path, wanted: PlanState) -> list[str]:
    """What is wrong with the world after kill and restart."""
    office = Office(folder)
    values = dict.fromkeys(POINTS, 25.0) if wanted is PlanState.PUSHED else {}
    checks = {
        f"state {office.state()}, wanted {wanted}": office.state() is wanted,
        f"values in force {office.own()}": office.own() == values,
        "a prior value was lost": all(
            step.prior_known and step.prior == 24.0 for step in office.store.steps(office.store.records()[0].plan_id)
        ),
        f"the log does not hold: {office.folder.verify(office.store)[:2]}": not office.folder.verify(office.store),
    }
    return [sentence for sentence, holds in checks.items() if not holds]


def in_child(act: Callable[[], None], strace: list[str] | None = None) -> int:
    """Runs a function in a forked process, under strace when asked; its wait status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if strace is not None:
                os.kill(os.getpid(), signal.SIGSTOP)
            act()
            code = 0
        finally:
            os._exit(code)
    tracer = None
    if strace is not None:
        os.waitpid(child, os.WUNTRACED)
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", *strace, "-p", str(child)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _await_tracer(child)
        os.kill(child, signal.SIGCONT)
    _, status = os.waitpid(child, 0)
    if tracer is not None:
        tracer.wait(timeout=20)
    return status


def _await_tracer(child: int) -> None:
    until = time.monotonic() + 10.0
    while time.monotonic() < until:
        if "TracerPid:\t0" not in Path(f"/proc/{child}/status").read_text(encoding="ascii"):
            return
        time.sleep(0.005)
    message = "strace could not attach"
    raise RuntimeError(message)


def count_calls(act: Callable[[], None]) -> Counter[str]:
    """How many write-type system calls of each name an act makes."""
    with tempfile.NamedTemporaryFile() as log:
        in_child(act, ["-e", f"trace={CALLS}", "-o", log.name])
        text = Path(log.name).read_text(encoding="utf-8", errors="replace")
    return Counter(re.findall(r"^(?:\d+\s+)?(\w+)\(", text, flags=re.MULTILINE))


def kill_everywhere(every: int = 1) -> dict[str, object]:
    """Kill points tried and those after which the end was not the same."""
    if shutil.which("strace") is None:
        print("strace is not installed: no real kills were made", file=sys.stderr)
        return {"kill_points": 0, "kill_points_bad": 0, "kill_faults": ["strace is not installed"]}
    tried, bad, faults = 0, 0, []
    for name, pushed, act, wanted in (
        ("push", False, push, PlanState.PUSHED),
        ("rollback", True, roll_back, PlanState.ROLLED_BACK),
    ):
        with tempfile.TemporaryDirectory() as text:
            ready = Path(text) / "ready"
            ready.mkdir()
            plan_id = prepare(ready, pushed=pushed)
            scratch = Path(text) / "scratch"
            shutil.copytree(ready, scratch)
            calls = count_calls(partial(act, scratch, plan_id))
            points = [(call, n) for call in sorted(calls) for n in range(1, calls[call] + 1)]
            for call, n in points[::every]:
                found = _kill_at(call, n, ready, scratch, plan_id, act, wanted)
                tried += 1
                bad += bool(found)
                faults += [f"{name}, {call} {n} of {calls[call]}: {fault}" for fault in found]
    return {"kill_points": tried, "kill_points_bad": bad, "kill_faults": faults[:20]}


def _kill_at(
    call: str, n: int, ready: Path, scratch: Path, plan_id: str, act: Callable[[Path, str], None], wanted: PlanState
) -> list[str]:
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(ready, scratch)
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}"]
    status = in_child(partial(act, scratch, plan_id), inject)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    again = in_child(partial(act, scratch, plan_id))
    faults = faults_after(scratch, wanted)
    if again != 0:
        faults.append("the restarted process failed")
    return faults if killed or faults else ["the process was not killed"]
