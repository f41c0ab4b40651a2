"""Audit: who did what, when and why, with the proof that nobody changed the log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, html

from dashboard.callbacks import Callbacks, Visit
from dashboard.formats import local, number, unit_label, utc
from dashboard.pages.page import Page, Query, card, empty, grid, heading
from dashboard.views import Role
from twin.plan import Action, StepState
from twin.plans.document import Plan
from twin.plans.records import AuditRow

COLUMNS: tuple[dict[str, Any], ...] = (
    {"field": "seq", "headerName": "No.", "minWidth": 100, "maxWidth": 100, "sort": "desc"},
    {"field": "at", "headerName": "When (site time)", "minWidth": 170, "tooltipField": "utc"},
    {"field": "actor", "headerName": "Who", "minWidth": 130},
    {"field": "event", "headerName": "What", "minWidth": 170},
    {"field": "subject", "headerName": "Of", "minWidth": 190, "flex": 2, "tooltipField": "whole"},
    {"field": "change", "headerName": "Old → new", "flex": 3, "minWidth": 300, "tooltipField": "change"},
    {"field": "why", "headerName": "Why", "flex": 2, "minWidth": 220, "tooltipField": "why"},
    {"field": "payload", "headerName": "Evidence", "flex": 1, "minWidth": 150, "tooltipField": "payload"},
    {"field": "digest", "headerName": "Digest", "minWidth": 140},
)


def draw(visit: Visit, rest: str, query: Query) -> Any:
    """The screen."""
    buttons = [html.A("Export as CSV", href="/download/audit.csv", className="link")]
    buttons.append(dmc.Button("Verify the log", id="verify", variant="light"))
    plans = {one.plan.id: one.plan for one in visit.services.plans.all()}
    rows = [row_of(visit, row, plans) for row in visit.services.audit.rows()]
    top = heading("Audit", *buttons, note="Every change of a plan, an account or the world, in one chained log.")
    if not rows:
        return [top, empty("The log is empty.")]
    table = grid(COLUMNS, rows, visit, options={"pagination": True})
    return [top, html.Div(id="verified"), card(f"Log ({len(rows)} rows)", table)]


def row_of(visit: Visit, row: AuditRow, plans: Mapping[str, Plan]) -> dict[str, Any]:
    """A row of the log for the table; text only."""
    moment = datetime.fromisoformat(row.at)
    payload = json.loads(row.payload)
    told = payload if isinstance(payload, dict) else {"told": payload}
    plan = plans.get(row.subject)
    evidence = {key: value for key, value in told.items() if key not in _SAID_ELSEWHERE and value not in ({}, None, "")}
    return {
        "seq": row.seq,
        "at": local(moment, visit.services.site.time_zone, "%d %b %Y %H:%M"),
        "utc": utc(moment),
        "actor": row.actor,
        "event": row.event.replace("_", " "),
        "subject": plan.title if plan else row.subject[:20],
        "whole": row.subject,
        "change": "; ".join(changes(told, plan)),
        "why": why(told),
        "payload": json.dumps(evidence, ensure_ascii=False)[:600] if evidence else "",
        "digest": row.digest[:12],
    }


_SAID_ELSEWHERE = frozenset({"reason", "why", "state", "steps", "rows", "epoch", "verdict"})


def why(told: Mapping[str, Any]) -> str:
    """The reason that a row carries, wherever it stands."""
    inner = told.get("evidence")
    inner = inner if isinstance(inner, dict) else {}
    reasons = inner.get("reasons")
    found = (told.get("reason"), told.get("why"), inner.get("reason"), "; ".join(map(str, reasons or ())))
    return str(next((text for text in found if text), ""))


def changes(told: Mapping[str, Any], plan: Plan | None) -> list[str]:
    """What a row changed: each step with its old and new value and how it stands, then the plan's state."""
    actions = {step.action.id: step.action for step in plan.steps()} if plan else {}
    steps = told.get("steps")
    parts = [
        f"{_turned(actions[name], str(state)) if name in actions else name}: {str(state).replace('_', ' ')}"
        for name, state in (steps.items() if isinstance(steps, dict) else ())
    ]
    if told.get("state"):
        parts.append(f"plan is {str(told['state']).replace('_', ' ')}")
    if told.get("verdict"):
        parts.append(str(told["verdict"]))
    return parts


_BACK = frozenset({StepState.REVERT_INTENT, StepState.REVERTED, StepState.RELEASED, StepState.REVERT_FAILED})


def _turned(action: Action, state: str) -> str:
    """Both values in the direction of the change, values first: points have long names."""
    values = (action.value, action.expected) if state in _BACK else (action.expected, action.value)
    unit = f" {unit_label(action.unit)}".rstrip()
    return f"{_shown(values[0])} → {_shown(values[1])}{unit} at {action.point}"


def _shown(value: object) -> str:
    return number(value) if isinstance(value, int | float) else str(value if value is not None else "–")


def register(callbacks: Callbacks) -> None:
    """Registers the screen's callbacks."""

    @callbacks.on(Output("verified", "children"), Input("verify", "n_clicks"), initial=False)
    def verify(visit: Visit, clicks: int | None) -> Any:
        if not clicks:
            return None
        findings = visit.services.audit.verify()
        if not findings:
            return dmc.Alert("The log is whole: every row and every checkpoint fits.", color="green", mb="md")
        lines = [dmc.ListItem(f"{finding.row}: {finding.sentence}") for finding in findings[:50]]
        return dmc.Alert(dmc.List(lines), title=f"{len(findings)} faults", color="red", mb="md")


PAGE = Page(path="audit", title="Audit", icon="audit", draw=draw, register=register, role=Role.VIEWER, tables=True)
