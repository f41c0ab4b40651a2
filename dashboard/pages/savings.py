"""Savings: what was promised beside what came true, by plan and month, with intervals."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, html

from dashboard.callbacks import Callbacks, Visit
from dashboard.figures.bars import savings_figure
from dashboard.formats import interval
from dashboard.pages.page import Page, Query, card, chosen, empty, graph, grid, heading, view
from dashboard.views import SavingView, kpi_label


def draw(visit: Visit, rest: str, query: Query) -> Any:
    """The screen."""
    savings = visit.services.plans.savings()
    exports = dmc.Group(
        [
            html.A("CSV", href="/download/savings.csv", className="link"),
            html.A("Report (HTML, prints to PDF)", href="/download/savings.html", className="link"),
        ]
    )
    top = heading("Savings", exports, note="A saving is positive. Brackets hold the 80 % interval.")
    if not savings:
        return [top, empty("No plan has been pushed and measured yet.")]
    kpis = list(dict.fromkeys(saving.kpi for saving in savings))
    control = dmc.SegmentedControl(
        id=view("kpi"),
        data=[{"value": kpi, "label": kpi_label(kpi)} for kpi in kpis],
        value=chosen(query.get("kpi"), kpis, kpis[0]),
        mb="md",
    )
    return [top, control, html.Div(id="savings")]


def rows_of(savings: list[SavingView]) -> list[dict[str, Any]]:
    """Savings as rows of a table."""
    return [
        {
            "plan": saving.title,
            "month": saving.month,
            "kpi": kpi_label(saving.kpi),
            "predicted": interval(saving.predicted),
            "realised": interval(saving.realised) if saving.realised else "not measured yet",
            "verdict": saving.verdict,
        }
        for saving in savings
    ]


COLUMNS = (
    {"field": "plan", "headerName": "Plan", "flex": 2, "minWidth": 200},
    {"field": "month", "headerName": "Month"},
    {"field": "predicted", "headerName": "Predicted", "minWidth": 180},
    {"field": "realised", "headerName": "Realised", "minWidth": 180},
    {"field": "verdict", "headerName": "Verdict", "flex": 2, "minWidth": 200},
)


def register(callbacks: Callbacks) -> None:
    """Registers the screen's callbacks."""

    @callbacks.on(Output("savings", "children"), Input(view("kpi"), "value"))
    def show(visit: Visit, kpi: str) -> Any:
        shown = [saving for saving in visit.services.plans.savings() if saving.kpi == kpi]
        return [
            card("Predicted against realised", graph(savings_figure(shown, visit.theme), "Savings by plan and month")),
            card("By plan and month", grid(COLUMNS, rows_of(shown), visit), mt="md"),
        ]


PAGE = Page(path="savings", title="Savings", icon="savings", draw=draw, register=register)
