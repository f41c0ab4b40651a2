"""Proposes points for a new site from what its systems tell: a fragment of ``site.yaml`` to review."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from connectors.settings import ConnectorBlock
from connectors.settings.edit import blocks_text
from twin.site import Site
from twin.vocab import KIND_FACTS, PointKind, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A point as its system describes it."""

    name: str
    place: Mapping[str, object]
    """Where it is: the settings of the point in its connector, without kind and unit."""
    description: str = ""
    unit: str = ""
    """In our words; empty where the system does not tell or tells one that we do not know."""
    kind: PointKind | None = None
    """Where the system leaves no doubt."""
    of: str = ""
    """What it belongs to, in the system's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What a system tells of itself."""

    points: Sequence[Described] = ()
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Entries that settings of the connector need besides, such as ``devices``."""
    site: Mapping[str, Mapping[str, object] | Sequence[object]] = field(default_factory=dict)
    """Further sections of the site file, such as ``hosts``."""


@runtime_checkable
class Discoverer(Protocol):
    """A connector whose system can be asked what it holds."""

    def discover(self) -> Discovery:
        """What the system tells; nothing is written to it.

        Raises:
            OutsideWorldError: no answer.
        """
        ...

    def close(self) -> None:
        """Ends connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A point that a person shall confirm."""

    name: str
    place: Mapping[str, object]
    kind: PointKind | None
    unit: str
    of: str | None
    """Id in the site file; None where the site has nothing of that name, or the kind is of the site itself."""
    why: str


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
    "fraction": frozenset({"percent", "fraction"}),
    "kg/s": frozenset({"kg/s", "m3/s", "m3/h", "L/s", "cfm"}),
}


def propose(points: Iterable[Described], site: Site) -> list[Proposal]:
    """One proposal per point, with the kind that name, description and unit agree on, or none."""
    return [_proposal(found, site) for found in points]


def _proposal(found: Described, site: Site) -> Proposal:
    kind, why = (found.kind, "its system says so") if found.kind is not None else _kind_of(found)
    unit = found.unit or (KIND_FACTS[kind].unit if kind is not None else "")
    of = None if kind is None else _subject(found, KIND_FACTS[kind].subject, site)
    return Proposal(name=found.name, place=found.place, kind=kind, unit=unit, of=of, why=why)


def _kind_of(found: Described) -> tuple[PointKind | None, str]:
    text = _words(f"{found.name} {found.description}")
    for kind, pattern in _RULES:
        inside = KIND_FACTS[kind].unit
        fits = not found.unit or found.unit in _UNITS_OF.get(inside, frozenset({inside}))
        if fits and (match := re.search(pattern, text)):
            told = f"unit is {found.unit}" if found.unit else "its unit is not told, check it"
            return kind, f"name says {match.group(0)!r}, {told}"
    return None, ""


def _words(text: str) -> str:
    return re.sub(r"[_./:\-]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)).lower()


def _subject(found: Described, subject: Subject, site: Site) -> str | None:
    """The longest id of the site that the system's words name as whole words."""
    ids: Mapping[Subject, Sequence[str]] = {
        Subject.ZONE: [zone.id for zone in site.zones],
        Subject.AIR_HANDLER: [unit.id for unit in site.air_handlers],
        Subject.HOST: [host.id for host in site.hosts],
        Subject.VM: [vm.id for vm in site.vms],
    }
    text = f" {_words(f'{found.of} {found.name} {found.description}')} "
    named = [one for one in ids.get(subject, ()) if f" {_words(one)} " in text]
    return max(named, key=len, default=None)


def fragment(discovery: Discovery, block: ConnectorBlock, site: Site) -> str:
    """Text for ``site.yaml``: the connector with its proposed points, and a source for those whose place is known.

    It is valid as it stands; what nobody recognised, and what belongs to nothing in the site yet, follows as comments.
    """
    proposals = propose(discovery.points, site)
    known = _named([one for one in proposals if one.kind is not None])
    points = {name: {**one.place, "kind": str(one.kind), "unit": one.unit} for name, one in known.items()}
    own = block.options
    further = {
        key: {**_mapping(own.get(key)), **more} for key, more in {**discovery.settings, "points": points}.items()
    }
    connector = {"type": block.kind, **own, **further}
    columns = [_column(name, one) for name, one in known.items() if _has_place(one)]
    blocks: dict[str, object] = {"connectors": {block.name: connector}, **discovery.site}
    if columns:
        blocks["sources"] = {f"{block.name}_live": {"connector": block.name, "columns": columns}}
    lines = [f"# proposed from what {block.name} says of itself; check every line, then put it into site.yaml"]
    lines += [f"# {name}: {on_one_line(one.name)}: {one.why}" for name, one in known.items()]
    rest = [
        f"# of what? {name}: no such {KIND_FACTS[one.kind].subject} in the site file; then add it to the source"
        for name, one in known.items()
        if one.kind is not None and not _has_place(one)
    ]
    rest += [
        f"# not recognised: {on_one_line(one.name)} {one.unit} {on_one_line(str(dict(one.place)))}"
        for one in proposals
        if one.kind is None
    ]
    return "\n".join([*lines, blocks_text(blocks).rstrip(), *rest]) + "\n"


def _mapping(node: object) -> Mapping[str, object]:
    return node if isinstance(node, Mapping) else {}


def _has_place(one: Proposal) -> bool:
    return one.of is not None or (one.kind is not None and KIND_FACTS[one.kind].subject is Subject.SITE)


def _named(proposals: Sequence[Proposal]) -> dict[str, Proposal]:
    """Proposals by a point id of their own: what they belong to, and their kind."""
    named: dict[str, Proposal] = {}
    for one in proposals:
        is_of_site = one.kind is not None and KIND_FACTS[one.kind].subject is Subject.SITE
        base = str(one.kind) if is_of_site else f"{one.of or _slug(one.name)}/{one.kind}"
        taken = sum(name == base or name.startswith(f"{base}-") for name in named)
        named[base if not taken else f"{base}-{taken + 1}"] = one
    return named


def _column(name: str, one: Proposal) -> dict[str, object]:
    inside = KIND_FACTS[PointKind(str(one.kind))].unit  # the connector has converted it already
    owner = {} if one.of is None else {"of": one.of}
    return {"column": name, "kind": str(one.kind), "unit": inside, **owner, "id": name}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"


def on_one_line(name: str) -> str:
    """A foreign name on one line, without what a terminal or YAML would act on."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:80]
