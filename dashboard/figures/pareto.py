"""Scenarios as points between two aims, with the best compromises joined, and heat maps of rooms over days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboard.figures.theme import Figure, Theme, axis, empty, layout
from dashboard.formats import escaped, number, shortened
from dashboard.views import ScenarioView, kpi_label, kpi_unit


def front(points: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """Names of the points that no other beats in both aims (lower is better), by the first aim."""
    best: list[str] = []
    lowest = float("inf")
    for name, (_, second) in sorted(points.items(), key=lambda item: (item[1], item[0])):
        if second < lowest:
            best.append(name)
            lowest = second
    return tuple(best)


def pareto_figure(scenarios: Sequence[ScenarioView], x: str, y: str, chosen: Sequence[str], theme: Theme) -> Figure:
    """Scenarios by two KPIs with 80 % intervals, and the line of best compromises.

    Args:
        scenarios: those of a batch.
        x: KPI of the horizontal axis; lower is better.
        y: KPI of the vertical axis; lower is better.
        chosen: names to mark.
        theme: colours.
    """
    shown = [one for one in scenarios if x in one.kpis and y in one.kpis]
    if not shown:
        return empty(theme, f"No scenario of this batch has both {kpi_label(x)} and {kpi_label(y)}.")
    places = {one.name: (one.kpis[x].value, one.kpis[y].value) for one in shown}
    best = front(places)
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "best compromises",
        "x": [places[name][0] for name in best],
        "y": [places[name][1] for name in best],
        "line": {"color": theme.good, "dash": "dot", "shape": "hv"},
        "hoverinfo": "skip",
    }
    points = {
        "type": "scatter",
        "mode": "markers+text",
        "name": "scenarios",
        "x": [place[0] for place in places.values()],
        "y": [place[1] for place in places.values()],
        "text": [escaped(shortened(name)) if name in best or name in chosen else "" for name in places],
        "textposition": "top right",
        "cliponaxis": False,
        "error_x": _error(shown, x, theme),
        "error_y": _error(shown, y, theme),
        "marker": {
            "size": [16 if one.name in chosen else 11 for one in shown],
            "symbol": ["diamond" if one.baseline is None else "circle" for one in shown],
            "color": [theme.series[1] if one.name in chosen else theme.series[0] for one in shown],
        },
        "customdata": [one.name for one in shown],
        "hovertext": [
            f"<b>{escaped(one.name)}</b><br>{kpi_label(x)}: {number(one.kpis[x].value)} {kpi_unit(x)}"
            f"<br>{kpi_label(y)}: {number(one.kpis[y].value)} {kpi_unit(y)}"
            for one in shown
        ],
        "hoverinfo": "text",
    }
    return {
        "data": [line, points],
        "layout": layout(
            theme,
            height=400,
            xaxis=axis(theme, _title(x)),
            yaxis=axis(theme, _title(y)),
            clickmode="event",
        ),
    }


def _title(name: str) -> str:
    return f"{kpi_label(name)} [{kpi_unit(name) or 'count'}]"


def _error(shown: Sequence[ScenarioView], name: str, theme: Theme) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [one.kpis[name].high - one.kpis[name].value for one in shown],
        "arrayminus": [one.kpis[name].value - one.kpis[name].low for one in shown],
        "color": theme.muted,
        "thickness": 1,
    }


def days_figure(
    things: Sequence[str],
    days: Sequence[str],
    values: Sequence[Sequence[float | None]],
    title: str,
    theme: Theme,
    *,
    row: str = "room",
) -> Figure:
    """A value for each room, or another kind of thing, and day.

    Args:
        things: ids, one a row.
        days: site dates.
        values: shape (things, days).
        title: quantity and unit.
        theme: colours.
        row: what the things are.
    """
    if not things or not days:
        return empty(theme, "No series was kept for this scenario.")
    trace = {
        "type": "heatmap",
        "x": list(days),
        "y": [escaped(thing) for thing in things],
        "z": [list(row) for row in values],
        "zmin": 0,
        "colorscale": [[0, theme.neutral], [0.001, theme.hot[0]], [1, theme.hot[1]]],
        "colorbar": {"title": {"text": title, "side": "right"}, "thickness": 12, "outlinewidth": 0},
        "hovertemplate": f"%{{y}}, %{{x}}: %{{z:.3~g}} {title}<extra></extra>",
        "xgap": 1,
        "ygap": 1,
    }
    return {
        "data": [trace],
        "layout": layout(
            theme,
            height=max(240, min(900, 90 + 20 * len(things))),
            xaxis=axis(theme, "site date", showgrid=False),
            yaxis=axis(theme, row, autorange="reversed", showgrid=False),
        ),
    }
