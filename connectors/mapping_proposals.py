"""Proposes points for a new site from what a BACnet network tells: a fragment of ``site.yaml`` to review."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from twin.vocab import KIND_FACTS, PointKind, Subject


class Described(Protocol):
    """An object as its device describes it."""

    device: int
    object: str
    name: str
    description: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A point that a person shall confirm."""

    device: int
    object: str
    name: str
    kind: PointKind | None
    unit: str
    why: str


BACNET_UNITS: Mapping[str, str] = {
    "degrees-celsius": "degC",
    "degrees-fahrenheit": "degF",
    "degrees-kelvin": "K",
    "percent": "percent",
    "percent-relative-humidity": "percent",
    "parts-per-million": "ppm",
    "watts": "W",
    "kilowatts": "kW",
    "megawatts": "MW",
    "btus-per-hour": "Btu/h",
    "kilograms-per-second": "kg/s",
    "cubic-meters-per-second": "m3/s",
    "cubic-meters-per-hour": "m3/h",
    "liters-per-second": "L/s",
    "cubic-feet-per-minute": "cfm",
    "meters-per-second": "m/s",
    "watts-per-square-meter": "W/m2",
}
"""BACnet's name of a unit → ours."""

_RULES: Sequence[tuple[PointKind, str]] = (
    (PointKind.ZONE_COOLING_SETPOINT, r"cool\w* ?(set ?point|stpt|sp)\b|\bcl?g ?(stpt|sp)\b"),
    (PointKind.ZONE_HEATING_SETPOINT, r"heat\w* ?(set ?point|stpt|sp)\b|\bhtg ?(stpt|sp)\b"),
    (
        PointKind.AHU_SUPPLY_AIR_TEMPERATURE_SETPOINT,
        r"(supply|discharge) ?air ?temp\w* ?(set ?point|stpt|sp)\b|\b[sd]at ?sp\b",
    ),
    (PointKind.AHU_SUPPLY_AIR_TEMPERATURE, r"(supply|discharge) ?air ?temp|\b[sd]at\b"),
    (PointKind.OUTDOOR_AIR_TEMPERATURE, r"(outdoor|outside|ambient) ?(air)? ?temp|\boat\b"),
    (PointKind.OUTDOOR_RELATIVE_HUMIDITY, r"(outdoor|outside) ?(air)? ?(rel\w* )?hum"),
    (PointKind.ZONE_AIR_TEMPERATURE, r"(zone|room|space) ?(\w+ )?(air )?temp|\bznt?\b|\bzn ?t\b"),
    (PointKind.ZONE_CO2, r"\bco2\b"),
    (PointKind.ZONE_RELATIVE_HUMIDITY, r"(zone|room|space) ?(\w+ )?(rel\w* )?hum"),
    (PointKind.ZONE_OCCUPANCY, r"occupan(cy|ts) ?(count)?|people ?count"),
    (PointKind.AHU_SUPPLY_AIR_FLOW, r"(supply|discharge) ?air ?flow"),
    (PointKind.FAN_POWER, r"fan\w* ?(electric )?power"),
    (PointKind.COOLING_POWER, r"(chiller|cooling) ?(electric )?power"),
    (PointKind.ELECTRIC_POWER, r"(main|building|total) ?(electric\w* )?(power|demand)"),
    (PointKind.GLOBAL_HORIZONTAL_IRRADIANCE, r"(solar|global) ?(rad|irrad)"),
)
"""Kind → how its objects tend to be called; the first that fits name and unit is proposed."""

_UNITS_OF: Mapping[str, frozenset[str]] = {
    "degC": frozenset({"degC", "degF", "K"}),
    "W": frozenset({"W", "kW", "MW", "Btu/h"}),
    "fraction": frozenset({"percent"}),
    "kg/s": frozenset({"kg/s", "m3/s", "m3/h", "L/s", "cfm"}),
}


def propose(objects: Iterable[Described]) -> list[Proposal]:
    """One proposal per object, with the kind that name, description and unit agree on, or none."""
    return [_proposal(found) for found in objects]


def _proposal(found: Described) -> Proposal:
    unit = BACNET_UNITS.get(found.unit, "")
    text = re.sub(r"[_./\-]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", f"{found.name} {found.description}")).lower()
    for kind, pattern in _RULES:
        inside = KIND_FACTS[kind].unit
        fits = not unit or unit in _UNITS_OF.get(inside, frozenset({inside}))
        if fits and (match := re.search(pattern, text)):
            why = f"name says {match.group(0)!r}" + (
                f", unit is {unit}" if unit else "; its unit is not told, check it"
            )
            return Proposal(
                device=found.device, object=found.object, name=found.name, kind=kind, unit=unit or inside, why=why
            )
    return Proposal(device=found.device, object=found.object, name=found.name, kind=None, unit=unit, why="")


def fragment(proposals: Sequence[Proposal], connector: str) -> str:
    """Lines for ``site.yaml``: proposed points first, then what nobody recognised as comments."""
    lines = [f"# proposed from what the devices of {connector} say; check every line, then move it to site.yaml"]
    lines += ["connectors:", f"  {connector}:", "    points:"]
    for one in proposals:
        if one.kind is not None:
            subject = "site" if KIND_FACTS[one.kind].subject is Subject.SITE else _slug(one.name)
            lines.append(
                f'      {subject}/{one.kind}: {{device: d{one.device}, object: "{one.object}", kind: {one.kind}, '
                f"unit: {one.unit}}}   # {on_one_line(one.name)}: {one.why}"
            )
    unknown = [one for one in proposals if one.kind is None]
    lines += [
        f"# not recognised: d{one.device} {one.object} {on_one_line(one.name)} {one.unit}".rstrip() for one in unknown
    ]
    return "\n".join(lines) + "\n"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"


def on_one_line(name: str) -> str:
    """A foreign name on one line, without what a terminal or YAML would act on."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:80]
