"""Audit: who did what, when and why, with the proof that nobody changed the log."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, html

from dashboard.callbacks import Callbacks, Visit
from dashboard.formats import local, utc
from dashboard.pages.page import Page, Query, card, empty, grid, heading
from dashboard.views import Role
from twin.plans.records import AuditRow

COLUMNS: tuple[dict[str, Any], ...] = (
    {"field": "seq", "headerName": "No.", "maxWidth": 90, "sort": "desc"},
    {"field": "at", "headerName": "When (site time)", "minWidth": 190, "tooltipField": "utc"},
    {"field": "actor", "headerName": "Who"},
    {"field": "event", "headerName": "What", "minWidth": 150},
    {"field": "subject", "headerName": "Of", "minWidth": 150},
    {"field": "why", "headerName": "Why", "flex": 2, "minWidth": 220},
    {"field": "payload", "headerName": "Old, new and evidence", "flex": 3, "minWidth": 260, "tooltipField": "payload"},
    {"field": "digest", "headerName": "Digest", "minWidth": 130},
)


def draw(visit: Visit, rest: str, query: Query) -> Any:
    """The screen."""
    buttons = [html.A("Export as CSV", href="/download/audit.csv", className="link")]
    buttons.append(dmc.Button("Verify the log", id="verify", variant="light"))
    rows = [row_of(visit, row) for row in visit.services.audit.rows()]
    top = heading("Audit", *buttons, note="Every change of a plan, an account or the world, in one chained log.")
    if not rows:
        return [top, empty("The log is empty.")]
    table = grid(COLUMNS, rows, visit, options={"pagination": True})
    return [top, html.Div(id="verified"), card(f"Log ({len(rows)} rows)", table)]


def row_of(visit: Visit, row: AuditRow) -> dict[str, Any]:
    """A row of the log for the table; text only."""
    moment = datetime.fromisoformat(row.at)
    payload = json.loads(row.payload)
    why = payload.pop("reason", "") if isinstance(payload, dict) else ""
    return {
        "seq": row.seq,
        "at": local(moment, visit.services.site.time_zone),
        "utc": utc(moment),
        "actor": row.actor,
        "event": row.event.replace("_", " "),
        "subject": row.subject[:20],
        "why": str(why),
        "payload": json.dumps(payload, ensure_ascii=False)[:600],
        "digest": row.digest[:12],
    }


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
