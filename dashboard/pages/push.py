"""Push: the waves of a plan live, each action's state and read-back, and the buttons that stop it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, dcc, html
from dash.exceptions import PreventUpdate

from dashboard.callbacks import Callbacks, Visit, tell
from dashboard.pages.page import Page, Query, badge, card, empty, fact, grid, heading, link, when
from dashboard.pages.plans import action_rows, state_badge
from dashboard.views import Mode, Role
from twin.plan import PlanState, StepState
from twin.plans.records import PlanView

RUNNING = frozenset({PlanState.PUSHING, PlanState.PAUSED, PlanState.ROLLING_BACK, PlanState.STUCK})
_HELD = frozenset({PlanState.PUSHED, PlanState.CONFIRMED})
_STOPPED = frozenset({PlanState.PAUSED, PlanState.ROLLING_BACK, PlanState.ROLLED_BACK, PlanState.STUCK})
_TROUBLE = frozenset(
    {StepState.MISMATCH, StepState.UNKNOWN, StepState.FAILED, StepState.REVERT_FAILED, StepState.OVERRIDDEN}
)
_WORDS = {StepState.INTENT: "being written", StepState.REVERT_INTENT: "being given back"}
_STEP_COLOURS = {
    StepState.VERIFIED: "green",
    StepState.ALREADY_DONE: "green",
    StepState.OVERRIDDEN: "yellow",
    StepState.MISMATCH: "red",
    StepState.UNKNOWN: "red",
    StepState.FAILED: "red",
    StepState.REVERT_FAILED: "red",
    StepState.INTENT: "orange",
}


def draw(visit: Visit, rest: str, query: Query) -> Any:
    """The push of the plan that the address names, or of the latest one."""
    plans = visit.services.plans.all()
    shown = [one for one in plans if one.record.state not in _NOT_STARTED]
    plan_id = rest or (shown[0].plan.id if shown else "")
    top = heading("Push", note="What the world says after each action, not what the device answered.")
    if not plan_id:
        ready = [
            link(one.plan.title, f"/plans/{one.plan.id}") for one in plans if one.record.state is PlanState.APPROVED
        ]
        return [top, empty("Nothing has been pushed yet.", *ready)]
    return [
        top,
        dcc.Store(id="push-id", data=plan_id),
        dcc.Store(id="push-shown"),
        dcc.Store(id="push-wanted"),
        html.Div(id="push"),
        _confirm(),
    ]


_NOT_STARTED = frozenset({PlanState.PROPOSED, PlanState.REJECTED, PlanState.SUPERSEDED, PlanState.APPROVED})


def _confirm() -> Any:
    return dmc.Modal(
        [
            dmc.Text(id="push-asked", size="sm", mb="sm"),
            dmc.TextInput(id="push-reason", label="Reason", required=True),
            dmc.Group([dmc.Button("Do it", id="push-do", color="orange")], justify="flex-end", mt="md"),
        ],
        id="push-dialog",
        title="Confirm",
        opened=False,
        centered=True,
    )


def body(visit: Visit, one: PlanView) -> Any:
    """The push as it stands."""
    zone = visit.services.site.time_zone
    facts = [
        fact("State", state_badge(one.record.state)),
        fact("Waves passed", f"{one.record.waves_passed} of {len(one.plan.waves)}"),
        fact("Since", when(one.record.since, zone)),
        fact("Deadline", when(one.record.deadline, zone)),
    ]
    others = [
        link(other.plan.title, f"/push/{other.plan.id}")
        for other in visit.services.plans.all()
        if other.plan.id != one.plan.id and other.record.state not in _NOT_STARTED
    ]
    return [
        card(
            one.plan.title,
            dmc.Group(facts, gap="xl"),
            *([dmc.Text(one.record.reason, size="sm", mt="sm")] if one.record.reason else []),
            right=dmc.Group(_buttons(visit, one)),
        ),
        _waves(visit, one),
        *([card("Other pushes", dmc.Stack(others[:10], gap="xs"), mt="md")] if others else []),
    ]


def _buttons(visit: Visit, one: PlanView) -> list[Any]:
    state = one.record.state
    allowed = {
        "start": state is PlanState.APPROVED and visit.services.plans.mode() is not Mode.SHADOW,
        "resume": state is PlanState.PAUSED,
        "pause": state is PlanState.PUSHING,
        "measure": state in _HELD,
        "roll-back": state in RUNNING | _HELD,
    }
    if not visit.may(Role.OPERATOR):
        return []
    return [
        dmc.Button(
            _LABELS[name],
            id={"push": name},
            color=_COLOURS[name],
            variant="filled" if name == "start" else "outline",
            disabled=not may,
        )
        for name, may in allowed.items()
        if may or name in {"pause", "roll-back"}
    ]


_LABELS = {
    "start": "Push",
    "resume": "Go on",
    "pause": "Pause",
    "measure": "Measure the saving",
    "roll-back": "Stop and roll back",
}
_COLOURS = {"start": "green", "resume": "green", "pause": "yellow", "measure": "blue", "roll-back": "red"}
_COLUMNS: tuple[dict[str, Any], ...] = (
    {"field": "point", "headerName": "Point", "minWidth": 330, "flex": 2, "tooltipField": "point"},
    {"field": "now", "headerName": "Before", "minWidth": 100},
    {"field": "planned", "headerName": "Planned", "minWidth": 110},
    {"field": "state", "headerName": "State by read-back", "minWidth": 180},
    {"field": "note", "headerName": "Note", "minWidth": 260, "flex": 3, "tooltipField": "note"},
)


def _waves(visit: Visit, one: PlanView) -> Any:
    """Waves one below the other; the one that is under way, or has trouble, is unfolded."""
    rows = action_rows(visit, one)
    states = {step.action_id: step.state for step in one.steps}
    items, unfolded = [], []
    for wave in one.plan.waves:
        own = [states.get(step.action.id, StepState.PENDING) for step in wave.steps]
        counts = {state: own.count(state) for state in StepState if state in own}
        badges = [
            badge(f"{count} {_WORDS.get(state, state.value.replace('_', ' '))}", _STEP_COLOURS.get(state, "gray"))
            for state, count in counts.items()
        ]
        name = "Canary" if wave.index == one.plan.waves[0].index and len(one.plan.waves) > 1 else f"Wave {wave.index}"
        shown = [row for row in rows if row["wave"] == wave.index]
        table = grid(_COLUMNS, shown, visit, options={"pagination": len(shown) > 20})
        top = dmc.Group(
            [
                dmc.Text(name, fw=600),
                dmc.Text(f"{len(shown)} action{'' if len(shown) == 1 else 's'}", size="sm", c="dimmed"),
                _verdict(one, wave.index),
                *badges,
            ],
            gap="xs",
        )
        items.append(
            dmc.AccordionItem([dmc.AccordionControl(top), dmc.AccordionPanel(table)], value=f"wave-{wave.index}")
        )
        if _wants_a_look(one, wave.index, counts):
            unfolded.append(f"wave-{wave.index}")
    waves = dmc.Accordion(items, multiple=True, value=unfolded, variant="separated", chevronPosition="left")
    return card("Waves", waves, mt="md")


def _wants_a_look(one: PlanView, index: int, counts: Mapping[StepState, int]) -> bool:
    """Whether the wave is the one under way, or some action of it did not do what was asked."""
    under_way = one.record.state in RUNNING and index - one.plan.waves[0].index == one.record.waves_passed
    return under_way or any(state in _TROUBLE for state in counts)


def _verdict(one: PlanView, index: int) -> Any:
    place = index - one.plan.waves[0].index
    if place < one.record.waves_passed:
        return badge("judge: pass", "green")
    if place == one.record.waves_passed and one.record.state in _STOPPED:
        return badge("stopped here", "red")
    return badge("not judged yet" if one.record.state is PlanState.PUSHING else "not judged", "gray")


def register(callbacks: Callbacks) -> None:
    """Registers the screen's callbacks."""

    @callbacks.on(
        [Output("push", "children"), Output("push-shown", "data")],
        Input("push-id", "data"),
        Input("beat", "n_intervals"),
        State("push-shown", "data"),
    )
    def follow(visit: Visit, plan_id: str, beat: int | None, shown: list[Any] | None) -> Any:
        one = visit.services.plans.get(plan_id)
        key = [plan_id, one.record.version, one.record.state.value, [step.state.value for step in one.steps]]
        if key == shown:
            raise PreventUpdate
        return body(visit, one), key

    _register_asking(callbacks)

    @callbacks.on(
        Output("push-dialog", "opened", allow_duplicate=True),
        Input("push-do", "n_clicks"),
        State("push-wanted", "data"),
        State("push-reason", "value"),
        State("push-id", "data"),
        role=Role.OPERATOR,
        initial=False,
    )
    def act(visit: Visit, clicks: int | None, wanted: str | None, reason: str | None, plan_id: str) -> Any:
        if not clicks or not wanted:
            raise PreventUpdate
        tell("Asked for", _do(visit, wanted, plan_id, reason or ""), "green")
        return False


