"""Plans for the example office, in any state."""

from __future__ import annotations

from datetime import timedelta

from example_office import NOW

from twin.plan import Action, ActionKind, PlanState, StepState
from twin.plans.document import (
    Evidence,
    Guard,
    Interval,
    KpiForecast,
    Plan,
    Rehearsal,
    Step,
    Target,
    TargetKind,
    Undo,
    UndoStep,
    Wave,
)
from twin.plans.records import PlanRecord, PlanView, StepRecord


def example_plan(title: str = "Warmer supply air this week", risk_class: int = 1, proposer: str = "pia") -> Plan:
    steps = tuple(
        Step(
            action=Action(
                id=f"a{i}",
                kind=ActionKind.SET_POINT,
                connector="building",
                point=f"ahu {i}/supply_air_max_c",
                value=18.0,
                expected=12.8,
                unit="°C",
                why="supply air follows the neediest zone",
            ),
            target=Target(kind=TargetKind.UNIT, id=f"ahu {i}", rooms=(f"core {i}", f"west {i}"), people=60),
            inside_calibrated_range=True,
        )
        for i in range(3)
    )
    saving = Interval(value=-990.0, low=-1240.0, high=-720.0, unit="kWh")
    base = Interval(value=9000.0, low=8700.0, high=9300.0, unit="kWh")
    then = Interval(value=8010.0, low=7700.0, high=8400.0, unit="kWh")
    return Plan(
        site="Example office",
        title=title,
        question="How much HVAC energy can the next week save without more discomfort?",
        proposer=proposer,
        created_at=NOW - timedelta(hours=5),
        not_before=NOW,
        expires_at=NOW + timedelta(days=1),
        hold_until=NOW + timedelta(days=7),
        waves=(Wave(index=0, steps=steps[:1], settle_s=900.0), Wave(index=1, steps=steps[1:], settle_s=900.0)),
        rollback=tuple(UndoStep(action_id=step.action.id, undo=Undo.RELEASE, prior=12.8) for step in steps),
        rehearsal=Rehearsal(ok=True, summary="Every point came back within one step; no room left its band."),
        guards=(Guard(name="core 0 air", connector="building", point="core 0/t", unit="°C", low=19.0, high=27.0),),
        kpis=(KpiForecast(name="hvac_kwh", baseline=base, candidate=then, delta=saving),),
        evidence=Evidence(
            scenario="both",
            seed=0,
            model_id="3f" * 32,
            data_digest="ab" * 32,
            site_digest="cd" * 32,
            policy_digest="ef" * 32,
            code_version="0.1.0",
            assumptions=("People come as the forecast says.",),
        ),
        rooms_in_site=15,
        risk_class=risk_class,
        risk_reasons=("reaches every room of a floor at once",),
    )


def plan_view(plan: Plan, state: PlanState = PlanState.PROPOSED, steps: tuple[StepState, ...] = ()) -> PlanView:
    record = PlanRecord(
        plan_id=plan.id, state=state, version=1, since=NOW, reason="", nonce="n" * 16, waves_passed=1 if steps else 0
    )
    actions = [step.action.id for step in plan.steps()]
    rows = tuple(
        StepRecord(plan_id=plan.id, action_id=action, position=i, wave=min(i, 1), state=step)
        for i, (action, step) in enumerate(zip(actions, steps, strict=False))
    )
    return PlanView(plan=plan, record=record, steps=rows, approvals=())
