"""Plan & approve: the queue, the dossier of a plan, and the word of a person who signs for it."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate

from dashboard.callbacks import Callbacks, Visit, tell
from dashboard.formats import interval, local, number, quantity, span, unit_label
from dashboard.pages import proposing
from dashboard.pages.dialogs import signing, signing_afresh
from dashboard.pages.page import Page, Query, badge, card, empty, fact, grid, heading, link, when
from dashboard.views import Kpi, Role, kpi_label
from twin.plan import PlanState
from twin.plans.document import Interval, KpiForecast, Plan
from twin.plans.records import PlanView

SHORT = "%d %b %H:%M"
LEAST_SHARE = 1e-4
STATE_COLOURS = {
    PlanState.PROPOSED: "blue",
    PlanState.APPROVED: "teal",
    PlanState.PUSHING: "orange",
    PlanState.PAUSED: "yellow",
    PlanState.PUSHED: "green",
    PlanState.CONFIRMED: "green",
    PlanState.STUCK: "red",
    PlanState.ROLLING_BACK: "orange",
}


def state_badge(state: PlanState) -> Any:
    """A plan's state."""
    return badge(state.value.replace("_", " "), STATE_COLOURS.get(state, "gray"))


def draw(visit: Visit, rest: str, query: Query) -> Any:
    """The queue, or the dossier of the plan that the address names."""
    return dossier(visit, visit.services.plans.get(rest)) if rest else queue(visit)


def queue(visit: Visit) -> Any:
    """All plans."""
    plans = visit.services.plans.all()
    top = heading(
        "Plan & approve",
        *proposing.form(visit),
        note="Nothing reaches the site that nobody signed for. The proposer never approves.",
    )
    if not plans:
        return [top, empty("No plan yet. A proposer starts a search here, or with “understudy plan propose”.")]
    zone = visit.services.site.time_zone
    rows = [
        dmc.TableTr(
            [
                dmc.TableTd(link(one.plan.title, f"/plans/{one.plan.id}")),
                dmc.TableTd(state_badge(one.record.state)),
                dmc.TableTd(str(one.plan.risk_class)),
                dmc.TableTd(str(sum(1 for _ in one.plan.steps()))),
                dmc.TableTd(one.plan.proposer),
                dmc.TableTd(when(one.plan.created_at, zone)),
                dmc.TableTd(when(one.plan.expires_at, zone)),
                dmc.TableTd(html.Span(one.plan.id[:8], className="mono", title=one.plan.id)),
            ]
        )
        for one in plans
    ]
    names = ("Plan", "State", "Risk class", "Actions", "Proposed by", "At", "Expires", "Digest")
    wide = {"minWidth": 200}
    head = dmc.TableThead(dmc.TableTr([dmc.TableTh(name, style=wide if name == "Plan" else {}) for name in names]))
    table = dmc.Table([head, dmc.TableTbody(rows)], highlightOnHover=True, verticalSpacing="sm")
    return [top, card("Queue", dmc.TableScrollContainer(table, minWidth=900))]


def dossier(visit: Visit, one: PlanView) -> Any:
    """All that a person must see before signing."""
    plan = one.plan
    buttons = _buttons(visit, one)
    half = {"base": 12, "lg": 6}
    return [
        heading(plan.title, *buttons, note=plan.question),
        dcc.Store(id="plan-id", data=plan.id),
        dmc.Grid(
            [
                dmc.GridCol(about(visit, one), span=12),
                dmc.GridCol(_effects(visit, plan), span=half),
                dmc.GridCol(_risks(visit, plan), span=half),
                dmc.GridCol(_actions(visit, one), span=12),
                dmc.GridCol(_evidence(plan), span=half),
                dmc.GridCol(_approvals(visit, one), span=half),
            ]
        ),
        *_dialogs(visit, plan),
    ]


def _dialogs(visit: Visit, plan: Plan) -> list[Any]:
    closed = "The plan is closed; a changed one must be proposed anew."
    asked = (
        ("approve", "Approve this plan", _words(plan), "Approve", "green"),
        ("reject", "Reject this plan", closed, "Reject", "red"),
    )
    if visit.person.external and visit.services.sso is not None:
        return [signing_afresh(name, title, sentence, plan.id) for name, title, sentence, _, _ in asked]
    return [signing(*words) for words in asked]


def _words(plan: Plan) -> str:
    count = sum(1 for _ in plan.steps())
    return f"You sign for {count} actions in {len(plan.waves)} waves, for the document {plan.id[:12]}… and no other."


def _buttons(visit: Visit, one: PlanView) -> list[Any]:
    parts: list[Any] = [link("All plans", "/plans")]
    if one.record.state is PlanState.PROPOSED and visit.may(Role.APPROVER):
        parts += [
            dmc.Button("Reject", id="reject-open", color="red", variant="outline"),
            dmc.Button("Approve", id="approve-open", color="green"),
        ]
    if one.record.state not in {PlanState.PROPOSED, PlanState.REJECTED, PlanState.SUPERSEDED}:
        parts.append(link("Follow the push", f"/push/{one.plan.id}"))
    parts.append(html.A("Dossier", href=f"/download/dossier/{one.plan.id}.html", className="link"))
    return parts