def _do(visit: Visit, wanted: str, plan_id: str, reason: str) -> str:
    plans, user = visit.services.plans, visit.person.user
    if wanted == "pause":
        plans.pause(plan_id, user, reason)
        return "The push holds at its next step."
    if wanted == "roll-back":
        plans.roll_back(plan_id, user, reason)
        return "The push stops and takes the way back."
    if wanted == "measure":
        job = visit.services.jobs.submit("verify", {"plan": plan_id}, user)
        return f"Meters are held against the twin as job {job.id}; Savings then shows it."
    job = visit.services.jobs.submit("push", {"plan": plan_id, "resume": wanted == "resume"}, user)
    return f"The push runs as job {job.id}."


def _register_asking(callbacks: Callbacks) -> None:
    @callbacks.on(
        [Output("push-dialog", "opened"), Output("push-asked", "children"), Output("push-wanted", "data")],
        Input({"push": ALL}, "n_clicks"),
        role=Role.OPERATOR,
        initial=False,
    )
    def ask(visit: Visit, clicks: list[int | None]) -> Any:
        if not any(clicks) or not isinstance(ctx.triggered_id, dict):
            raise PreventUpdate
        wanted = ctx.triggered_id["push"]
        return True, f"{_LABELS[wanted]}: this is recorded with your name.", wanted


PAGE = Page(path="push", title="Push", icon="push", draw=draw, register=register, tables=True)
