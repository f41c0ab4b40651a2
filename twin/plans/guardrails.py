"""Guardrails as pure rules: the hard envelope, the risk class, and what a look at a point means for a step.

The hard envelope has no switch. It stands behind the policy text that a customer may edit and before the building's
own controller, which keeps its veto.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from twin.plan import REVERSIBILITY, Action, ActionKind, Quality, Reading, Reversibility, Value
from twin.plans.document import Plan, Step, TargetKind, Wave

OWN = "understudy"
"""Who holds a point that we command."""

POINT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+-]*(/[A-Za-z0-9_][A-Za-z0-9_.:+-]*){0,7}")
_FREE_NUMBER = 1e6
_BY_UNIT: Mapping[str, tuple[float, float]] = {
    "degC": (5.0, 45.0),
    "K": (-10.0, 10.0),
    "K/h": (0.0, 20.0),
    "h": (0.0, 24.0),
    "min": (0.0, 1440.0),
    "fraction": (0.0, 1.0),
    "bool": (0.0, 1.0),
    "ppm": (400.0, 2000.0),
}
_ROOM_SETPOINT_C = (12.0, 32.0)
_BY_KIND: Mapping[ActionKind, re.Pattern[str]] = {
    ActionKind.LIVE_MIGRATE: re.compile(r"vm/[^/]+/host"),
    ActionKind.RESIZE_VM: re.compile(r"vm/[^/]+/(ram_mb|memory_bytes|vcpus)"),
    ActionKind.START_VM: re.compile(r"vm/[^/]+/(power|state)"),
    ActionKind.SHUT_DOWN_VM: re.compile(r"vm/[^/]+/(power|state)"),
    ActionKind.POWER_OFF_HOST: re.compile(r"host/[^/]+/power"),
    ActionKind.POWER_ON_HOST: re.compile(r"host/[^/]+/power"),
}
_ON, _OFF = frozenset({"on", "running"}), frozenset({"off", "shut_off"})
_POWER_WANTED: Mapping[ActionKind, frozenset[str]] = {
    ActionKind.START_VM: _ON,
    ActionKind.SHUT_DOWN_VM: _OFF,
    ActionKind.POWER_OFF_HOST: _OFF,
    ActionKind.POWER_ON_HOST: _ON,
}
MANY_ROOMS = 0.2


def setpoint_limits(action: Action) -> tuple[float, float]:
    """Least and greatest number that may ever be written to the point, in the action's unit."""
    if "setpoint" in action.point and action.unit in {"degC", ""}:
        return _ROOM_SETPOINT_C if "supply" not in action.point else _BY_UNIT["degC"]
    return _BY_UNIT.get(action.unit, (-_FREE_NUMBER, _FREE_NUMBER))


def _number_faults(action: Action) -> list[str]:
    if isinstance(action.value, (str, bool)):
        return [f"{action.point}: {action.value!r} is no number; a point is set to a finite number"]
    if not math.isfinite(action.value):
        return [f"{action.point}: {action.value} is not finite; a point is set to a finite number"]
    low, high = setpoint_limits(action)
    if not low <= action.value <= high:
        return [
            f"{action.point}: {action.value:g} {action.unit} is outside the hard envelope {low:g} to {high:g}; "
            f"no setting widens it"
        ]
    return []


def envelope_faults(action: Action) -> list[str]:
    """Why an action may never be applied, whatever was approved; empty when it may."""
    if not isinstance(action.kind, ActionKind):
        return [f"{action.point}: kind {action.kind!r} is not in the closed list of actions"]
    if not POINT_NAME.fullmatch(action.point):
        return [f"{action.point!r}: no point name; letters, digits, _ . : + - and up to seven slashes"]
    if action.kind is ActionKind.SET_POINT:
        return _number_faults(action)
    return _machine_faults(action)


def _machine_faults(action: Action) -> list[str]:
    if not _BY_KIND[action.kind].fullmatch(action.point):
        return [f"{action.point}: {action.kind} needs a point like {_BY_KIND[action.kind].pattern}"]
    wanted = _POWER_WANTED.get(action.kind)
    if wanted is not None and action.value not in wanted:
        return [f"{action.point}: {action.kind} sets {' or '.join(sorted(wanted))}, not {action.value!r}"]
    if action.kind is ActionKind.LIVE_MIGRATE and not isinstance(action.value, str):
        return [f"{action.point}: a live migration names its destination host, not {action.value!r}"]
    return []


def wave_faults(wave: Wave, rooms_in_site: int) -> list[str]:
    """Why the blast radius of a wave is too large; empty when it is not."""
    faults = []
    most = max(1, int(MANY_ROOMS * rooms_in_site))
    units = {step.target.id for step in wave.steps if step.target.kind in {TargetKind.UNIT, TargetKind.SITE}}
    if len(wave.rooms) > most and not (len(units) == 1 and all(s.target.id in units for s in wave.steps)):
        faults.append(f"wave {wave.index} reaches {len(wave.rooms)} rooms; at most {most} of {rooms_in_site}")
    off = [s for s in wave.steps if s.action.kind is ActionKind.POWER_OFF_HOST]
    if len(off) > 1:
        faults.append(f"wave {wave.index} powers off {len(off)} hosts; one at a time")
    return faults


