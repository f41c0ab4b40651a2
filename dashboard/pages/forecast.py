"""Forecast: history, median, interval, recent errors and drift of each series."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, html

from dashboard.callbacks import Callbacks, Visit
from dashboard.figures.lines import forecast_figure
from dashboard.formats import quantity
from dashboard.pages.page import Page, Query, badge, card, empty, fact, graph, heading, view, when
from dashboard.views import ForecastView


def draw(visit: Visit, rest: str, query: Query) -> Any:
    """The screen."""
    names = list(visit.services.models.forecast_series())
    top = heading("Forecast", note="What the next hours bring, with the range that holds four times out of five.")
    if not names:
        return [top, empty("No forecast yet. Make one with “understudy forecast”.")]
    wanted = query.get("series")
    choice = dmc.Select(
        id=view("series"),
        data=names,
        value=wanted if wanted in names else names[0],
        label="Series",
        searchable=True,
        allowDeselect=False,
        w=360,
        mb="md",
    )
    return [top, choice, html.Div(id="forecast")]


def register(callbacks: Callbacks) -> None:
    """Registers the screen's callbacks."""

    @callbacks.on(Output("forecast", "children"), Input(view("series"), "value"))
    def show(visit: Visit, series: str | None) -> Any:
        found = visit.services.models.forecast(series) if series else None
        if found is None:
            return empty("This series has no forecast yet.")
        zone = visit.services.site.time_zone
        state = dmc.Group([_drift_badge(found), _interval_badge(found)], gap="xs")
        errors = [
            fact(name.replace("_", " "), quantity(value, "" if "ratio" in name else found.unit))
            for name, value in found.errors.items()
        ]
        return [
            card(
                found.series,
                graph(forecast_figure(found, zone, visit.theme), f"History and forecast of {found.series}"),
                right=state,
            ),
            card(
                "How it does",
                dmc.Group([fact("Model", found.model), fact("Made", when(found.made_at, zone)), *errors], gap="xl"),
                dmc.Text(found.held, size="sm", mt="sm"),
                *(dmc.Alert(text, color="red", mt="sm") for text in (*found.findings, found.drift) if text),
                mt="md",
            ),
        ]


def _drift_badge(found: ForecastView) -> Any:
    return badge("drifting", "red") if found.drift else badge("no drift", "green")


def _interval_badge(found: ForecastView) -> Any:
    """Green only when coverage was judged and held."""
    if found.findings:
        return badge("intervals failed", "red")
    return badge("intervals hold", "green") if found.judged else badge("intervals not judged", "gray")


PAGE = Page(path="forecast", title="Forecast", icon="forecast", draw=draw, register=register, charts=True)
