"""A way back without the document: what the journal's step records say was written, so that it can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from twin.plan import Action
from twin.plans.document import Evidence, Plan, Rehearsal, Step, Target, TargetKind, Wave
from twin.plans.records import StepRecord
from twin.plans.waves import rollback_recipe


def _step(record: StepRecord) -> Step | None:
    receipt = record.receipt
    if receipt is None:
        return None
    action = Action(
        id=record.action_id,
        kind=receipt.kind,
        connector=receipt.connector,
        point=receipt.point,
        value=receipt.value,
        expected=record.prior,
    )
    target = Target(kind=TargetKind.SITE, id=receipt.point)
    return Step(action=action, target=target, inside_calibrated_range=False)


def salvaged_plan(site: str, records: Sequence[StepRecord], now: datetime) -> Plan:
    """A plan that can only be undone: its steps with what was written and what was there before.

    It has no guards, no approvals and an expired hold, so nothing can be pushed with it.
    """
    steps = tuple(step for record in records if (step := _step(record)) is not None)
    waves = (Wave(index=0, steps=steps, settle_s=0.0),)
    nothing = Evidence(
        scenario="", seed=0, model_id="", data_digest="", site_digest="", policy_digest="", code_version=""
    )
    return Plan(
        site=site,
        title="salvaged from the journal",
        question="",
        proposer="",
        created_at=now,
        not_before=now,
        expires_at=now,
        hold_until=now,
        waves=waves,
        rollback=rollback_recipe(waves),
        rehearsal=Rehearsal(ok=False, summary="the document was changed"),
        guards=(),
        kpis=(),
        evidence=nothing,
        rooms_in_site=0,
        risk_class=3,
        risk_reasons=("the document was changed",),
    )