def redundancy_faults(plan: Plan) -> list[str]:
    """Redundant pairs of which the plan would power off both."""
    off = {s.target.id: s.target.redundant_with for s in plan.steps() if s.action.kind is ActionKind.POWER_OFF_HOST}
    pairs = {tuple(sorted((a, b))) for a, b in off.items() if b is not None and b in off}
    return [f"{a} and {b} are a redundant pair; the plan would power off both" for a, b in sorted(pairs)]


def plan_faults(plan: Plan) -> list[str]:
    """Why the hard envelope forbids a plan; empty when it does not."""
    faults = [fault for step in plan.steps() for fault in envelope_faults(step.action)]
    faults += [fault for wave in plan.waves for fault in wave_faults(wave, plan.rooms_in_site)]
    if not any(plan.steps()):
        faults.append("the plan has no steps; empty never means all")
    return faults + redundancy_faults(plan)


def risk_of(steps: Sequence[Step], *, rooms_in_site: int, rehearsed: bool) -> tuple[int, tuple[str, ...]]:
    """Risk class 0 to 3 with its reasons: 0 standing approval may do, 1 one approver, 2 two approvers, 3 forbidden."""
    found: list[tuple[int, str]] = [(0, "reversible, few rooms, inside calibrated range")]
    kinds = {REVERSIBILITY[step.action.kind] for step in steps}
    rooms = {room for step in steps for room in step.target.rooms}
    outside = [step for step in steps if not step.inside_calibrated_range]
    if Reversibility.COMPENSABLE in kinds:
        found.append((1, "some steps can only be compensated, not undone by release"))
    if Reversibility.IRREVERSIBLE in kinds:
        found.append((2, "some steps cannot be undone"))
    if len(rooms) > MANY_ROOMS * rooms_in_site:
        found.append((2, f"reaches {len(rooms)} of {rooms_in_site} rooms over all waves, more than 20 %"))
    if any(step.target.production for step in steps):
        found.append((2, "touches production machines"))
    if not rehearsed:
        found.append((2, "the rollback was not rehearsed in the twin"))
    if outside:
        of = f"{outside[0].action.point} and {len(outside) - 1} others" if outside[1:] else outside[0].action.point
        found.append((2, f"{of} would leave the range that calibration saw, or were never seen by it"))
        if any(risk == 2 for risk, _ in found[:-1]):
            found.append((3, "a high-risk plan outside the calibrated range"))
    worst = max(risk for risk, _ in found)
    return worst, tuple(reason for risk, reason in found if risk > 0 or worst == 0)


def approvers_needed(risk_class: int) -> int:
    """Distinct people who must approve; class 3 can never have enough."""
    return {0: 1, 1: 1, 2: 2}.get(risk_class, 10**6)


class Sight(StrEnum):
    """What a look at a point means for a step."""

    UNREADABLE = "unreadable"
    OVERRIDDEN = "overridden"
    """Someone with a higher right holds the point."""
    WANTED = "wanted"
    EXPECTED = "expected"
    CHANGED = "changed"
    """Neither what we expected nor what we want: the plan is stale."""


def same(a: Value | None, b: Value | None, tolerance: float) -> bool:
    """Whether two values are equal, numbers within a tolerance or the rounding of a 32-bit device."""
    if isinstance(a, str) or isinstance(b, str) or a is None or b is None:
        return a == b
    return math.isfinite(a) and abs(a - b) <= max(tolerance, 1e-6 * max(abs(a), abs(b)))


def sight(action: Action, reading: Reading) -> Sight:
    """What a reading means for an action: unknown is not good, and people win."""
    if reading.quality is not Quality.GOOD or reading.value is None:
        return Sight.UNREADABLE
    if not isinstance(reading.value, str) and not math.isfinite(reading.value):
        return Sight.UNREADABLE
    if reading.held_by not in {None, OWN}:
        return Sight.OVERRIDDEN
    if same(reading.value, action.value, action.tolerance):
        return Sight.WANTED
    if same(reading.value, action.expected, action.tolerance):
        return Sight.EXPECTED
    return Sight.CHANGED


def is_undone(action: Action, reading: Reading, prior: Value | None, *, slotted: bool) -> bool | None:
    """Whether nothing of ours is in force at a point any more; None when that can't be seen."""
    if slotted:
        if reading.own_value is None and reading.quality is Quality.GOOD and reading.held_by != OWN:
            return True
        return None if reading.quality is not Quality.GOOD else False
    if reading.quality is not Quality.GOOD or reading.value is None:
        return None
    return same(reading.value, prior, action.tolerance) or not same(reading.value, action.value, action.tolerance)


def age_s(reading: Reading, now: datetime) -> float:
    """Age of a reading. [s]"""
    return (now - reading.at).total_seconds()
