"""Series over time: measured values, bands, forecasts, before and after; x is site time, the hover adds UTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isnan
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dashboard.figures.theme import Figure, Theme, axis, empty, layout
from dashboard.formats import escaped
from dashboard.views import ForecastView

if TYPE_CHECKING:
    import pandas as pd

MOST_POINTS = 1200
"""More would not be seen on a screen and would only be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series to draw."""

    name: str
    at: Sequence[datetime]
    values: Sequence[float]
    unit: str
    colour: str | None = None
    dash: str = "solid"
    step: bool = False
    second_axis: bool = False


def thinned(frame: pd.DataFrame, most: int = MOST_POINTS) -> pd.DataFrame:
    """Means over equal bins, at most ``most`` of them; the frame itself when it is short."""
    if len(frame) <= most:
        return frame
    width = -(-len(frame) // most)
    import numpy as np

    bins = np.arange(len(frame)) // width
    means = frame.groupby(bins).mean()
    means.index = frame.index[::width]
    return means


def lines_of(frame: pd.DataFrame, unit: str, names: dict[str, str] | None = None, **style: Any) -> list[Line]:
    """A line per column of a frame with a UTC index."""
    short = thinned(frame)
    at = [moment.to_pydatetime() for moment in short.index]
    return [
        Line(name=(names or {}).get(column, column), at=at, values=short[column].tolist(), unit=unit, **style)
        for column in short.columns
    ]


def series_figure(
    lines: Sequence[Line],
    zone: ZoneInfo,
    theme: Theme,
    *,
    title: str,
    second_title: str = "",
    band: tuple[float, float] | None = None,
    cursor: datetime | None = None,
    height: int = 320,
) -> Figure:
    """Lines over site time.

    Args:
        lines: what to draw; values in the unit of their axis.
        zone: time zone of the site.
        theme: colours.
        title: quantity and unit of the left axis.
        second_title: quantity and unit of the right axis, when a line uses it.
        band: a range to shade, in the left axis' unit.
        cursor: a moment to mark.
        height: in pixels.
    """
    if not lines:
        return empty(theme, "No data in this window.", height)
    figure_layout = layout(
        theme,
        height=height,
        xaxis=axis(theme, f"site time ({zone.key})", type="date"),
        yaxis=axis(theme, title),
        hovermode="x unified" if len(lines) < 9 else "closest",
        shapes=_shapes(band, cursor, zone, theme),
        uirevision="kept",
    )
    if second_title:
        figure_layout["yaxis2"] = axis(
            theme, second_title, overlaying="y", side="right", showgrid=False, tickmode="auto", rangemode="tozero"
        )
    return {"data": [_trace(line, zone, i, theme) for i, line in enumerate(lines)], "layout": figure_layout}


def _shapes(
    band: tuple[float, float] | None, cursor: datetime | None, zone: ZoneInfo, theme: Theme
) -> list[dict[str, Any]]:
    shapes: list[dict[str, Any]] = []
    if band is not None:
        shaded = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": band[0], "y1": band[1]}
        shapes.append(shaded | {"fillcolor": theme.neutral, "opacity": 0.45, "line": {"width": 0}, "layer": "below"})
    if cursor is not None:
        at = stamp(cursor, zone)
        line = {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1}
        shapes.append(line | {"line": {"color": theme.muted, "width": 1, "dash": "dot"}})
    return shapes


def stamp(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as an axis shows it: site time without offset."""
    return moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S")


def _trace(line: Line, zone: ZoneInfo, index: int, theme: Theme) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": escaped(line.name),
        "x": [stamp(moment, zone) for moment in line.at],
        "y": [None if isnan(value) else value for value in line.values],
        "customdata": [moment.astimezone(UTC).strftime("%H:%M UTC") for moment in line.at],
        "hovertemplate": f"%{{y:.4~g}} {line.unit} · %{{customdata}}<extra>{escaped(line.name)}</extra>",
        "line": {
            "color": line.colour or theme.series[index % len(theme.series)],
            "dash": line.dash,
            "width": 2,
            "shape": "hv" if line.step else "linear",
        },
        "yaxis": "y2" if line.second_axis else "y",
        "connectgaps": False,
    }


def forecast_figure(view: ForecastView, zone: ZoneInfo, theme: Theme, height: int = 420) -> Figure:
    """History, median and the 80 % interval of a forecast."""
    label = f"{view.series} [{view.unit}]"
    history = Line(name="measured", at=view.history_at, values=view.history, unit=view.unit, colour=theme.muted)
    median = Line(name="forecast (median)", at=view.at, values=view.median, unit=view.unit, colour=theme.series[0])
    start = view.at[0] if view.at else None
    figure = series_figure([history, median], zone, theme, title=escaped(label), cursor=start, height=height)
    x = [stamp(moment, zone) for moment in view.at]
    band = {
        "type": "scatter",
        "mode": "lines",
        "name": "80 % interval",
        "x": [*x, *reversed(x)],
        "y": [*view.high, *reversed(view.low)],
        "fill": "toself",
        "fillcolor": theme.band,
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
    figure["data"].insert(0, band)
    return figure
