"""One scenario: where its saving comes from, where the energy goes, the days before and after, comfort, migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import dash_mantine_components as dmc
from dash import Input, Output, dcc, html

from dashboard.breakdown import END_USES, TOTAL, by_end_use, by_measure
from dashboard.callbacks import Callbacks, Visit
from dashboard.figures.bars import waterfall_figure
from dashboard.figures.flows import sankey_figure
from dashboard.figures.lines import Line, lines_of, series_figure
from dashboard.figures.pareto import days_figure
from dashboard.figures.theme import Figure
from dashboard.figures.theme import empty as empty_figure
from dashboard.formats import interval, local, span, utc
from dashboard.pages.page import Page, Query, as_json, card, empty, fact, graph, grid, heading, link, view
from dashboard.views import BatchView, ScenarioView, kpi_label
from twin.kpi import KPIS

if TYPE_CHECKING:
    import pandas as pd

OVERLAYS = {
    "hvac": ("HVAC power", "W", ("power_fan_w", "power_cooling_w", "power_heating_electric_w")),
    "gas": ("gas", "W", ("power_heating_gas_w",)),
    "hosts": ("power of hosts", "W", ("power_hosts_w",)),
    "people": ("people", "people", ("people",)),
}


def draw(visit: Visit, rest: str, query: Query) -> Any:
    """The screen of ``BATCH/NAME``."""
    batch_id, _, name = rest.partition("/")
    batch = visit.services.results.batch(unquote(batch_id))
    scenario = batch.scenario(unquote(name)) if batch else None
    if batch is None or scenario is None:
        return [heading("Scenario"), empty("There are no such results.", link("All scenarios", "/scenarios"))]
    base = batch.scenario(scenario.baseline) if scenario.baseline else None
    wide, half = {"base": 12}, {"base": 12, "lg": 6}
    energy = visit.services.results.energy(batch.id, scenario.name)
    return [
        heading(scenario.name, link("All scenarios", f"/scenarios?batch={batch.id}"), note=scenario.description),
        dcc.Store(id="scenario-of", data=[batch.id, scenario.name]),
        dmc.Grid(
            [
                dmc.GridCol(_kpis(visit, scenario), span=wide),
                dmc.GridCol(_waterfall(visit, batch, scenario, base), span=half),
                dmc.GridCol(
                    card("Where the energy goes", graph(sankey_figure(energy, visit.theme), "Energy by end use")),
                    span=half,
                ),
                dmc.GridCol(_overlay_card(visit, query), span=wide),
                dmc.GridCol(
                    card(
                        "Outside the comfort band, by room and day",
                        graph(_comfort(visit, batch, scenario), "Discomfort"),
                    ),
                    span=half,
                ),
                dmc.GridCol(card("Hosts and migrations", *_compute(visit, batch, scenario)), span=half),
                dmc.GridCol(card("Policy", html.Div(as_json(dict(scenario.policy)), className="mono")), span=half),
                dmc.GridCol(_findings(scenario), span=half),
            ]
        ),
    ]


def _kpis(visit: Visit, scenario: ScenarioView) -> Any:
    rows = [
        {
            "kpi": kpi_label(name),
            "value": interval(kpi),
            "delta": interval(scenario.delta.get(name), signed=True),
            "percent": interval(scenario.delta_percent.get(name), signed=True),
            "about": KPIS[name].description if name in KPIS else "",
        }
        for name, kpi in scenario.kpis.items()
    ]
    columns: list[dict[str, Any]] = [
        {"field": "kpi", "headerName": "KPI", "minWidth": 190},
        {"field": "value", "headerName": "Value [80 % interval]", "minWidth": 245},
        {"field": "delta", "headerName": f"Against {scenario.baseline or 'nothing'}", "minWidth": 260},
        {"field": "percent", "headerName": "In per cent", "minWidth": 215},
        {"field": "about", "headerName": "Meaning", "flex": 3, "minWidth": 260},
    ]
    return card("KPIs", grid(columns, rows, visit))


def _waterfall(visit: Visit, batch: BatchView, scenario: ScenarioView, base: ScenarioView | None) -> Any:
    if base is None:
        return card("Savings", graph(waterfall_figure(("", 0.0), [], "kWh", visit.theme), "No baseline"))
    measures = by_measure(batch, scenario)
    if measures is not None:
        figure = waterfall_figure((base.name, base.kpis[TOTAL].value), measures, "kWh", visit.theme)
        return card("Electricity, by measure", graph(figure, "Electricity of the baseline, changed by each measure"))
    start = sum(base.kpis[name].value for name in END_USES if name in base.kpis)
    figure = waterfall_figure((base.name, start), by_end_use(scenario), "kWh", visit.theme)
    return card("Energy of HVAC and IT, by end use", graph(figure, "Energy of the baseline, changed by end use"))


def _overlay_card(visit: Visit, query: Query) -> Any:
    rooms = [zone.id for zone in visit.services.site.zones]
    data = [{"value": key, "label": facts[0]} for key, facts in OVERLAYS.items()]
    data += [{"value": f"room:{room}", "label": f"temperature of {room}"} for room in rooms]
    known = [one["value"] for one in data]
    wanted = query.get("show")
    control = dmc.Select(
        id=view("show"),
        data=data,
        value=wanted if wanted in known else "hvac",
        allowDeselect=False,
        searchable=True,
        w=260,
        **{"aria-label": "Series to compare"},
    )
    return card(
        "Before and after", graph(None, "The baseline and this scenario over time", "overlay", 360), right=control
    )


def overlay_lines(frame: pd.DataFrame, wanted: str, name: str, colour: str, dash: str) -> list[Line]:
    """The lines of one scenario for a choice of the overlay."""
    if wanted.startswith("room:"):
        column = f"temperature_c.{wanted.removeprefix('room:')}"
        if column not in frame:
            return []
        return lines_of(frame[[column]], "°C", {column: name}, colour=colour, dash=dash)
    label, unit, columns = OVERLAYS[wanted]
    there = [column for column in columns if column in frame]
    if not there:
        return []
    summed = frame[there].sum(axis=1).to_frame(label)
    return lines_of(summed, unit, {label: name}, colour=colour, dash=dash)


def _comfort(visit: Visit, batch: BatchView, scenario: ScenarioView) -> Figure:
    frame = visit.services.results.discomfort(batch.id, scenario.name)
    if frame is None:
        return empty_figure(visit.theme, "The series of rooms were not kept for this scenario.")
    days = [str(day) for day in frame.index]
    values = [[float(value) for value in frame[room]] for room in frame.columns]
    return days_figure(list(frame.columns), days, values, "K·h", visit.theme)


def _compute(visit: Visit, batch: BatchView, scenario: ScenarioView) -> list[Any]:
    names = ("vm_migrations", "mean_active_hosts", "slatah", "pdm", "slav", "latency_p95_ms")
    facts = [fact(kpi_label(name), interval(scenario.kpis[name])) for name in names if name in scenario.kpis]
    parts: list[Any] = [dmc.Group(facts, gap="xl")] if facts else []
    if not visit.services.site.hosts:
        return [*parts, dmc.Text("This site has no hosts.", c="dimmed", size="sm", mt="sm")]
    return [*parts, *_host_hours(visit, batch, scenario), *_moves(visit, batch, scenario)]


def _host_hours(visit: Visit, batch: BatchView, scenario: ScenarioView) -> list[Any]:
    hours = visit.services.results.host_hours(batch.id, scenario.name)
    if hours is None:
        return [dmc.Text("This result is of a version that kept no states of hosts.", c="dimmed", size="sm", mt="sm")]
    days, hosts = [str(day) for day in hours.index], list(hours.columns)
    values = [[float(value) for value in hours[host]] for host in hosts]
    figure = days_figure(hosts, days, values, "h on", visit.theme, row="host")
    return [graph(figure, "Hours that each host is on, by day")]


def _moves(visit: Visit, batch: BatchView, scenario: ScenarioView) -> list[Any]:
    moved = visit.services.results.migrations(batch.id, scenario.name)
    if moved is None:
        return []
    if moved.empty:
        return [dmc.Text("No VM was moved in this run.", c="dimmed", size="sm", mt="sm")]
    zone = visit.services.site.time_zone
    rows = [
        {
            "at": local(one["at"].to_pydatetime(), zone, "%d %b %H:%M"),
            "utc": utc(one["at"].to_pydatetime()),
            "vm": one["vm"],
            "move": f"{one['source']} → {one['target']}",
            "took": span(one["duration_s"]),
            "down": f"{1000 * one['downtime_s']:.0f} ms",
        }
        for one in moved.head(MOST_MOVES).to_dict("records")
    ]
    columns: list[dict[str, Any]] = [
        {"field": "at", "headerName": "At (site time)", "tooltipField": "utc", "minWidth": 150},
        *({"field": key, "headerName": label} for key, label in _MOVE_COLUMNS),
    ]
    return [grid(columns, rows, visit, options={"pagination": len(rows) > 20})]


MOST_MOVES = 500
_MOVE_COLUMNS = (("vm", "VM"), ("move", "From → to"), ("took", "Took"), ("down", "Downtime"))


def _findings(scenario: ScenarioView) -> Any:
    words = [dmc.ListItem(text) for text in scenario.findings]
    return card("Findings", dmc.List(words, size="sm") if words else dmc.Text("None.", c="dimmed", size="sm"))


def register(callbacks: Callbacks) -> None:
    """Registers the screen's callbacks."""

    @callbacks.on(Output("overlay", "figure"), Input(view("show"), "value"), Input("scenario-of", "data"))
    def overlay(visit: Visit, wanted: str, of: list[str]) -> Any:
        results = visit.services.results
        batch = results.batch(of[0])
        scenario = batch.scenario(of[1]) if batch else None
        lines: list[Line] = []
        theme, zone = visit.theme, visit.services.site.time_zone
        if scenario is not None and scenario.baseline:
            before = results.series(of[0], scenario.baseline)
            if before is not None:
                lines += overlay_lines(before, wanted, scenario.baseline, theme.muted, "dot")
        after = results.series(of[0], of[1])
        if after is not None:
            lines += overlay_lines(after, wanted, of[1], theme.series[0], "solid")
        room = wanted.startswith("room:")
        label, unit = ("temperature", "°C") if room else OVERLAYS[wanted][:2]
        band = visit.services.site.comfort
        return series_figure(
            lines, zone, theme, title=f"{label} [{unit}]", band=(band.min_c, band.max_c) if room else None, height=360
        )


PAGE = Page(
    path="scenario",
    title="Scenario",
    icon="scenarios",
    draw=draw,
    register=register,
    in_menu=False,
    charts=True,
    tables=True,
)
