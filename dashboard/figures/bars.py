"""Bars with intervals: savings by measure, predicted against realised, hold-out errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboard.figures.theme import Figure, Theme, axis, empty, layout
from dashboard.formats import escaped, interval, shortened
from dashboard.views import Kpi, SavingView


def waterfall_figure(start: tuple[str, float], deltas: Sequence[tuple[str, float]], unit: str, theme: Theme) -> Figure:
    """From the baseline's value to the candidate's by the part that each end use changes.

    Args:
        start: name and value of the baseline. [unit]
        deltas: part by name, candidate − baseline; negative saves. [unit]
        unit: of all values.
        theme: colours.
    """
    if not deltas:
        return empty(theme, "This scenario names no baseline, so there is nothing to compare it with.")
    names = [start[0], *(name for name, _ in deltas), "this scenario"]
    trace = {
        "type": "waterfall",
        "x": [escaped(name) for name in names],
        "y": [start[1], *(delta for _, delta in deltas), 0],
        "measure": ["absolute", *("relative" for _ in deltas), "total"],
        "hovertemplate": f"%{{x}}: %{{y:,.0f}} {unit}<br>change %{{delta:,.0f}} {unit}<extra></extra>",
        "decreasing": {"marker": {"color": theme.good}},
        "increasing": {"marker": {"color": theme.bad}},
        "totals": {"marker": {"color": theme.series[4]}},
        "connector": {"line": {"color": theme.muted, "width": 1}},
    }
    low = min(start[1], start[1] + sum(delta for _, delta in deltas))
    bottom = 0.0 if not low else max(0.0, low - 2.5 * max(abs(delta) for _, delta in deltas))
    return {
        "data": [trace],
        "layout": layout(
            theme,
            height=360,
            showlegend=False,
            xaxis=axis(theme, ""),
            yaxis=axis(theme, f"energy [{unit}]", range=[bottom, None] if bottom else None),
        ),
    }


def delta_figure(deltas: Mapping[str, Kpi], unit: str, title: str, theme: Theme) -> Figure:
    """Differences to the baseline with their 80 % intervals, one bar per name."""
    if not deltas:
        return empty(theme, "No scenario with a baseline is chosen.")
    values = list(deltas.values())
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": [escaped(shortened(name, 40)) for name in deltas],
        "x": [kpi.value for kpi in values],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [kpi.high - kpi.value for kpi in values],
            "arrayminus": [kpi.value - kpi.low for kpi in values],
            "color": theme.text,
            "thickness": 1.5,
        },
        "marker": {"color": [theme.good if kpi.value <= 0 else theme.bad for kpi in values]},
        "hovertext": [f"{escaped(name)}: {interval(kpi, signed=True)}" for name, kpi in deltas.items()],
        "hoverinfo": "text",
    }
    return {
        "data": [trace],
        "layout": layout(
            theme,
            height=max(200, 90 + 34 * len(values)),
            showlegend=False,
            xaxis=axis(theme, f"{title} [{unit}]"),
            yaxis=axis(theme, "", autorange="reversed"),
        ),
    }


def savings_figure(savings: Sequence[SavingView], theme: Theme) -> Figure:
    """Predicted beside realised saving of each plan, with intervals."""
    if not savings:
        return empty(theme, "No plan has been pushed yet, so nothing could be saved.")
    unit = savings[0].predicted.unit
    names = [f"{escaped(saving.title)}<br>{saving.month}" for saving in savings]
    done = [(name, saving.realised) for name, saving in zip(names, savings, strict=True) if saving.realised]
    traces = [
        _saving_trace("predicted", names, [saving.predicted for saving in savings], theme.series[0], theme),
        _saving_trace("realised", [n for n, _ in done], [k for _, k in done if k], theme.series[2], theme),
    ]
    return {
        "data": traces,
        "layout": layout(
            theme, height=380, barmode="group", xaxis=axis(theme, "plan"), yaxis=axis(theme, f"saving [{unit}]")
        ),
    }


def _saving_trace(name: str, x: list[str], kpis: Sequence[Kpi], colour: str, theme: Theme) -> dict[str, object]:
    return {
        "type": "bar",
        "name": name,
        "x": x,
        "y": [kpi.value for kpi in kpis],
        "marker": {"color": colour},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [kpi.high - kpi.value for kpi in kpis],
            "arrayminus": [kpi.value - kpi.low for kpi in kpis],
            "color": theme.text,
        },
        "hovertext": [f"{name}: {interval(kpi)}" for kpi in kpis],
        "hoverinfo": "text",
    }


def quality_figure(
    errors: Mapping[str, float], unit: str, title: str, theme: Theme, *, limit: float | None = None
) -> Figure:
    """Errors by name, against a limit where there is one."""
    if not errors:
        return empty(theme, "No accepted or rejected model yet: calibrate first.")
    over = [limit is not None and abs(value) > limit for value in errors.values()]
    shapes = []
    for side in (-1, 1) if limit is not None and min(errors.values()) < 0 else (1,):
        if limit is not None:
            line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": side * limit, "x1": side * limit}
            shapes.append(line | {"line": {"color": theme.bad, "dash": "dash", "width": 1.5}})
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": [escaped(name) for name in errors],
        "x": list(errors.values()),
        "marker": {"color": [theme.bad if bad else theme.series[0] for bad in over]},
        "hovertemplate": f"%{{y}}: %{{x:.3~g}} {unit}<extra></extra>",
    }
    return {
        "data": [trace],
        "layout": layout(
            theme,
            height=max(180, 80 + 22 * len(errors)),
            showlegend=False,
            shapes=shapes,
            xaxis=axis(theme, f"{title} [{unit}]"),
            yaxis=axis(theme, "", autorange="reversed"),
        ),
    }
