"""The floor plan: every room coloured by a measure, with its number inside, as shapes and one trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dashboard.figures.plan_drawing import Box, Sheet
from dashboard.figures.theme import (
    Figure,
    Stops,
    Theme,
    as_plotly,
    between,
    hidden_axis,
    layout,
    readable_on,
)
from dashboard.formats import escaped, number
from twin.site import ComfortBand
from twin.vocab import PointKind

REACH_K = 3.0
"""Distance outside the comfort band at which a room has its full colour. [K]"""
SHEET_PX, LETTER_PX = 780.0, 7.5
"""Usual width of the drawing on a screen, and of a letter in it."""


class Measure(StrEnum):
    """What the floor plan can show."""

    TEMPERATURE = "temperature"
    PEOPLE = "people"
    CO2 = "co2"
    POWER = "power"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureFacts:
    """Where a measure comes from and how it is written."""

    kinds: tuple[PointKind, ...]
    """Point kinds whose values are added."""
    label: str
    unit: str
    digits: int


MEASURES: Mapping[Measure, MeasureFacts] = {
    Measure.TEMPERATURE: MeasureFacts(
        kinds=(PointKind.ZONE_AIR_TEMPERATURE,), label="Temperature", unit="°C", digits=3
    ),
    Measure.PEOPLE: MeasureFacts(kinds=(PointKind.ZONE_OCCUPANCY,), label="People", unit="people", digits=3),
    Measure.CO2: MeasureFacts(kinds=(PointKind.ZONE_CO2,), label="CO₂", unit="ppm", digits=3),
    Measure.POWER: MeasureFacts(
        kinds=(PointKind.ZONE_LIGHTING_POWER, PointKind.ZONE_PLUG_POWER, PointKind.ZONE_INTERNAL_GAIN_POWER),
        label="Power",
        unit="W",
        digits=3,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A colour scale between two values."""

    low: float
    high: float
    stops: Stops

    def colour(self, value: float) -> str:
        """The colour of a value."""
        return between(self.stops, (value - self.low) / (self.high - self.low))


def scale_for(measure: Measure, theme: Theme, band: ComfortBand, values: Mapping[str, float]) -> Scale:
    """The scale of a measure: against the band where there is one, else from nothing to the most there is."""
    if measure is Measure.TEMPERATURE:
        low, high = band.min_c - REACH_K, band.max_c + REACH_K
        first, last = REACH_K / (high - low), (band.max_c - low) / (high - low)
        stops = [
            (0.0, theme.cold[1]),
            (first, theme.cold[0]),
            (first, theme.neutral),
            (last, theme.neutral),
            (last, theme.hot[0]),
            (1.0, theme.hot[1]),
        ]
        return Scale(low=low, high=high, stops=stops)
    if measure is Measure.CO2:
        low, high = 400.0, 2 * band.co2_max_ppm - 400.0
        return Scale(
            low=low,
            high=high,
            stops=[(0.0, theme.neutral), (0.5, theme.neutral), (0.5, theme.hot[0]), (1.0, theme.hot[1])],
        )
    most = max(values.values(), default=0.0)
    return Scale(low=0.0, high=most if most > 0 else 1.0, stops=[(0.0, theme.sequence[0]), (1.0, theme.sequence[1])])


def mark(measure: Measure, value: float, band: ComfortBand) -> str:
    """An arrow for what is out of its band, so that colour is not the only sign."""
    if measure is Measure.TEMPERATURE:
        return "▲ " if value > band.max_c else "▼ " if value < band.min_c else ""
    return "▲ " if measure is Measure.CO2 and value > band.co2_max_ppm else ""


