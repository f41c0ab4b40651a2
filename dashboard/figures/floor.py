"""The floor plan: every room coloured by a measure, with its number inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dashboard.figures.plan_drawing import Box, Sheet
from dashboard.figures.theme import Stops, Theme, between
from dashboard.figures.tile_drawing import Drawing, drawn, legend, tile, title
from dashboard.formats import number
from twin.site import ComfortBand
from twin.vocab import PointKind

REACH_K = 3.0
"""Distance outside the comfort band at which a room has its full colour. [K]"""
SHEET_PX, LETTER_PX = 780.0, 7.5
"""Usual width of the drawing on a screen, and of a letter in it."""
MANY_ROOMS = 60
"""Beyond this, rooms show their number alone, in small letters."""


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


def floor_drawing(
    drawing: Sheet,
    measure: Measure,
    values: Mapping[str, float],
    band: ComfortBand,
    theme: Theme,
    *,
    chosen: str | None = None,
) -> Drawing:
    """The floors with every room's number.

    Args:
        drawing: where the rooms are.
        measure: what is shown.
        values: value by zone, in the measure's unit; rooms without one are hatched grey.
        band: comfort band of the site.
        theme: colours.
        chosen: the room with a thick frame.
    """
    scale = scale_for(measure, theme, band, values)
    small = len(drawing.boxes) > MANY_ROOMS
    rooms = [
        tile(
            box.zone,
            (box.x0 / drawing.width, 1 - box.y1 / drawing.height),
            ((box.x1 - box.x0) / drawing.width, (box.y1 - box.y0) / drawing.height),
            scale.colour(values[box.zone]) if box.zone in values else None,
            _texts(box, measure, values.get(box.zone), band, named=not small and _fits(box, drawing)),
        )
        for box in drawing.boxes
    ]
    return drawn(
        rooms,
        int(min(700, max(240, 700 * drawing.height / drawing.width))),
        titles=[title(f"Floor {floor}", x / drawing.width, 1 - y / drawing.height) for floor, x, y in drawing.titles],
        scale=_legend(scale, MEASURES[measure]),
        chosen=chosen,
        picks=True,
        small=small,
    )


def _legend(scale: Scale, facts: MeasureFacts) -> Drawing:
    shares = dict.fromkeys(share for share, _ in scale.stops)
    marks = [(share, number(scale.low + share * (scale.high - scale.low), facts.digits)) for share in shares]
    return legend(scale.stops, facts.unit, marks)


def _fits(box: Box, drawing: Sheet) -> bool:
    """Whether a room's name fits into it on a screen of usual width."""
    return (box.x1 - box.x0) / drawing.width * SHEET_PX >= LETTER_PX * len(box.zone)


def _texts(
    box: Box, measure: Measure, value: float | None, band: ComfortBand, *, named: bool
) -> tuple[list[str], list[str]]:
    """Lines inside a room, and those of its hover text."""
    facts = MEASURES[measure]
    if value is None:
        shown = told = "no data"
    else:
        shown = mark(measure, value, band) + number(value, facts.digits)
        told = f"{number(value, facts.digits)} {facts.unit}"
    return [box.zone, shown] if named else [shown], [box.zone, f"{facts.label}: {told}"]
