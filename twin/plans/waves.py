"""From a list of steps to a complete plan: waves with a canary, rollback recipe, risk class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from twin.errors import BadInputError
from twin.plan import REVERSIBILITY, ActionKind, Reversibility
from twin.plans.document import (
    Alternative,
    Deadlines,
    Evidence,
    Guard,
    KpiForecast,
    Plan,
    Rehearsal,
    RoomTest,
    Step,
    TargetKind,
    Undo,
    UndoStep,
    Wave,
)
from twin.plans.guardrails import envelope_faults, risk_of

ROOM_SHARE = 0.2
"""Most rooms of the site that one wave may reach."""


def _by_group(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    groups: dict[str, list[Step]] = {}
    for step in steps:
        groups.setdefault(step.target.group or step.target.id, []).append(step)
    yield from (tuple(group) for group in groups.values())


def _by_rooms(groups: Sequence[tuple[Step, ...]], most: int) -> Iterator[tuple[Step, ...]]:
    wave: list[Step] = []
    rooms: set[str] = set()
    for group in groups:
        reached = {room for step in group for room in step.target.rooms}
        if wave and len(rooms | reached) > most:
            yield tuple(wave)
            wave, rooms = [], set()
        wave += group
        rooms |= reached
    if wave:
        yield tuple(wave)


def build_waves(steps: Sequence[Step], *, rooms_in_site: int, settle_s: float) -> tuple[Wave, ...]:
    """Waves in the order rooms, units, machines, irreversible: few rooms first, one unit or one host at a time.

    A wave reaches at most 20 % of the rooms, and at least one; a unit that serves more cannot be changed in part, so
    it has a wave of its own.
    """
    if not steps:
        message = "a plan without steps: its selectors matched nothing; empty never means all"
        raise BadInputError(message)
    last = [s for s in steps if REVERSIBILITY[s.action.kind] is Reversibility.IRREVERSIBLE]
    rest = [s for s in steps if s not in last]
    rooms = [s for s in rest if s.target.kind is TargetKind.ZONE]
    units = [s for s in rest if s.target.kind in {TargetKind.UNIT, TargetKind.SITE}]
    machines = [s for s in rest if s.target.kind in {TargetKind.HOST, TargetKind.VM}]
    most = max(1, int(ROOM_SHARE * rooms_in_site))
    parts = [
        *_by_rooms(list(_by_group(rooms)), most),
        *_by_group(units),
        *_by_group(machines),
        *((step,) for step in last),
    ]
    return tuple(Wave(index=i, steps=part, settle_s=settle_s) for i, part in enumerate(parts))


def rollback_recipe(waves: Sequence[Wave]) -> tuple[UndoStep, ...]:
    """The way back: last step first; building points are released, machines go back to where they were."""
    steps = [step for wave in waves for step in wave.steps]
    return tuple(
        UndoStep(
            action_id=step.action.id,
            undo=Undo.RELEASE if step.action.kind is ActionKind.SET_POINT else Undo.RESTORE,
            prior=step.action.expected,
        )
        for step in reversed(steps)
    )


def _faults(steps: Sequence[Step]) -> list[str]:
    faults = [fault for step in steps for fault in envelope_faults(step.action)]
    seen: set[tuple[str, str]] = set()
    ids: set[str] = set()
    for step in steps:
        target = (step.action.connector, step.action.point)
        if target in seen:
            faults.append(f"{step.action.point}: changed by two steps; a plan changes each target once")
        if step.action.id in ids:
            faults.append(f"{step.action.id}: two steps have this id; name them apart")
        if step.action.expected is None:
            faults.append(f"{step.action.point}: no expected prior value; read the world when the plan is made")
        seen.add(target)
        ids.add(step.action.id)
    return faults


def assemble_plan(
    *,
    site: str,
    title: str,
    question: str,
    proposer: str,
    created_at: datetime,
    not_before: datetime,
    expires_at: datetime,
    hold_until: datetime,
    steps: Sequence[Step],
    rooms_in_site: int,
    settle_s: float,
    guards: Sequence[Guard],
    kpis: Sequence[KpiForecast],
    evidence: Evidence,
    rehearsal: Rehearsal,
    room_test: RoomTest | None = None,
    deadlines: Deadlines | None = None,
    alternatives: Sequence[Alternative] = (),
) -> Plan:
    """A complete plan from its steps; waves, recipe and risk class follow from them.

    Raises:
        BadInputError: no steps, a target twice, a step without an expected prior value, times out of order, or a value
            outside the hard envelope; all faults at once.
    """
    faults = _faults(steps)
    if not created_at <= expires_at <= hold_until:
        faults.append(
            f"{title}: created {created_at}, expires {expires_at}, held until {hold_until}: must be in this order"
        )
    if faults:
        raise BadInputError.gather(faults)
    waves = build_waves(steps, rooms_in_site=rooms_in_site, settle_s=settle_s)
    risk, reasons = risk_of(steps, rooms_in_site=rooms_in_site, rehearsed=rehearsal.ok)
    return Plan(
        site=site,
        title=title,
        question=question,
        proposer=proposer,
        created_at=created_at,
        not_before=not_before,
        expires_at=expires_at,
        hold_until=hold_until,
        waves=waves,
        rollback=rollback_recipe(waves),
        rehearsal=rehearsal,
        guards=tuple(guards),
        kpis=tuple(kpis),
        evidence=evidence,
        rooms_in_site=rooms_in_site,
        risk_class=risk,
        risk_reasons=reasons,
        room_test=room_test,
        deadlines=deadlines or Deadlines(),
        alternatives=tuple(alternatives),
    )
