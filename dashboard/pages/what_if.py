"""The drawer in which a what-if is built and sent to the worker."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, html
from dash.exceptions import PreventUpdate

from dashboard.callbacks import Callbacks, Visit, tell
from dashboard.pages.policy_form import form, form_values, policy_tree
from dashboard.presets import PRESETS
from dashboard.views import Role
from twin.errors import BadInputError
from twin.policy_text import parse_policy

RECENT = timedelta(days=27)
"""From the first to the last day of the period that the form proposes: four weeks, as in the scenario library."""
AHEAD = timedelta(days=14)
"""How far beyond the telemetry a period may reach, for the days ahead."""
NAME = re.compile(r"^\w[\w .+()-]{0,79}$")
"""The pattern that scenario files ask of a name."""


def button(visit: Visit) -> list[Any]:
    """The button that opens the drawer, for those who may."""
    return [dmc.Button("Build a what-if", id="what-if-open")] if visit.may(Role.PROPOSER) else []


def drawer(visit: Visit) -> Any:
    """The drawer, closed."""
    span = visit.services.telemetry.span()
    zone = visit.services.site.time_zone
    first, last = (moment.astimezone(zone).date() for moment in span) if span else (None, None)
    recent = [max(first, last - RECENT), last] if first and last else None
    drivers = [
        {"value": "replay", "label": "Recorded days"},
        {"value": "synthetic", "label": "Days drawn from records"},
        {"value": "forecast", "label": "The days ahead"},
    ]
    return dmc.Drawer(
        [
            dmc.Stack(
                [
                    dmc.Select(
                        id="what-if-preset",
                        label="Start from",
                        data=list(PRESETS),
                        placeholder="an empty form",
                        clearable=True,
                    ),
                    dmc.TextInput(id="what-if-name", label="Name", required=True),
                    dmc.Select(
                        id="what-if-drivers", label="Drivers", data=drivers, value="replay", allowDeselect=False
                    ),
                    dmc.DatePickerInput(
                        id="what-if-period",
                        label="Period, both days included",
                        type="range",
                        value=[day.isoformat() for day in recent] if recent else None,
                        minDate=first.isoformat() if first else None,
                        maxDate=(last + AHEAD).isoformat() if last else None,
                    ),
                    dmc.Text("Policy: what is left empty stays as the site operates.", size="sm", c="dimmed"),
                    html.Div(form({}), id="what-if-form"),
                    dmc.Group(
                        [dmc.Button("Run against the baseline", id="what-if-run")],
                        justify="flex-end",
                    ),
                ]
            )
        ],
        id="what-if",
        title="Build a what-if",
        position="right",
        size="xl",
        opened=False,
        keepMounted=True,
    )


def scenario_request(
    name: str | None, drivers: str, period: list[str] | None, values: dict[str, object]
) -> dict[str, object]:
    """What the worker is asked to run: the baseline and the what-if, as scenario files have them.

    Raises:
        BadInputError: name, period or policy is wrong.
    """
    name = (name or "").strip()
    if not NAME.match(name) or name == "baseline":
        message = f"name {name!r}: use letters, digits and ' .+()-_', at most 80, and not 'baseline'"
        raise BadInputError(message)
    policy = policy_tree(values)
    if not policy:
        raise BadInputError("the policy is empty, so nothing would change; fill in at least one key")
    parse_policy(policy)
    common: dict[str, object] = {"schema_version": 1, "drivers": drivers, **_period(period)}
    return {
        "scenarios": [
            {**common, "name": "baseline", "description": "As the site operates.", "policy": "baseline"},
            {**common, "name": name, "policy": policy, "baseline": "baseline"},
        ]
    }


def _period(period: list[str] | None) -> dict[str, object]:
    if not period or not all(period):
        return {}
    first, last = (date.fromisoformat(day[:10]) for day in period)
    return {"period": {"from": first.isoformat(), "to": date.fromordinal(last.toordinal() + 1).isoformat()}}


def register(callbacks: Callbacks) -> None:
    """Registers the drawer's callbacks."""

    @callbacks.on(Output("what-if", "opened"), Input("what-if-open", "n_clicks"), role=Role.PROPOSER, initial=False)
    def unfold(visit: Visit, clicks: int | None) -> Any:
        return bool(clicks)

    @callbacks.on(
        [Output("what-if-form", "children"), Output("what-if-name", "value")],
        Input("what-if-preset", "value"),
        initial=False,
    )
    def preset(visit: Visit, name: str | None) -> Any:
        return form(form_values(PRESETS.get(name or "", {}))), name or ""

    @callbacks.on(
        [Output("what-if", "opened", allow_duplicate=True), Output("jobs-drawer", "opened", allow_duplicate=True)],
        Input("what-if-run", "n_clicks"),
        State("what-if-name", "value"),
        State("what-if-drivers", "value"),
        State("what-if-period", "value"),
        State({"policy": ALL}, "value"),
        role=Role.PROPOSER,
        initial=False,
    )
    def run(
        visit: Visit, clicks: int | None, name: str | None, drivers: str, period: list[str] | None, values: list[object]
    ) -> Any:
        if not clicks:
            raise PreventUpdate
        paths = [state["id"]["policy"] for state in ctx.states_list[-1]]
        request = scenario_request(name, drivers, period, dict(zip(paths, values, strict=True)))
        job = visit.services.jobs.submit("run", request, visit.person.user)
        tell("Queued", f"{name} runs as job {job.id}.", "green")
        return False, True
