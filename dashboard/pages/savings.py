"""Savings: what was promised beside what came true, by plan and month, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, html

from dashboard.callbacks import Callbacks, Visit
from dashboard.figures.bars import savings_figure
from dashboard.formats import interval
from dashboard.pages.page import Page, Query, card, chosen, empty, graph, grid, heading, link, view
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
        return [
            top,
            empty(
                "No plan has been pushed yet. “understudy plan verify” measures what a pushed one saved.",
                link("Plans", "/plans"),
            ),
        ]
    kpis = shown_kpis(savings)
    control = dmc.Select(
        id=view("kpi"),
        data=[{"value": kpi, "label": kpi_label(kpi)} for kpi in kpis],
        value=chosen(query.get("kpi"), kpis, kpis[0]),
        label="Saving of",
        allowDeselect=False,
        w=280,
        mb="md",
    )
    return [top, control, html.Div(id="savings")]


SHOWN = (
    "electricity_kwh",
    "cost",
    "co2_kg",
    "cost_per_meeting",
    "peak_kw",
    "hvac_kwh",
    "gas_kwh",
    "it_kwh",
    "fan_kwh",
    "cooling_kwh",
    "heating_kwh",
)
"""What can be saved; effects on comfort and service stand in the plan's dossier."""


def shown_kpis(savings: Sequence[SavingView]) -> list[str]:
    """KPIs to choose from: those that were verified first, then in the order that people ask for them."""
    there = {saving.kpi for saving in savings}
    verified = {saving.kpi for saving in savings if saving.realised}
    known = [kpi for kpi in SHOWN if kpi in there] or sorted(there)
    return sorted(known, key=lambda kpi: kpi not in verified)


def rows_of(savings: Sequence[SavingView]) -> list[dict[str, Any]]:
    """Savings as rows of a table."""
    return [
        {
            "plan": saving.title,
            "month": saving.month,
            "kpi": kpi_label(saving.kpi),
            "predicted": interval(saving.predicted),
            "realised": interval(saving.realised) if saving.realised else "–",
            "verdict": saving.verdict,
        }
        for saving in savings
    ]


COLUMNS = (
    {"field": "plan", "headerName": "Plan", "flex": 1, "minWidth": 200, "tooltipField": "plan"},
    {"field": "month", "headerName": "Month", "minWidth": 120, "maxWidth": 120},
    {"field": "kpi", "headerName": "Saving of", "minWidth": 140},
    {"field": "predicted", "headerName": "Predicted", "minWidth": 215},
    {"field": "realised", "headerName": "Realised", "minWidth": 215},
    {"field": "verdict", "headerName": "Verdict", "flex": 2, "minWidth": 270, "tooltipField": "verdict"},
)


def register(callbacks: Callbacks) -> None:
    """Registers the screen's callbacks."""

    @callbacks.on(Output("savings", "children"), Input(view("kpi"), "value"))
    def show(visit: Visit, kpi: str) -> Any:
        savings = visit.services.plans.savings()
        known = shown_kpis(savings)
        shown = [saving for saving in savings if saving.kpi == kpi]
        rows = rows_of([saving for saving in savings if saving.kpi in known])
        return [
            card("Predicted against realised", graph(savings_figure(shown, visit.theme), "Savings by plan and month")),
            card("By plan and month", grid(COLUMNS, rows, visit, options={"pagination": len(rows) > 20}), mt="md"),
        ]


PAGE = Page(path="savings", title="Savings", icon="savings", draw=draw, register=register, charts=True, tables=True)
