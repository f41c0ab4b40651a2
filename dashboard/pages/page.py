"""What a screen is, and the parts that screens share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import dash_ag_grid
import dash_mantine_components as dmc
from dash import dcc, html

from dashboard.callbacks import Callbacks, Visit
from dashboard.figures.theme import Figure
from dashboard.figures.tile_drawing import Drawing
from dashboard.formats import local, utc
from dashboard.tiles import Tiles
from dashboard.views import Role, Severity

Query = Mapping[str, str]
GRAPH_CONFIG = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A screen."""

    path: str
    """First part of its address; what follows names a thing on it."""
    title: str
    icon: str
    draw: Callable[[Visit, str, Query], Any]
    """``draw(visit, rest of the path, query)`` gives its components."""
    register: Callable[[Callbacks], None]
    role: Role = Role.VIEWER
    in_menu: bool = True
    charts: bool = False
    """Whether it draws charts from the start, so that their library is loaded with the page."""
    tables: bool = False
    """The same for tables."""


def view(key: str) -> dict[str, str]:
    """Id of a control whose value is part of the address, so that a link shows the same again."""
    return {"view": key}


def heading(title: str, *right: Any, note: str = "") -> Any:
    """A screen's first line: title, a sentence, and its buttons."""
    words = [dmc.Title(title, order=1, size="h2")] + ([dmc.Text(note, c="dimmed", size="sm")] if note else [])
    return dmc.Group([dmc.Stack(words, gap=2), dmc.Group(list(right), gap="sm")], justify="space-between", mb="md")


def card(title: str, *children: Any, right: Any = None, **style: Any) -> Any:
    """A framed part of a screen."""
    top = [dmc.Title(title, order=2, size="h4")] + ([] if right is None else [right])
    return dmc.Paper(
        [dmc.Group(top, justify="space-between", mb="xs"), *children], withBorder=True, p="md", radius="md", **style
    )


def graph(figure: Figure | None, label: str, graph_id: Any = None, height: int = 0) -> Any:
    """A chart with a description for screen readers; ``height`` in pixels where the figure comes later."""
    height = height or (figure["layout"].get("height", 0) if figure else 0)
    props: dict[str, Any] = {"config": GRAPH_CONFIG, "responsive": True}
    if height:
        props["style"] = {"height": f"{height}px"}
    props["figure"] = _BLANK if figure is None else figure
    if graph_id is not None:
        props["id"] = graph_id
    return html.Div(dcc.Graph(**props), role="figure", **{"aria-label": label})


def tiles(drawing: Drawing, label: str, tiles_id: str) -> Any:
    """A drawing of tiles with a description for screen readers."""
    return html.Div(Tiles(id=tiles_id, drawing=drawing), role="figure", **{"aria-label": label})


_CLEAR = "rgba(0,0,0,0)"
_BLANK: Figure = {
    "data": [],
    "layout": {
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "xaxis": {"visible": False},
        "yaxis": {"visible": False},
    },
}
"""What is there until the figure comes."""


def grid(columns: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]], visit: Visit, **props: Any) -> Any:
    """A table that sorts and filters; cells are text, never mark-up."""
    options: dict[str, Any] = {
        "animateRows": False,
        "domLayout": "autoHeight",
        "enableCellTextSelection": True,
        "tooltipShowDelay": 300,
        "ensureDomOrder": True,
    }
    options |= props.pop("options", {})
    if options.get("pagination"):
        options |= {"paginationPageSize": 20, "paginationPageSizeSelector": [20, 50, 100]}
    table = dash_ag_grid.AgGrid(
        columnDefs=[dict(column) for column in columns],
        rowData=[dict(row) for row in rows],
        defaultColDef={"sortable": True, "filter": True, "resizable": True, "minWidth": 110, "flex": 1},
        dashGridOptions=options,
        style={"width": "100%", "height": None} | props.pop("style", {}),
        className="grid",
        **props,
    )
    return html.Div(table, **{"data-ag-theme-mode": visit.theme.name})


def when(moment: datetime | None, zone: ZoneInfo, pattern: str = "%a %d %b %Y %H:%M") -> Any:
    """A moment in site time, with UTC on hover."""
    if moment is None:
        return html.Span("–")
    return html.Time(local(moment, zone, pattern), dateTime=moment.isoformat(), title=utc(moment))


def fact(label: str, value: Any, colour: str | None = None) -> Any:
    """A number with its name above it."""
    tint = {} if colour is None else {"c": colour}
    shown = dmc.Text(value, fw=600, size="lg", **tint) if isinstance(value, str) else value
    return dmc.Stack([dmc.Text(label, size="xs", c="dimmed"), shown], gap=0)


def empty(sentence: str, *more: Any) -> Any:
    """Why there is nothing here, and what to do."""
    return dmc.Stack([dmc.Text(sentence, c="dimmed"), *more], align="center", py="xl", className="empty")


def badge(text: str, colour: str) -> Any:
    """A short state."""
    whole = {"flexShrink": 0, "minWidth": "max-content"}
    return dmc.Badge(text, color=colour, variant="light", radius="sm", style=whole)


SEVERITY_COLOURS = {Severity.INFO: "blue", Severity.WARNING: "yellow", Severity.SERIOUS: "red"}


def link(text: str, address: str) -> Any:
    """A link inside the dashboard."""
    return dcc.Link(text, href=address, className="link")


def chosen(value: Any, allowed: Sequence[str], otherwise: str) -> str:
    """A value of a link when it is allowed, else the other."""
    return value if value in allowed else otherwise


def as_json(value: object) -> str:
    """Data as indented text."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
