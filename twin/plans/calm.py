"""Calm: a target is left alone after a change, moves only as often as its budget allows, and only for gain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from twin.plan import ActionKind, Value
from twin.plans.document import Interval, Step
from twin.plans.guardrails import same


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """The last time we wrote to a target."""

    at: datetime
    plan_id: str
    day: str
    writes_today: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    """Bounds of restlessness."""

    building_dwell_s: float = 1800.0
    machine_dwell_s: float = 7200.0
    writes_per_day: int = 24
    """Writes to one target on one day, by all plans together."""

    def dwell_s(self, kind: ActionKind) -> float:
        """Least time between two changes of a target. [s]"""
        return self.building_dwell_s if kind is ActionKind.SET_POINT else self.machine_dwell_s


def next_touch(before: Touch | None, plan_id: str, now: datetime) -> Touch:
    """The touch after another write."""
    day = now.date().isoformat()
    count = before.writes_today if before is not None and before.day == day else 0
    return Touch(at=now, plan_id=plan_id, day=day, writes_today=count + 1)


class Reversal(str):  # a sentence like every other refusal
    """A change that would take back one whose dwell is not over: refused, and counted apart."""

    __slots__ = ()


def calm_faults(
    calm: Calm, step: Step, touch: Touch | None, plan_id: str, now: datetime, *, before: Value | None = None
) -> list[str]:
    """Why a target should be left alone now; the steps of one plan do not disturb each other.

    Args:
        calm: the bounds.
        step: what would be changed.
        touch: our last write to the target.
        plan_id: of the step.
        now: the moment.
        before: what the target showed before that write, where known.
    """
    if touch is None or touch.plan_id == plan_id:
        return []
    faults = []
    dwell_s, age_s = calm.dwell_s(step.action.kind), (now - touch.at).total_seconds()
    if age_s < dwell_s:
        said = f"{step.action.point} was changed {age_s:.0f} s ago; it is left alone for {dwell_s:.0f} s"
        back = before is not None and same(step.action.value, before, step.action.tolerance)
        faults.append(Reversal(f"{said}, and this would take that change back to {before}") if back else said)
    if touch.day == now.date().isoformat() and touch.writes_today >= calm.writes_per_day:
        faults.append(
            f"{step.action.point} was written {touch.writes_today} times today; at most {calm.writes_per_day}"
        )
    return faults


def is_worth_it(benefit: Interval, cost_of_acting: float) -> bool:
    """Whether even the lower bound of a benefit exceeds the cost of acting, both in the benefit's unit."""
    return benefit.low > cost_of_acting


def is_within_dead_band(step: Step, band: float) -> bool:
    """Whether a change is too small to be worth a write."""
    return same(step.action.value, step.action.expected, band)