def about(visit: Visit, one: PlanView) -> Any:
    """The state of a plan, who proposed it, and when its values are given back."""
    zone, plan = visit.services.site.time_zone, one.plan
    facts = [
        fact("State", state_badge(one.record.state)),
        fact("Risk class", str(plan.risk_class)),
        fact("Proposed by", plan.proposer),
        fact("Starts not before", when(plan.not_before, zone)),
        fact("No wave after", when(plan.expires_at, zone)),
        fact("Released at", when(plan.hold_until, zone)),
        fact("Digest", html.Span(plan.id[:16] + "…", className="mono", title=plan.id)),
    ]
    reason = [dmc.Text(one.record.reason, size="sm", mt="sm")] if one.record.reason else []
    return card("Where it stands", dmc.Group(facts, gap="xl"), *reason)


def _effects(visit: Visit, plan: Plan) -> Any:
    currency = visit.services.site.tariff.currency

    def cell(value: Interval, *, signed: bool = False) -> Any:
        unit = unit_label(value.unit, currency)
        kpi = Kpi(value=value.value, low=value.low, high=value.high, unit=unit)
        return dmc.TableTd(interval(kpi, signed=signed))

    moved = [one for one in plan.kpis if _is_moved(one)]
    rows = [
        dmc.TableTr(
            [
                dmc.TableTd(kpi_label(one.name)),
                cell(one.baseline),
                cell(one.candidate),
                cell(one.delta, signed=True),
            ]
        )
        for one in moved
    ]
    head = dmc.TableThead(dmc.TableTr([dmc.TableTh(name) for name in ("KPI", "Without", "With", "Difference")]))
    table = dmc.TableScrollContainer(dmc.Table([head, dmc.TableTbody(rows)]), minWidth=460)
    same = ", ".join(kpi_label(one.name) for one in plan.kpis if one not in moved)
    words = [dmc.Text(f"Unchanged: {same}.", size="sm", c="dimmed", mt="xs")] if same else []
    return card("Expected effect, with the 80 % interval", table, *words)


def _is_moved(one: KpiForecast) -> bool:
    """Whether the plan changes a KPI by more than anybody could see."""
    size = max(abs(one.baseline.value), abs(one.candidate.value))
    return max(abs(one.delta.low), abs(one.delta.high)) > LEAST_SHARE * size


def _risks(visit: Visit, plan: Plan) -> Any:
    rehearsal = badge("rehearsed", "green") if plan.rehearsal.ok else badge("rehearsal failed", "red")
    guards = [
        dmc.ListItem(
            f"{guard.name}: {_range(guard.low, guard.high)} {unit_label(guard.unit)}, "
            f"at most {span(guard.max_age_s)} old"
        )
        for guard in plan.guards
    ]
    return card(
        "Limits, risk and the way back",
        dmc.List([dmc.ListItem(reason) for reason in plan.risk_reasons], size="sm"),
        dmc.Text("Guards: one breach rolls the wave back", fw=600, size="sm", mt="sm"),
        dmc.Spoiler(dmc.List(guards, size="sm"), maxHeight=110, showLabel="Show all", hideLabel="Show fewer"),
        dmc.Group([dmc.Text("Rollback", fw=600, size="sm"), rehearsal], mt="sm", gap="xs"),
        dmc.Text(plan.rehearsal.summary, size="sm"),
    )


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at least {number(low)}" if high is None else f"at most {number(high)}"
    return f"{number(low)} to {number(high)}"


def action_rows(visit: Visit, one: PlanView) -> list[dict[str, Any]]:
    """The plan's actions: now → planned → window → expiry."""
    zone = visit.services.site.time_zone
    window = f"{local(one.plan.not_before, zone, SHORT)} – {local(one.plan.expires_at, zone, SHORT)}"
    states = {step.action_id: step for step in one.steps}
    rows = []
    for wave in one.plan.waves:
        for step in wave.steps:
            action, record = step.action, states.get(step.action.id)
            rows.append(
                {
                    "id": action.id,
                    "wave": wave.index,
                    "point": action.point,
                    "now": _value(action.expected, action.unit),
                    "planned": _value(action.value, action.unit),
                    "window": window,
                    "expiry": local(action.expires_at or one.plan.hold_until, zone, SHORT),
                    "state": record.state.value.replace("_", " ") if record else "pending",
                    "note": record.note if record else "",
                    "why": action.why,
                    "rooms": ", ".join(step.target.rooms),
                }
            )
    return rows


def _value(value: object, unit: str) -> str:
    return quantity(value, unit_label(unit)) if isinstance(value, int | float) else str(value or "–")


