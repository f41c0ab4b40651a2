"""Readers of the two keys of a policy that are neither numbers nor plain records: setpoints and operating hours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from twin.policy import DAY_KEYS, OperatingHours, Setpoint
from twin.text.readers import (
    INVALID,
    BuiltReader,
    ChoiceReader,
    ClockReader,
    EitherReader,
    Key,
    NumberReader,
    RecordReader,
    Schema,
    shown,
)
from twin.text.tree import Fault, Path

_OFF = ChoiceReader(("off",))
_SPAN_HELP = '["06:00", "22:00"] or off'


@dataclass(frozen=True, slots=True)
class SetpointReader:
    """A thermostat setting for all zones and, under ``zones``, for single ones."""

    low: float
    high: float

    def read(self, node: object, path: Path, faults: list[Fault]) -> object:
        """The general setting (or None) and the settings by zone."""
        if not isinstance(node, Mapping):
            faults.append(Fault(path=path, message=f"{shown(node)} is not {self.words()}"))
            return INVALID
        before = len(faults)
        general = {key: value for key, value in node.items() if key != "zones"}
        both = self._pair().read(general, path, faults) if general or "zones" not in node else None
        zones = node.get("zones") or {}
        if not isinstance(zones, Mapping):
            faults.append(Fault(path=(*path, "zones"), message=f"{shown(zones)} is not a mapping of zone to setting"))
            return INVALID
        single = {
            str(zone): self._pair().read(
                {**general, **value} if isinstance(value, Mapping) else value, (*path, "zones", str(zone)), faults
            )
            for zone, value in zones.items()
        }
        return INVALID if len(faults) > before else (both, single)

    def _pair(self) -> RecordReader:
        number = NumberReader(self.low, self.high, "°C")
        return RecordReader(
            {
                "occupied": Key(number, "while the unit of the zone runs by schedule or call", required=True),
                "unoccupied": Key(number, "otherwise", required=True),
            },
            Setpoint,
        )

    def schema(self) -> Schema:
        """The pair, and the pairs by zone."""
        pair = self._pair().schema()
        of_pair: Schema = dict(pair["properties"])  # type: ignore[call-overload]
        zone = {**pair, "required": []}
        zones = {"type": "object", "additionalProperties": zone, "description": "settings of single zones"}
        return {**pair, "required": [], "properties": {**of_pair, "zones": zones}}

    def words(self) -> str:
        """The form."""
        return (
            f"{{occupied: °C, unoccupied: °C}} from {self.low:g} to {self.high:g}, with single zones under "
            "zones: {id: {occupied: °C, unoccupied: °C}}"
        )


def days_of(text: str) -> tuple[str, ...]:
    """Day keys named by a text such as ``mon-fri``, ``sat, sun``, ``daily``, ``holidays``; empty for any other."""
    days: list[str] = []
    for part in text.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if part == "daily":
            days.extend(DAY_KEYS[:7])
        elif part in DAY_KEYS:
            days.append(part)
        elif first in DAY_KEYS[:7] and last in DAY_KEYS[:7] and DAY_KEYS.index(first) < DAY_KEYS.index(last):
            days.extend(DAY_KEYS[DAY_KEYS.index(first) : DAY_KEYS.index(last) + 1])
        else:
            return ()
    return tuple(days)


class HoursReader:
    """Operating hours by day."""

    def read(self, node: object, path: Path, faults: list[Fault]) -> object:
        """Windows by day key and the number of people that calls the units."""
        if not isinstance(node, Mapping):
            faults.append(Fault(path=path, message=f"{shown(node)} is not {self.words()}"))
            return INVALID
        before = len(faults)
        windows: dict[str, tuple[float, float] | None] = {}
        for key, value in node.items():
            if key != "called_by_occupancy":
                self._add(windows, str(key), value, path, faults)
        called = node.get("called_by_occupancy")
        people = None if called is None else CALLED.read(called, (*path, "called_by_occupancy"), faults)
        if len(faults) > before:
            return INVALID
        return OperatingHours(windows=windows, called_by_occupancy=people if isinstance(people, int) else None)

    def _add(
        self, windows: dict[str, tuple[float, float] | None], key: str, value: object, path: Path, faults: list[Fault]
    ) -> None:
        here = (*path, key)
        days = days_of(key)
        if not days:
            message = "unknown day; use mon … sun, a range such as mon-fri, a list such as 'sat, sun', daily, holidays"
            faults.append(Fault(path=here, message=message, on_key=True))
        twice = [day for day in days if day in windows]
        if twice:
            message = f"{', '.join(twice)} already has hours above; name each day once"
            faults.append(Fault(path=here, message=message, on_key=True))
        span = self._span(value, here, faults)
        windows.update(dict.fromkeys(days, span))

    @staticmethod
    def _span(value: object, path: Path, faults: list[Fault]) -> tuple[float, float] | None:
        if value is False or value == "off":
            return None
        if not isinstance(value, list) or len(value) != 2:
            faults.append(Fault(path=path, message=f"{shown(value)} is not a start and a stop; use {_SPAN_HELP}"))
            return None
        ends = [ClockReader().read(end, (*path, i), faults) for i, end in enumerate(value)]
        start, stop = (end if isinstance(end, float) else math.nan for end in ends)
        if start >= stop:
            message = (
                f"stop {value[1]} is not after start {value[0]}; hours end at 24:00 at the latest, use {_SPAN_HELP}"
            )
            faults.append(Fault(path=path, message=message))
        return start, stop

    def schema(self) -> Schema:
        """Any day text with a span."""
        clock = ClockReader().schema()
        span = {"anyOf": [{"type": "array", "items": clock, "minItems": 2, "maxItems": 2}, _OFF.schema()]}
        called = {**CALLED.schema(), "description": CALLED_HELP}
        return {"type": "object", "properties": {"called_by_occupancy": called}, "additionalProperties": span}

    def words(self) -> str:
        """The form."""
        return f'a mapping of days (mon-fri, sat, "sat, sun", daily, holidays) to {_SPAN_HELP}, and called_by_occupancy'


CALLED = EitherReader(BuiltReader(_OFF, lambda _: 0), NumberReader(0, 100_000, "people", whole=True))
CALLED_HELP = "the units also run whenever this many people were counted inside at the last reading; off: never"
