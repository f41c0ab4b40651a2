"""Scenarios: build a what-if, run it with progress, weigh the results against the baseline and each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate

from dashboard.callbacks import Callbacks, Visit
from dashboard.figures.bars import delta_figure
from dashboard.figures.pareto import pareto_figure
from dashboard.formats import interval, local
from dashboard.pages import what_if
from dashboard.pages.page import Page, Query, badge, card, chosen, empty, graph, grid, heading, link, view
from dashboard.views import BatchView, Role, ScenarioView, kpi_label
from twin.kpi import KPIS

SHOWN_KPIS = ("hvac_kwh", "electricity_kwh", "cost", "co2_kg", "peak_kw", "occupied_discomfort_kh", "slav")


def draw(visit: Visit, rest: str, query: Query) -> Any:
    """The screen."""
    batches = visit.services.results.batches()
    top = heading(
        "Scenarios",
        *what_if.button(visit),
        note="What would have happened, rehearsed in the calibrated twin: differences are scenario − baseline.",
    )
    parts: list[Any] = [top, *([what_if.drawer(visit)] if visit.may(Role.PROPOSER) else [])]
    if not batches:
        return [*parts, empty("No results yet. Build a what-if, or run scenario files with “understudy run”.")]
    ids = [batch.id for batch in batches]
    x, y = (chosen(query.get(key), list(KPIS), default) for key, default in _AXES.items())
    controls = dmc.Group(
        [
            dmc.Select(
                id=view("batch"),
                data=[{"value": batch.id, "label": _batch_label(visit, batch)} for batch in batches],
                value=chosen(query.get("batch"), ids, ids[0]),
                label="Results of",
                w=440,
                allowDeselect=False,
                searchable=True,
            ),
            _kpi_select("x", "Across", x),
            _kpi_select("y", "Up", y),
            dmc.MultiSelect(
                id=view("compare"),
                label="Compare",
                placeholder="Choose in the table, the plot or here",
                data=_names(visit, chosen(query.get("batch"), ids, ids[0])),
                value=(query.get("compare") or "").split("|") if query.get("compare") else [],
                w=380,
                clearable=True,
                clearButtonProps={"aria-label": "Compare none"},
            ),
        ],
        align="flex-end",
        mb="md",
    )
    return [
        *parts,
        controls,
        html.Div(id="scenario-table"),
        dmc.Grid(
            [
                dmc.GridCol(
                    card("Compromises", graph(None, "Scenarios by two KPIs", "pareto", 400)), span={"base": 12, "lg": 6}
                ),
                dmc.GridCol(html.Div(id="comparison"), span={"base": 12, "lg": 6}),
            ],
            mt="md",
        ),
        dcc.Store(id="scenario-done"),
    ]


_AXES = {"x": "hvac_kwh", "y": "occupied_discomfort_kh"}


def _kpi_select(key: str, label: str, value: str) -> Any:
    data = [{"value": name, "label": f"{kpi_label(name)} [{kpi.unit}]"} for name, kpi in KPIS.items()]
    return dmc.Select(id=view(key), data=data, value=value, label=label, w=230, allowDeselect=False, searchable=True)


def _batch_label(visit: Visit, batch: BatchView) -> str:
    made = f", {local(batch.made_at, visit.services.site.time_zone, '%d %b %H:%M')}" if batch.made_at else ""
    return f"{batch.id} ({len(batch.scenarios)} scenarios{made})"


def _names(visit: Visit, batch_id: str) -> list[str]:
    batch = visit.services.results.batch(batch_id)
    return [one.name for one in batch.scenarios] if batch else []


def scenario_address(batch_id: str, name: str) -> str:
    """Where the details of a scenario are."""
    return f"/scenario/{quote(batch_id, safe='')}/{quote(name, safe='')}"


def row_of(batch_id: str, scenario: ScenarioView) -> dict[str, Any]:
    """A scenario as a row of the table: numbers to sort by, texts to show."""
    row: dict[str, Any] = {"name": scenario.name, "baseline": scenario.baseline or "is the baseline", "batch": batch_id}
    for name in SHOWN_KPIS:
        kpi, delta = scenario.kpis.get(name), scenario.delta_percent.get(name) or scenario.delta.get(name)
        shown = delta if scenario.baseline else kpi
        row[name] = shown.value if shown else None
        row[f"{name}_text"] = interval(shown, signed=scenario.baseline is not None)
    return row


def columns_of(scenarios: Sequence[ScenarioView]) -> list[dict[str, Any]]:
    """Columns for the KPIs that any scenario has."""
    known = [name for name in SHOWN_KPIS if any(name in one.kpis for one in scenarios)]
    columns: list[dict[str, Any]] = [
        {
            "field": "name",
            "headerName": "Scenario",
            "pinned": "left",
            "minWidth": 270,
            "flex": 2,
            "tooltipField": "name",
        },
        {"field": "baseline", "headerName": "Against", "minWidth": 150},
    ]
    columns += [
        {
            "field": name,
            "headerName": kpi_label(name),
            "headerTooltip": f"{KPIS[name].description} [{KPIS[name].unit}], 80 % interval in brackets",
            "valueFormatter": {"function": f"params.data.{name}_text"},
            "filter": "agNumberColumnFilter",
            "minWidth": 250,
        }
        for name in known
    ]
    return columns


def register(callbacks: Callbacks) -> None:
    """Registers the screen's callbacks."""

    @callbacks.on(
        [Output("scenario-table", "children"), Output(view("compare"), "data")], Input(view("batch"), "value")
    )
    def table(visit: Visit, batch_id: str) -> Any:
        batch = visit.services.results.batch(batch_id)
        if batch is None:
            return empty("These results are no longer there."), []
        rows = [row_of(batch.id, one) for one in batch.scenarios]
        state = badge("model accepted", "green") if batch.model_accepted else badge("model not accepted", "red")
        shown = grid(
            columns_of(batch.scenarios),
            rows,
            visit,
            id="scenario-grid",
            options={
                "rowSelection": {"mode": "multiRow"},
                "selectionColumnDef": {"pinned": "left"},
                "pagination": len(rows) > 20,
            },
            getRowId="params.data.name",
        )
        details = [link(one.name, scenario_address(batch.id, one.name)) for one in batch.scenarios]
        more = dmc.Group([dmc.Text("Details of", size="sm", c="dimmed"), *details[:12]], gap="sm", mt="sm")
        return card("Results", shown, more, right=state), [one.name for one in batch.scenarios]

    @callbacks.on(Output(view("compare"), "value"), Input("scenario-grid", "selectedRows"), initial=False)
    def select(visit: Visit, rows: list[dict[str, Any]] | None) -> Any:
        if rows is None:
            raise PreventUpdate
        return [row["name"] for row in rows]

    @callbacks.on(
        Output("pareto", "figure"),
        Input(view("batch"), "value"),
        Input(view("x"), "value"),
        Input(view("y"), "value"),
        Input(view("compare"), "value"),
    )
    def compromises(visit: Visit, batch_id: str, x: str, y: str, names: list[str] | None) -> Any:
        batch = visit.services.results.batch(batch_id)
        return pareto_figure(batch.scenarios if batch else (), x, y, names or [], visit.theme)

    @callbacks.on(
        Output("comparison", "children"),
        Input(view("batch"), "value"),
        Input(view("x"), "value"),
        Input(view("compare"), "value"),
    )
    def comparison(visit: Visit, batch_id: str, x: str, names: list[str] | None) -> Any:
        batch = visit.services.results.batch(batch_id)
        shown = [one for one in (batch.scenarios if batch else ()) if x in one.delta_percent or x in one.delta]
        shown = [one for one in shown if one.name in names] if names else shown
        relative = all(x in one.delta_percent for one in shown)
        deltas = {one.name: (one.delta_percent if relative else one.delta)[x] for one in shown[:30]}
        unit = "%" if relative else KPIS[x].unit
        title = f"Change of {kpi_label(x)} against the baseline"
        address = f"/download/results/{quote(batch_id, safe='')}"
        export = dmc.Group(
            [
                html.A("CSV", href=f"{address}.csv", className="link"),
                html.A("Report (prints to PDF)", href=f"{address}.html", className="link"),
            ]
        )
        return card(title, graph(delta_figure(deltas, unit, "change", visit.theme), title), right=export)

    _register_click(callbacks)
    what_if.register(callbacks)


def _register_click(callbacks: Callbacks) -> None:
    @callbacks.on(
        Output(view("compare"), "value", allow_duplicate=True),
        Input("pareto", "clickData"),
        State(view("compare"), "value"),
        initial=False,
    )
    def toggle(visit: Visit, click: dict[str, Any] | None, names: list[str] | None) -> Any:
        name = click["points"][0].get("customdata") if click else None
        if name is None:
            raise PreventUpdate
        kept = [one for one in names or [] if one != name]
        return kept if name in (names or []) else [*kept, name]


PAGE = Page(
    path="scenarios", title="Scenarios", icon="scenarios", draw=draw, register=register, charts=True, tables=True
)
