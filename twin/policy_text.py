"""The text form of a policy: what stands under ``operation`` of a site file and ``policy`` of a scenario.

One table holds keys, limits and meaning; parser, JSON schema and documentation come from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from twin.errors import BadInputError
from twin.policy import (
    DAY_KEYS,
    Consolidation,
    EmptyZoneSetback,
    NightCycle,
    OperatingHours,
    OptimalStart,
    OutdoorAir,
    Policy,
    Precool,
    Setpoint,
    SupplyAirReset,
)
from twin.text_readers import (
    INVALID,
    BuiltReader,
    ChoiceReader,
    ClockReader,
    EitherReader,
    FlagReader,
    Key,
    NumberReader,
    Reader,
    RecordReader,
    Schema,
    shown,
)
from twin.tree import Fault, Path, dotted

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
        people = None if called is None else _CALLED.read(called, (*path, "called_by_occupancy"), faults)
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
        called = {**_CALLED.schema(), "description": _CALLED_HELP}
        return {"type": "object", "properties": {"called_by_occupancy": called}, "additionalProperties": span}

    def words(self) -> str:
        """The form."""
        return f'a mapping of days (mon-fri, sat, "sat, sun", daily, holidays) to {_SPAN_HELP}, and called_by_occupancy'


_CALLED = EitherReader(BuiltReader(_OFF, lambda _: 0), NumberReader(0, 100_000, "people", whole=True))
_CALLED_HELP = "the units also run whenever this many people were counted inside at the last reading; off: never"


def _record(build: Callable[..., object], **keys: Key) -> RecordReader:
    """A record whose keys are given as keywords; ``from_`` stands for ``from``."""
    return RecordReader({name.rstrip("_"): key for name, key in keys.items()}, build)


def _switchable(reader: Reader) -> Reader:
    return EitherReader(_OFF, reader)


_TEMPERATURE = NumberReader(5, 35, "°C")
_CLOCK = ClockReader()
_RESET = _record(
    SupplyAirReset,
    min=Key(_TEMPERATURE, "coldest supply air", required=True, field="min_c"),
    max=Key(_TEMPERATURE, "warmest supply air", required=True, field="max_c"),
    rise_k=Key(NumberReader(0, 5, "K"), "rise per step while every zone is 0.5 K below its cooling setpoint"),
    fall_k=Key(NumberReader(0, 5, "K"), "fall per step otherwise"),
)
_DEMAND = EitherReader(
    BuiltReader(_OFF, lambda _: 1.0),
    _record(
        lambda min_fraction=0.2: min_fraction,
        min_fraction=Key(NumberReader(0, 1), "least share of the design minimum outdoor air (0.2)"),
    ),
)

POLICY_KEYS: Mapping[str, Key] = {
    "heating_setpoint_c": Key(SetpointReader(0, 35), "heating setpoint of the thermostats"),
    "cooling_setpoint_c": Key(
        SetpointReader(10, 60), "cooling setpoint of the thermostats; it never comes closer than 1 K to the heating one"
    ),
    "operating_hours": Key(
        HoursReader(),
        "when the air handlers run, in site time; days not named stay as operated (in `operation` itself: off, "
        "and holidays like sun)",
    ),
    "optimal_start": Key(
        _switchable(
            _record(
                OptimalStart,
                latest=Key(_CLOCK, "every zone is ready by then", required=True, field="latest_h"),
                warm_up_k_per_h=Key(NumberReader(0.1, 50, "K/h"), "how fast the neediest zone warms up", required=True),
            )
        ),
        "between the scheduled start and `latest` the unit stays off as long as the neediest zone still can be ready",
    ),
    "empty_zone_setback": Key(
        _switchable(
            _record(
                EmptyZoneSetback,
                delta_k=Key(NumberReader(0, 10, "K"), "how far the band widens on both sides", required=True),
                after_min=Key(NumberReader(0, 1440, "min"), "how long the zone must have been empty (30)"),
                from_=Key(_CLOCK, "only after this time of the day", field="from_h"),
            )
        ),
        "while the unit runs, a zone without people has a wider band",
    ),
    "supply_air_temperature_c": Key(
        EitherReader(
            BuiltReader(_TEMPERATURE, lambda value: SupplyAirReset(min_c=value, max_c=value)),
            _record(lambda reset: reset, reset=Key(_RESET, "trim and respond within min and max", required=True)),
        ),
        "supply air temperature: fixed, or trim and respond each step",
    ),
    "outdoor_air": Key(
        _record(
            OutdoorAir,
            start_delay_h=Key(
                NumberReader(0, 12, "h"),
                "minimum outdoor air opens so long after the scheduled start (as operated, or 0)",
            ),
            demand_controlled=Key(
                _DEMAND,
                "the minimum follows people inside / design people; off: full design minimum",
                field="demand_controlled_min_fraction",
            ),
        ),
        "minimum outdoor air; keys that are not named stay as operated",
    ),
    "economizer": Key(
        ChoiceReader(("differential_dry_bulb", "off")),
        "more outdoor air while it is colder than the return air and cooling is needed",
    ),
    "night_cycle": Key(
        _switchable(
            _record(
                NightCycle,
                tolerance_k=Key(NumberReader(0, 10, "K"), "how far a zone may leave its unoccupied band (1)"),
                run_min=Key(NumberReader(1, 1440, "min"), "how long its unit then runs (30)"),
            )
        ),
        "with the unit off, a zone that leaves its unoccupied band starts it",
    ),
    "precool": Key(
        _switchable(
            _record(
                Precool,
                from_=Key(_CLOCK, "begin of the window", required=True, field="from_h"),
                to=Key(_CLOCK, "end of the window", required=True, field="to_h"),
                setpoint_c=Key(NumberReader(15, 30, "°C"), "cooling setpoint in the window", required=True),
            )
        ),
        "lower cooling setpoint in a window of the day (price or peak)",
    ),
    "consolidation": Key(
        _switchable(
            _record(
                Consolidation,
                overload=Key(
                    ChoiceReader(("static", "iqr", "mad", "lr", "lrr")), "detector of overloaded hosts (static)"
                ),
                selection=Key(ChoiceReader(("mmt", "rs", "mu", "mc")), "which VM leaves an overloaded host (mmt)"),
                placement=Key(ChoiceReader(("pabfd", "optimal")), "where it goes (pabfd)"),
                threshold=Key(
                    NumberReader(0, 10), "static: share of CPU (0.8); iqr, mad, lr, lrr: safety (1.5, 2.5, 1.2, 1.2)"
                ),
                interval_min=Key(NumberReader(1, 1440, "min"), "time between two decisions (5)"),
                max_migrations_per_step=Key(NumberReader(0, 100_000, whole=True), "most migrations per decision (any)"),
                dwell_min=Key(NumberReader(0, 10_080, "min"), "how long a moved VM stays at least (120)"),
            )
        ),
        "which VMs move together so that hosts become empty",
    ),
    "power_down_idle_hosts": Key(FlagReader(), "empty hosts are put to sleep and woken on demand"),
    "headroom": Key(NumberReader(0, 0.9), "share of a host's CPU kept free when VMs are placed"),
}
"""Every key of a policy. A key that is absent stays as the site operates."""


def _built(**read: object) -> Policy:
    """Policy of read keys; a setpoint was read as the general setting and those of single zones."""
    for key in ("heating_setpoint_c", "cooling_setpoint_c"):
        pair = read.get(key)
        if isinstance(pair, tuple):
            read[key], read[f"zone_{key}"] = pair
    return Policy(**read)  # type: ignore[arg-type]


_POLICY = RecordReader(POLICY_KEYS, _built)


def _cross_faults(policy: Policy, path: Path) -> list[Fault]:
    """Faults between values that are each right alone."""
    faults = []
    supply, precool = policy.supply_air_temperature_c, policy.precool
    if supply is not None and supply.min_c > supply.max_c:
        message = f"min {supply.min_c:g} is above max {supply.max_c:g} °C; exchange them"
        faults.append(Fault(path=(*path, "supply_air_temperature_c", "reset"), message=message))
    if isinstance(precool, Precool) and precool.from_h >= precool.to_h:
        message = "`to` is not after `from`; a window lies within one day, from 00:00 to 24:00"
        faults.append(Fault(path=(*path, "precool"), message=message))
    heat, cool = policy.heating_setpoint_c, policy.cooling_setpoint_c
    for mode in ("occupied", "unoccupied"):
        if heat is not None and cool is not None and getattr(cool, mode) < getattr(heat, mode) + 1.0:
            message = (
                f"{getattr(cool, mode):g} °C is closer than 1 K to the heating setpoint {getattr(heat, mode):g} °C; "
                "raise it or lower the heating setpoint"
            )
            faults.append(Fault(path=(*path, "cooling_setpoint_c", mode), message=message))
    return faults


def read_policy(node: object, path: Path, faults: list[Fault]) -> Policy:
    """Policy of a tree; what is wrong is added to ``faults`` and left out of the policy.

    ``baseline``, ``{}`` and an empty node mean: as the site operates.
    """
    if node is None or node == "baseline":
        return Policy()
    policy = _POLICY.read(node, path, faults)
    if not isinstance(policy, Policy):
        return Policy()
    faults.extend(_cross_faults(policy, path))
    return policy


def zone_faults(policy: Policy, zones: Collection[str], path: Path) -> list[Fault]:
    """Faults of settings for zones that the site doesn't have."""
    faults = []
    for key in ("heating_setpoint_c", "cooling_setpoint_c"):
        for zone in getattr(policy, f"zone_{key}") or ():
            if zone not in zones:
                message = f"the site has no such zone; its zones: {', '.join(zones)}"
                faults.append(Fault(path=(*path, key, "zones", zone), message=message, on_key=True))
    return faults


