"""Long work: a drawer with every job's progress; it shows the job table, so a reload or restart loses nothing."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Input, Output, ctx, html
from dash.exceptions import PreventUpdate

from dashboard.callbacks import Callbacks, Visit, tell
from dashboard.pages.page import badge, link, when
from dashboard.views import Role
from twin.jobs import Job, JobState

COLOURS = {
    JobState.QUEUED: "gray",
    JobState.RUNNING: "blue",
    JobState.CANCELLING: "orange",
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "gray",
}
SHOWN = 12
_LINKS = {
    "batch": ("Show the results", "/scenarios?batch="),
    "plan": ("Show the plan", "/plans/"),
    "measured": ("Show the savings", "/savings?of="),
}
"""What a job left behind → a link to it."""


def drawer() -> Any:
    """The drawer, closed."""
    return dmc.Drawer(html.Div(id="jobs"), id="jobs-drawer", title="Jobs", position="right", size="md", opened=False)


def row(visit: Visit, job: Job) -> Any:
    """One job."""
    running = not job.state.final
    stop = dmc.Button(
        "Cancel",
        id={"job-cancel": job.id},
        size="compact-xs",
        variant="light",
        color="red",
        disabled=job.state is JobState.CANCELLING,
    )
    top = dmc.Group(
        [
            dmc.Group([dmc.Text(job.kind, fw=600, size="sm"), badge(job.state.value, COLOURS[job.state])], gap="xs"),
            *([stop] if running and visit.may(Role.PROPOSER) else []),
        ],
        justify="space-between",
    )
    progress = dmc.Progress(
        value=round(100 * job.share), animated=job.state is JobState.RUNNING, **{"aria-label": f"{job.kind} progress"}
    )
    words = [dmc.Text(text, size="xs", c="dimmed") for text in (job.what if running else job.message,) if text]
    found = [link(text, address + str(job.result[key])) for key, (text, address) in _LINKS.items() if key in job.result]
    about = dmc.Group(
        [dmc.Text(job.user, size="xs", c="dimmed"), when(job.made_at, visit.services.site.time_zone)], gap="xs"
    )
    return dmc.Paper([top, *([progress] if running else []), *words, *found, about], withBorder=True, p="sm", mb="sm")


def register(callbacks: Callbacks) -> None:
    """Registers the drawer's callbacks."""

    @callbacks.on(Output("jobs-drawer", "opened"), Input("jobs-open", "n_clicks"), initial=False)
    def unfold(visit: Visit, clicks: int | None) -> Any:
        return bool(clicks)

    @callbacks.on(
        Output("jobs-drawer", "opened", allow_duplicate=True),
        Input("url", "pathname"),
        Input("url", "search"),
        initial=False,
    )
    def make_way(visit: Visit, path: str | None, search: str | None) -> Any:
        return False

    @callbacks.on(
        [Output("jobs", "children"), Output("jobs-open", "children")],
        Input("beat", "n_intervals"),
        Input("jobs-drawer", "opened"),
    )
    def refresh(visit: Visit, beat: int | None, opened: bool) -> Any:
        jobs = visit.services.jobs.all()
        running = sum(not job.state.final for job in jobs)
        label = f"Jobs ({running})" if running else "Jobs"
        if not opened:
            return None, label
        return [row(visit, job) for job in jobs[:SHOWN]] or dmc.Text("No job yet.", c="dimmed"), label

    @callbacks.on(
        Output("jobs-drawer", "title"), Input({"job-cancel": ALL}, "n_clicks"), role=Role.PROPOSER, initial=False
    )
    def cancel(visit: Visit, clicks: list[int | None]) -> Any:
        if not any(clicks) or not isinstance(ctx.triggered_id, dict):
            raise PreventUpdate
        job = visit.services.jobs.cancel(ctx.triggered_id["job-cancel"], visit.person.user)
        tell("Cancelling", f"{job.kind} ends at its next step.")
        return "Jobs"
