"""Faults of a site document that no single value shows: names that lead nowhere, sums that cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.settings.build import EVIDENT_COVERAGE, units_of
from connectors.settings.document import SiteDocument
from connectors.settings.facts import AirHandlerBlock, ZoneBlock
from connectors.settings.mapping import METER_KINDS, SourceMapping
from connectors.settings.sources import SourceBlock
from twin.text.tree import Fault, Path
from twin.vocab import EndUse, SystemType


def document_faults(document: SiteDocument) -> list[Fault]:
    """All faults between the blocks of a document."""
    return [
        *_clock(document),
        *_twice(document),
        *_zones(document.zones),
        *_units(document),
        *_machines(document),
        *_comfort(document),
        *(fault for name, block in document.sources.items() for fault in _source(name, block, document)),
    ]


def _zone_name_fault(name: str, path: Path) -> Iterator[Fault]:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"{name!r} is not an IANA time zone; use one such as America/Chicago, Europe/Berlin, Etc/GMT+6 or UTC"
        yield Fault(path=path, message=message)


def _clock(document: SiteDocument) -> Iterator[Fault]:
    yield from _zone_name_fault(document.time_zone, ("time_zone",))
    if 60.0 % document.step_min:
        yield Fault(
            path=("step_min",), message=f"{document.step_min:g} min does not divide an hour; use 5, 10, 15, 30 or 60"
        )


def _twice(document: SiteDocument) -> Iterator[Fault]:
    lists: Sequence[tuple[str, Sequence[str]]] = [
        ("zones", [zone.id for zone in document.zones]),
        ("air_handlers", [unit.id for unit in units_of(document)]),
        ("host_types", [item.name for item in document.host_types]),
        ("hosts", [host.id for host in document.hosts]),
        ("vms", [vm.id for vm in document.vms]),
        ("meters", [meter.kind for meter in document.meters]),
    ]
    for name, ids in lists:
        for one, count in Counter(ids).items():
            if count > 1:
                yield Fault(path=(name,), message=f"{one!r} stands {count} times; each id is used once")


def _zones(zones: Sequence[ZoneBlock]) -> Iterator[Fault]:
    ids = [zone.id for zone in zones]
    for i, zone in enumerate(zones):
        for j, wall in enumerate(zone.walls):
            if wall.window_m2 > wall.area_m2:
                message = f"{wall.window_m2:g} m² of windows do not fit into {wall.area_m2:g} m² of wall (gross area)"
                yield Fault(path=("zones", i, "walls", j, "window_m2"), message=message)
        for j, other in enumerate(zone.adjacent):
            path: Path = ("zones", i, "adjacent", j, "zone")
            if other.zone == zone.id:
                yield Fault(path=path, message=f"{zone.id!r} is adjacent to itself; name the zone on the other side")
            else:
                yield from _known(other.zone, ids, "zone", path)


def _known(name: str, ids: Iterable[str], what: str, path: Path) -> Iterator[Fault]:
    listed = list(ids)
    if name not in listed:
        yield Fault(path=path, message=f"{name!r} is not a {what} of this site; it has {', '.join(listed) or 'none'}")


def _units(document: SiteDocument) -> Iterator[Fault]:
    zones = {zone.id: zone for zone in document.zones}
    served: dict[str, str] = {}
    for i, unit in enumerate(document.air_handlers):
        yield from _unit(unit, ("air_handlers", i))
        for key in ("zones", "each_zone"):
            for j, zone in enumerate(getattr(unit, key)):
                path: Path = ("air_handlers", i, key, j)
                yield from _known(zone, zones, "zone", path)
                if zone in served:
                    message = f"{zone!r} is already served by {served[zone]!r}; a zone has one unit"
                    yield Fault(path=path, message=message)
                served[zone] = unit.id
    for i, zone_block in enumerate(document.zones):
        if zone_block.conditioned and zone_block.id not in served and document.air_handlers:
            message = "no air handler serves this zone; list it under one, or say 'conditioned: false'"
            yield Fault(path=("zones", i, "id"), message=message)


def _unit(unit: AirHandlerBlock, path: Path) -> Iterator[Fault]:
    if bool(unit.zones) == bool(unit.each_zone):
        message = (
            f"{unit.id!r} needs either 'zones: [...]' (it serves them together) or 'each_zone: [...]' (one unit each)"
        )
        yield Fault(path=path, message=message)
    if ("{zone}" in unit.id) != bool(unit.each_zone) or unit.id.replace("{zone}", "").count("{"):
        yield Fault(
            path=(*path, "id"), message=f"{unit.id!r}: {{zone}} stands in the id exactly when each_zone is used"
        )
    if unit.system is SystemType.PACKAGED_SINGLE_ZONE and len(unit.zones) > 1:
        message = f"{unit.id!r} is packaged_single_zone but serves {len(unit.zones)} zones; use each_zone or vav_reheat"
        yield Fault(path=(*path, "zones"), message=message)


def _machines(document: SiteDocument) -> Iterator[Fault]:
    zones = [zone.id for zone in document.zones]
    hosts = [host.id for host in document.hosts]
    types = [item.name for item in document.host_types]
    for i, host in enumerate(document.hosts):
        yield from _known(host.type, types, "host type", ("hosts", i, "type"))
        if host.zone is not None:
            yield from _known(host.zone, zones, "zone", ("hosts", i, "zone"))
        if host.redundant_with is not None:
            yield from _known(host.redundant_with, hosts, "host", ("hosts", i, "redundant_with"))
    for i, vm in enumerate(document.vms):
        if vm.host is not None:
            yield from _known(vm.host, hosts, "host", ("vms", i, "host"))
        for j, barred in enumerate(vm.barred_hosts):
            yield from _known(barred, hosts, "host", ("vms", i, "barred_hosts", j))
        if vm.room is not None:
            yield from _known(vm.room, zones, "zone", ("vms", i, "room"))


def _comfort(document: SiteDocument) -> Iterator[Fault]:
    comfort, prices = document.comfort, document.tariff.electricity_by_hour
    if comfort.min_c >= comfort.max_c:
        yield Fault(path=("comfort",), message=f"min_c {comfort.min_c:g} is not below max_c {comfort.max_c:g}")
    if prices and len(prices) != 24:
        message = f"{len(prices)} prices; give 24, one for each local hour"
        yield Fault(path=("tariff", "electricity_by_hour"), message=message)


def _source(name: str, block: SourceBlock, document: SiteDocument) -> Iterator[Fault]:
    path: Path = ("sources", name)
    if bool(block.files) == (block.connector is not None):
        yield Fault(path=path, message="name either 'files: [...]' or 'connector: <name>'")
    if block.connector is not None:
        yield from _known(block.connector, document.connectors, "connector", (*path, "connector"))
    if block.timestamp.time_zone is not None:
        yield from _zone_name_fault(block.timestamp.time_zone, (*path, "timestamp", "time_zone"))
    if block.delimiter == block.decimal:
        yield Fault(path=(*path, "decimal"), message="delimiter and decimal are both ','; such a file cannot be read")
    if block.key is not None and block.layout == "long":
        yield Fault(path=(*path, "key"), message="a long file has no key column; use layout: wide")


def meter_faults(document: SiteDocument, sources: Sequence[SourceMapping]) -> Iterator[Fault]:
    """Meters that are mapped but do not say what they cover, and the other way round."""
    declared = {meter.kind: i for i, meter in enumerate(document.meters)}
    for source in sources:
        for column in source.columns:
            if column.kind in METER_KINDS and column.kind not in declared and column.kind not in EVIDENT_COVERAGE:
                uses = ", ".join(EndUse)
                message = (
                    f"what {column.kind} covers is not declared; add under 'meters:' an entry "
                    f"'{{kind: {column.kind}, covers: [...]}}' with some of {uses}"
                )
                yield Fault(path=(*column.path, "kind"), message=message)
    for kind, i in declared.items():
        if kind not in METER_KINDS:
            message = f"{kind} is not a meter; meters are {', '.join(sorted(METER_KINDS))}"
            yield Fault(path=("meters", i, "kind"), message=message)