def parse_policy(node: object) -> Policy:
    """Policy of a tree without a file around it.

    Raises:
        BadInputError: with all faults, each with its path.
    """
    faults: list[Fault] = []
    policy = read_policy(node, (), faults)
    if faults:
        raise BadInputError.gather([f"{dotted(fault.path)}: {fault.message}" for fault in faults])
    return policy


def policy_schema() -> Schema:
    """JSON schema of a policy, for editors."""
    return {"anyOf": [{"const": "baseline"}, {"type": "null"}, _POLICY.schema()]}


def policy_rows() -> list[tuple[str, str, str]]:
    """Dotted key, what is accepted and what it means, for every key: the table of the documentation."""
    rows: list[tuple[str, str, str]] = []
    for name, key in POLICY_KEYS.items():
        rows.append((name, key.reader.words(), key.help))
        rows.extend(_rows_below(name, key.reader))
    return rows


def _rows_below(name: str, reader: Reader) -> list[tuple[str, str, str]]:
    """Rows of the keys inside a reader."""
    if isinstance(reader, EitherReader):
        return _rows_below(name, reader.longer)
    if isinstance(reader, HoursReader):
        return [(f"{name}.called_by_occupancy", _CALLED.words(), _CALLED_HELP)]
    if not isinstance(reader, RecordReader):
        return []
    rows: list[tuple[str, str, str]] = []
    for key, below in reader.keys.items():
        rows.append((f"{name}.{key}", below.reader.words(), below.help))
        rows.extend(_rows_below(f"{name}.{key}", below.reader))
    return rows
