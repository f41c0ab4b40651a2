"""Data health & model: how old and whole the data is, how well the twin fits, and when to calibrate again."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, html

from dashboard.callbacks import Callbacks, Visit, tell
from dashboard.figures.bars import quality_figure
from dashboard.formats import local, number, quantity, span, unit_label
from dashboard.pages.findings import finding_line, gathered
from dashboard.pages.page import (
    Page,
    Query,
    badge,
    card,
    empty,
    fact,
    graph,
    grid,
    heading,
    when,
)
from dashboard.views import ModelView, PointHealth, Role

HOURLY_CVRMSE_LIMIT_PCT = 30.0
"""ASHRAE Guideline 14, hourly data."""
HOURLY_NMBE_LIMIT_PCT = 10.0


def draw(visit: Visit, rest: str, query: Query) -> Any:
    """The screen."""
    button = [dmc.Button("Calibrate", id="calibrate", variant="light")] if visit.may(Role.PROPOSER) else []
    model = visit.services.models.latest()
    return [
        heading("Data health & model", *button, note="What the twin knows, how well, and what it was told."),
        *_model(visit, model),
        _findings(visit),
        _points(visit),
        *([_parameters(visit, model)] if model is not None else []),
    ]


def _model(visit: Visit, model: ModelView | None) -> list[Any]:
    if model is None:
        return [card("Model", empty("No model yet. Calibrate one with “understudy calibrate”."))]
    zone, half = visit.services.site.time_zone, {"base": 12, "lg": 6}
    state = badge("accepted", "green") if model.accepted else badge("not accepted", "red")
    facts = [
        fact("Model", html.Span(model.model_id[:16] + "…", className="mono", title=model.model_id)),
        fact("Made", when(model.made_at, zone)),
        fact("Code", model.code_version or "–"),
        fact("Data", html.Span((model.data_digest or "–")[:16], className="mono", title=model.data_digest)),
    ]
    reasons = (
        [dmc.List([dmc.ListItem(reason) for reason in model.reasons], size="sm", mt="sm")] if model.reasons else []
    )
    advice = [dmc.Alert(model.advice, color="blue", mt="sm")] if model.advice else []
    rooms = {one.zone: one.rmse_k for one in model.zones}
    spread = {one.meter: one.hourly_cvrmse_pct for one in model.meters}
    bias = {one.meter: one.hourly_nmbe_pct for one in model.meters}
    theme = visit.theme
    by_room = quality_figure(rooms, "K", "RMSE of the temperature", theme)
    by_spread = quality_figure(spread, "%", "CV(RMSE), hourly", theme, limit=HOURLY_CVRMSE_LIMIT_PCT)
    by_bias = quality_figure(bias, "%", "NMBE, hourly", theme, limit=HOURLY_NMBE_LIMIT_PCT)
    meters = [
        card("Meters, hourly spread", graph(by_spread, "Meters, hourly spread")),
        card("Meters, hourly bias", graph(by_bias, "Meters, hourly bias")),
    ]
    room = card("Rooms on days it never saw", graph(by_room, "Rooms on days it never saw"))
    return [
        card("Model in use", dmc.Group(facts, gap="xl"), *reasons, *advice, right=state),
        dmc.Grid([dmc.GridCol(room, span=half), dmc.GridCol(dmc.Stack(meters, gap="md"), span=half)], mt="md"),
    ]


def _parameters(visit: Visit, model: ModelView) -> Any:
    rows = [
        {
            "name": one.name,
            "value": quantity(one.value, unit_label(one.unit)),
            "interval": f"{number(one.low)} to {number(one.high)}" if one.low is not None else "–",
            "before": number(one.before),
            "drift": "outside the interval" if one.drifted else "within" if one.drifted is False else "no model before",
        }
        for one in sorted(model.parameters, key=lambda one: not one.drifted)
    ]
    columns: list[dict[str, Any]] = [
        {"field": "name", "headerName": "Parameter", "flex": 2, "minWidth": 200, "tooltipField": "name"},
        {"field": "value", "headerName": "Value"},
        {"field": "interval", "headerName": "Interval"},
        {"field": "before", "headerName": "Model before"},
        {"field": "drift", "headerName": "Value before is", "minWidth": 190},
    ]
    if not rows:
        return card("Parameters", dmc.Text("This model lists none.", c="dimmed", size="sm"), mt="md")
    drifted = sum(one.drifted is True for one in model.parameters)
    words = f"{drifted} of {len(rows)} drifted: the model before had them outside the interval of this one."
    table = grid(columns, rows, visit, options={"pagination": len(rows) > 20})
    return card("Parameters", dmc.Text(words, size="sm", c="dimmed", mb="sm"), table, mt="md")


def _findings(visit: Visit) -> Any:
    zone = visit.services.site.time_zone
    found = gathered(visit.services.telemetry.findings())
    rows = [finding_line(one, zone) for one in found[:200]]
    body = dmc.Spoiler(dmc.Stack(rows, gap="xs"), maxHeight=260, showLabel="Show all", hideLabel="Show fewer")
    return card(f"Findings ({len(found)})", body if rows else dmc.Text("None.", c="dimmed", size="sm"), mt="md")


def point_row(visit: Visit, one: PointHealth) -> dict[str, Any]:
    """A point's health as a row."""
    return {
        "point": one.point,
        "kind": one.kind.value.replace("_", " "),
        "of": one.of,
        "last": local(one.last_at, visit.services.site.time_zone) if one.last_at else "never",
        "age_s": one.age_s,
        "age": span(one.age_s),
        "coverage": round(100 * one.coverage, 1),
        "gap_s": one.longest_gap_s,
        "gap": span(one.longest_gap_s),
        "stuck": "stuck" if one.stuck else "",
    }


def _points(visit: Visit) -> Any:
    rows = [point_row(visit, one) for one in visit.services.telemetry.health()]
    columns: list[dict[str, Any]] = [
        {"field": "point", "headerName": "Point", "flex": 3, "minWidth": 280, "tooltipField": "point"},
        {"field": "kind", "headerName": "Kind", "flex": 2, "minWidth": 220},
        {"field": "of", "headerName": "Of"},
        {"field": "last", "headerName": "Last row", "minWidth": 210},
        {"field": "age_s", "headerName": "Age", "valueFormatter": {"function": "params.data.age"}},
        {"field": "coverage", "headerName": "Coverage [%]", "minWidth": 150},
        {
            "field": "gap_s",
            "headerName": "Longest gap",
            "minWidth": 150,
            "valueFormatter": {"function": "params.data.gap"},
        },
        {"field": "stuck", "headerName": "Stuck"},
    ]
    return card(f"Points ({len(rows)})", grid(columns, rows, visit, options={"pagination": True}), mt="md")


def register(callbacks: Callbacks) -> None:
    """Registers the screen's callbacks."""

    @callbacks.on(
        Output("jobs-drawer", "opened", allow_duplicate=True),
        Input("calibrate", "n_clicks"),
        role=Role.PROPOSER,
        initial=False,
    )
    def calibrate(visit: Visit, clicks: int | None) -> Any:
        if not clicks:
            return False
        job = visit.services.jobs.submit("calibrate", {}, visit.person.user)
        tell("Queued", f"The calibration runs as job {job.id}.", "green")
        return True


PAGE = Page(
    path="health", title="Data health & model", icon="health", draw=draw, register=register, charts=True, tables=True
)
