"""The form that asks the worker for a plan: what shall be saved; the search takes a minute or more."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State
from dash.exceptions import PreventUpdate

from dashboard.callbacks import Callbacks, Visit, tell
from dashboard.views import Role

GOALS = {
    "energy": "Energy of HVAC, gas and hosts",
    "hvac": "Electricity of HVAC",
    "cost": "Cost",
    "carbon": "CO₂",
    "peak": "Peak power",
}
"""Goal as the search names it → as people do."""


def form(visit: Visit) -> list[Any]:
    """Goal and button, for those who may propose."""
    if not visit.may(Role.PROPOSER):
        return []
    goals = [{"value": key, "label": text} for key, text in GOALS.items()]
    return [
        dmc.Select(id="goal", data=goals, value="energy", allowDeselect=False, w=270, **{"aria-label": "What to save"}),
        dmc.Button("Propose a plan for the week ahead", id="propose"),
    ]


def register(callbacks: Callbacks) -> None:
    """Registers the form's callback."""

    @callbacks.on(
        Output("jobs-drawer", "opened", allow_duplicate=True),
        Input("propose", "n_clicks"),
        State("goal", "value"),
        role=Role.PROPOSER,
        initial=False,
    )
    def propose(visit: Visit, clicks: int | None, goal: str) -> Any:
        if not clicks or goal not in GOALS:
            raise PreventUpdate
        job = visit.services.jobs.submit("propose", {"goal": goal}, visit.person.user)
        tell("Queued", f"The search for a plan runs as job {job.id}; the plan then waits here.", "green")
        return True
