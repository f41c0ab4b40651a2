"""The dossier of a plan: everything a person needs to decide on it, and later to judge it, as one document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from twin.plan import REVERSIBILITY
from twin.plans.document import Plan, UndoStep
from twin.plans.guardrails import approvers_needed
from twin.plans.records import AuditRow, PlanView
from twin.plans.verification import Verification
from twin.text.canonical import plain

Section = Mapping[str, Any]


def dossier(view: PlanView, rows: Sequence[AuditRow] = (), reports: Sequence[Verification] = ()) -> dict[str, Any]:
    """Question, data, calibration, assumptions, alternatives, effects, risks, diff, rollback, approvals, outcome.

    Args:
        view: the plan with its state, steps and approvals.
        rows: its lines of the audit log.
        reports: what was really saved, all versions, oldest first.
    """
    plan = view.plan
    evidence = plain(plan.evidence)
    return {
        "plan_id": view.record.plan_id,
        "title": plan.title,
        "site": plan.site,
        "state": {"name": view.record.state.value, "reason": view.record.reason, "since": plain(view.record.since)},
        "question": plan.question,
        "proposer": plan.proposer,
        "window": {
            "not_before": plain(plan.not_before),
            "no_wave_after": plain(plan.expires_at),
            "held_until": plain(plan.hold_until),
        },
        "data": {"digest": plan.evidence.data_digest, "health": evidence["data_health"]},
        "calibration": {"model_id": plan.evidence.model_id, "metrics": evidence["calibration"]},
        "assumptions": evidence["assumptions"],
        "alternatives": plain(plan.alternatives),
        "effects": plain(plan.kpis),
        "risk": {
            "class": plan.risk_class,
            "reasons": list(plan.risk_reasons),
            "approvers_needed": approvers_needed(plan.risk_class),
        },
        "guards": plain(plan.guards),
        "targets": _targets(view),
        "rollback": {
            "recipe": [_undo(plan, step) for step in plan.rollback],
            "rehearsal": plain(plan.rehearsal),
        },
        "approvals": [
            {
                "by": a.approver,
                "decision": a.decision,
                "reason": a.reason,
                "at": plain(a.at),
                "valid_until": plain(a.expires_at),
            }
            for a in view.approvals
        ],
        "digests": {
            key: evidence[key]
            for key in ("scenario", "seed", "model_id", "data_digest", "site_digest", "policy_digest", "code_version")
        },
        "verification": [plain(report) for report in reports],
        "log": [_line(row) for row in rows],
    }


def _targets(view: PlanView) -> list[dict[str, Any]]:
    states = {step.action_id: step for step in view.steps}
    return [
        {
            "wave": wave.index,
            "canary": wave.index == 0,
            "target": step.target.id,
            "point": step.action.point,
            "kind": step.action.kind.value,
            "now": step.action.expected,
            "planned": step.action.value,
            "unit": step.action.unit,
            "expires_at": plain(step.action.expires_at or view.plan.hold_until),
            "reversibility": REVERSIBILITY[step.action.kind].value,
            "inside_calibrated_range": step.inside_calibrated_range,
            "why": step.action.why,
            "state": states[step.action.id].state.value,
            "note": states[step.action.id].note,
        }
        for wave in view.plan.waves
        for step in wave.steps
    ]


def _undo(plan: Plan, undo: UndoStep) -> dict[str, Any]:
    point = next(step.action.point for step in plan.steps() if step.action.id == undo.action_id)
    return {"point": point, "how": undo.undo.value, "prior": undo.prior}


def _line(row: AuditRow) -> dict[str, Any]:
    payload = json.loads(row.payload)
    return {
        "row": row.seq,
        "at": row.at,
        "who": row.actor,
        "what": row.event,
        "why": payload.get("reason") or payload.get("why") or "",
        "steps": payload.get("steps", {}),
    }