def floor_figure(
    drawing: Sheet,
    measure: Measure,
    values: Mapping[str, float],
    band: ComfortBand,
    theme: Theme,
    *,
    notes: Mapping[str, str] | None = None,
    chosen: str | None = None,
) -> Figure:
    """The floors with every room's number.

    Args:
        drawing: where the rooms are.
        measure: what is shown.
        values: value by zone, in the measure's unit; rooms without one are hatched grey.
        band: comfort band of the site.
        theme: colours.
        notes: further lines of a room's hover text.
        chosen: the room with a thick frame.
    """
    scale = scale_for(measure, theme, band, values)
    facts = MEASURES[measure]
    small = len(drawing.boxes) > 60
    fills = {box.zone: scale.colour(values[box.zone]) if box.zone in values else theme.grid for box in drawing.boxes}
    texts = [
        _room_text(box, measure, values.get(box.zone), band, named=not small and _fits(box, drawing))
        for box in drawing.boxes
    ]
    hovers = [
        f"<b>{escaped(box.zone)}</b><br>{facts.label}: {_value_text(values.get(box.zone), facts)}"
        + (f"<br>{notes[box.zone]}" if notes and box.zone in notes else "")
        for box in drawing.boxes
    ]
    trace = {
        "type": "scatter",
        "mode": "markers+text",
        "x": [(box.x0 + box.x1) / 2 for box in drawing.boxes],
        "y": [(box.y0 + box.y1) / 2 for box in drawing.boxes],
        "text": texts,
        "textfont": {"color": [readable_on(fills[box.zone]) for box in drawing.boxes], "size": 10 if small else 13},
        "hovertext": hovers,
        "hoverinfo": "text",
        "customdata": [box.zone for box in drawing.boxes],
        "marker": {
            "size": 26,
            "opacity": 0,
            "color": [scale.low] * len(drawing.boxes),
            "cmin": scale.low,
            "cmax": scale.high,
            "colorscale": as_plotly(scale.stops),
            "showscale": True,
            "colorbar": {"title": {"text": facts.unit, "side": "top"}, "thickness": 12, "outlinewidth": 0, "len": 0.9},
        },
        "showlegend": False,
    }
    return {"data": [trace], "layout": _layout(drawing, fills, theme, chosen)}


def _layout(drawing: Sheet, fills: Mapping[str, str], theme: Theme, chosen: str | None) -> dict[str, object]:
    titles = [
        {"text": f"Floor {floor}", "x": x, "y": y, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
        for floor, x, y in drawing.titles
    ]
    return layout(
        theme,
        height=int(min(760, max(300, 760 * drawing.height / drawing.width + 60))),
        shapes=[_shape(box, fills[box.zone], theme, chosen=box.zone == chosen) for box in drawing.boxes],
        annotations=titles,
        margin={"l": 4, "r": 4, "t": 8, "b": 4},
        xaxis=hidden_axis(range=[-0.01 * drawing.width, 1.01 * drawing.width]),
        yaxis=hidden_axis(range=[-0.02 * drawing.height, 1.02 * drawing.height]),
        clickmode="event",
        dragmode=False,
    )


def _shape(box: Box, fill: str, theme: Theme, *, chosen: bool) -> dict[str, object]:
    line = {"color": theme.text if chosen else theme.surface, "width": 4 if chosen else 2}
    return {
        "type": "rect",
        "x0": box.x0,
        "y0": box.y0,
        "x1": box.x1,
        "y1": box.y1,
        "fillcolor": fill,
        "line": line,
        "layer": "below",
    }


def _fits(box: Box, drawing: Sheet) -> bool:
    """Whether a room's name fits into it on a screen of usual width."""
    return (box.x1 - box.x0) / drawing.width * SHEET_PX >= LETTER_PX * len(box.zone)


def _room_text(box: Box, measure: Measure, value: float | None, band: ComfortBand, *, named: bool) -> str:
    facts = MEASURES[measure]
    shown = "no data" if value is None else mark(measure, value, band) + number(value, facts.digits)
    return f"{escaped(box.zone)}<br><b>{shown}</b>" if named else f"<b>{shown}</b>"


def _value_text(value: float | None, facts: MeasureFacts) -> str:
    return "no data" if value is None else f"{number(value, facts.digits)} {facts.unit}"