ACTION_COLUMNS: tuple[dict[str, Any], ...] = (
    {"field": "wave", "headerName": "Wave", "minWidth": 100, "maxWidth": 100},
    {"field": "point", "headerName": "Point", "minWidth": 330, "flex": 3, "tooltipField": "point"},
    {"field": "now", "headerName": "Now", "minWidth": 100},
    {"field": "planned", "headerName": "Planned", "minWidth": 110},
    {"field": "window", "headerName": "Window", "minWidth": 250},
    {"field": "expiry", "headerName": "Until", "minWidth": 145},
    {"field": "why", "headerName": "Why", "minWidth": 200, "flex": 2, "tooltipField": "why"},
)


def _actions(visit: Visit, one: PlanView) -> Any:
    rows = action_rows(visit, one)
    may_skip = one.record.state is PlanState.PROPOSED and visit.may(Role.PROPOSER)
    options: dict[str, Any] = {"pagination": len(rows) > 20}
    if may_skip:
        options["rowSelection"] = {"mode": "multiRow"}
    skip = dmc.Button("Propose without the selected", id="skip", variant="light", size="xs") if may_skip else None
    table = grid(ACTION_COLUMNS, rows, visit, id="plan-actions", options=options, getRowId="params.data.id")
    return card("What changes: now → planned → window → until", table, right=skip)


def _evidence(plan: Plan) -> Any:
    about = plan.evidence
    facts = [
        fact(label, html.Span((value or "–")[:16], className="mono", title=value))
        for label, value in (
            ("Scenario", about.scenario),
            ("Model", about.model_id),
            ("Data", about.data_digest),
            ("Policy", about.policy_digest),
            ("Code", about.code_version),
            ("Seed", str(about.seed)),
        )
    ]
    words = [dmc.ListItem(text) for text in (*about.assumptions, *about.data_health)]
    others = [dmc.ListItem(f"{one.name}: {one.reason}") for one in plan.alternatives]
    weighed = [dmc.Text("Weighed and not taken", fw=600, size="sm", mt="sm"), dmc.List(others, size="sm")]
    return card(
        "What it rests on",
        dmc.Group(facts, gap="lg"),
        dmc.List(words, size="sm", mt="sm"),
        *(weighed if others else []),
    )


def _approvals(visit: Visit, one: PlanView) -> Any:
    zone = visit.services.site.time_zone
    items = [
        dmc.TimelineItem(
            [dmc.Text(approval.reason, size="sm"), when(approval.at, zone)],
            title=f"{approval.person}: {approval.decision}",
        )
        for approval in one.approvals
    ]
    needed = {0: "A standing approval is enough.", 1: "One approver is needed.", 2: "Two approvers are needed."}
    words = needed.get(one.plan.risk_class, "Forbidden: nobody may approve this class.")
    timeline = dmc.Timeline(items, active=len(items)) if items else dmc.Text("Nobody has signed yet.", c="dimmed")
    return card("Approvals", dmc.Text(words, size="sm", mb="sm"), timeline)


def register(callbacks: Callbacks) -> None:
    """Registers the screen's callbacks."""
    for name in ("approve", "reject"):
        _register_opening(callbacks, name)
    _register_word(callbacks, "approve")
    _register_word(callbacks, "reject")
    proposing.register(callbacks)

    @callbacks.on(
        Output("url", "pathname", allow_duplicate=True),
        Input("skip", "n_clicks"),
        State("plan-actions", "selectedRows"),
        State("plan-id", "data"),
        role=Role.PROPOSER,
        initial=False,
    )
    def skip(visit: Visit, clicks: int | None, rows: list[dict[str, Any]] | None, plan_id: str) -> Any:
        if not clicks or not rows:
            raise PreventUpdate
        plan = visit.services.plans.without(plan_id, visit.person.user, [row["id"] for row in rows])
        tell("Proposed", f"A new plan without {len(rows)} actions waits for approval.", "green")
        return f"/plans/{plan.id}"


def _register_opening(callbacks: Callbacks, name: str) -> None:
    @callbacks.on(
        Output(f"{name}-dialog", "opened"), Input(f"{name}-open", "n_clicks"), role=Role.APPROVER, initial=False
    )
    def unfold(visit: Visit, clicks: int | None) -> Any:
        return bool(clicks)


def _register_word(callbacks: Callbacks, name: str) -> None:
    @callbacks.on(
        [
            Output("page", "children", allow_duplicate=True),
            Output(f"{name}-password", "value"),
        ],
        Input(f"{name}-act", "n_clicks"),
        State(f"{name}-reason", "value"),
        State(f"{name}-password", "value"),
        State("plan-id", "data"),
        role=Role.APPROVER,
        initial=False,
    )
    def give(visit: Visit, clicks: int | None, reason: str | None, password: str | None, plan_id: str) -> Any:
        if not clicks:
            raise PreventUpdate
        act = getattr(visit.services.plans, name)
        one = act(plan_id, visit.person.user, password or "", reason or "")
        tell("Signed", f"The plan is {one.record.state.value}.", "green")
        return dossier(visit, one), ""


PAGE = Page(path="plans", title="Plan & approve", icon="plans", draw=draw, register=register, tables=True)
