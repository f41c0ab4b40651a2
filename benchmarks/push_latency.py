"""How fast is the push, and how fast is stop? A building of 100 points on a journal that is synced to disk.

The control loop is one action from its first look at the point, over journal, write and read-back, to its verified
outcome in the journal, behind the real gate (approvals, Cedar rules, envelope).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import frame

from connectors.change_control import ChangeControl, FileLock, SystemClock
from connectors.governance import Approvals, GovernedGate, Identity, PolicyFolder, Role, propose, write_defaults
from connectors.plan_store import PlanStore, StoreFolder
from connectors.simulated import SimulatedBuilding
from connectors.simulated.trial_site import EVIDENCE, room_step, setpoint, trial_plan
from twin.plan import Action, PlanState, Reading, Receipt
from twin.plans.document import Plan

WORD = "correct horse battery"


class Watched(SimulatedBuilding):
    """The building, with the moment of each first look and each release."""

    def __init__(self, points: dict[str, float]) -> None:
        super().__init__("building", dict(points), SystemClock())
        self.looked: dict[str, float] = {}
        self.applied: dict[str, float] = {}
        self.released: dict[str, float] = {}

    def read(self, points: Sequence[str]) -> Sequence[Reading]:
        """Notes the last look before a write."""
        for point in points:
            if point not in self.applied:
                self.looked[point] = time.perf_counter()
        return super().read(points)

    def apply(self, action: Action) -> Receipt:
        """Notes the write."""
        receipt = super().apply(action)
        self.applied[action.point] = time.perf_counter()
        return receipt

    def release(self, receipt: Receipt) -> None:
        """Notes the release."""
        super().release(receipt)
        self.released[receipt.point] = time.perf_counter()


def room(i: int) -> str:
    """Name of a room."""
    return f"room-{i:03d}"


def plan_of(count: int, policy_digest: str, settle_s: float) -> Plan:
    """A plan that sets all points, of now."""
    return trial_plan(
        [room_step(room(i)) for i in range(count)],
        created_at=datetime.now(UTC),
        rooms_in_site=count,
        settle_s=settle_s,
        guards=[],
        evidence=replace(EVIDENCE, policy_digest=policy_digest),
    )


class Office:
    """A workspace with people, rules, a building, and an approved plan."""

    def __init__(self, folder: Path, count: int, settle_s: float) -> None:
        self.clock = SystemClock()
        self.folder = StoreFolder(folder / "plans")
        self.store = self.folder.open("office", self.clock)
        self.building = Watched({setpoint(room(i)): 24.0 for i in range(count)})
        write_defaults(folder / "policies")
        policies = PolicyFolder(folder / "policies")
        identity = Identity(self.store, self.clock, cost=2)
        roles = {"paula": Role.PROPOSER, "anna": Role.APPROVER, "ben": Role.APPROVER}
        for name, role in roles.items():
            identity.add(name, WORD, [role])
        gate = GovernedGate(self.store, identity, policies.bundle, business_hours=lambda _: False)
        self.control = self._control(self.store, gate)
        plan = plan_of(count, policies.bundle().digest, settle_s)
        propose(self.store, plan, identity.authenticate("paula", WORD))
        self.plan_id = plan.id
        for name in ("anna", "ben"):
            Approvals(self.store, identity, self.clock).approve(plan.id, identity.authenticate(name, WORD), "")

    def _control(self, store: PlanStore, gate: GovernedGate) -> ChangeControl:
        lock = FileLock(self.folder.lock_file)
        return ChangeControl(store, {"building": self.building}, self.clock, gate, lock)


def loop_times(count: int) -> dict[str, object]:
    """Latency of each action and the rate of a whole push."""
    with tempfile.TemporaryDirectory() as text:
        office = Office(Path(text), count, settle_s=0.0)
        begun = time.perf_counter()
        record = office.control.push(office.plan_id, "olga")
        wall_s = time.perf_counter() - begun
        if record.state is not PlanState.PUSHED:
            sys.exit(f"the push ended {record.state}: {record.reason}")
        applied = sorted(office.building.applied.values())
        loops = sorted(1e3 * (office.building.applied[p] - office.building.looked[p]) for p in office.building.applied)
        between = sorted(1e3 * (b - a) for a, b in pairwise(applied))
    return {
        "control_loop_ms": _percentiles(loops),
        "whole_step_ms": _percentiles(between),
        "actions_per_s": count / wall_s,
        "points": count,
    }


def stop_time(count: int) -> dict[str, object]:
    """Seconds from a stop, given while the last wave settles, to the release of the last of all points."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        office = Office(folder, count, settle_s=0.0)
        stopped: list[float] = []

        def stop() -> None:
            while len(office.building.applied) < count:
                time.sleep(0.001)
            store = StoreFolder(folder / "plans").open("office", SystemClock())
            stopped.append(time.perf_counter())
            store.request_stop(office.plan_id, "gina", "smells odd", hold=False)

        thread = threading.Thread(target=stop)
        thread.start()
        office.control.push(office.plan_id, "olga")
        thread.join()
        if office.store.record(office.plan_id).state is PlanState.PUSHED:
            office.control.recover()
        last = max(office.building.released.values())
    return {"stop_to_release_s": last - stopped[0], "released_points": len(office.building.released)}


def _percentiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}


def measure(chosen: argparse.Namespace) -> dict[str, object]:
    """All figures; medians of three rounds after a warm-up."""
    count = 40 if chosen.quick else 100
    loop_times(10)
    rounds = sorted((loop_times(count) for _ in range(3)), key=lambda r: float(r["actions_per_s"]))  # type: ignore[arg-type]
    stops = sorted((stop_time(100) for _ in range(3)), key=lambda r: float(r["stop_to_release_s"]))  # type: ignore[arg-type]
    return rounds[1] | stops[1]


if __name__ == "__main__":
    frame.run(__doc__, measure)
