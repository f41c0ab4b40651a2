"""Names in an EnergyPlus model by which its zones and air handlers are commanded and read.

Every air handler gets schedules of its own: copies of the model's, so that sizing and warm-up stay as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.emulator.energyplus_input import Entry, of_kind
from twin.errors import BadInputError

ECONOMIZER_FIELD = 8
_RETURN_FIELD, _MINIMUM_AIR_FIELD = 3, 17
_BRANCHES_FIELD = 5
_UNITARY_MODE_FIELDS: Mapping[str, int] = {
    "airloophvac:unitaryheatcool": 5,
    "airloophvac:unitaryheatonly": 5,
    "airloophvac:unitaryheatpump:airtoair": 20,
    "airloophvac:unitarysystem": 11,
}
"""Where a packaged unit names the schedule of its fan's operating mode. Source: EnergyPlus 25.2 input reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPorts:
    """Names in the model by which one air handler is commanded and read."""

    name: str
    zones: tuple[str, ...]
    outlet_node: str
    fan_schedule: str
    minimum_air_schedule: str | None
    """None where a unit brings no outdoor air."""
    infiltration_schedule: str | None
    """None where no zone of the unit leaks by a schedule, as in a basement."""
    night_schedule: str | None
    """None where the model has no night cycle for it: the local controller's starts it."""
    outdoor_air_controller: str | None
    economizer: bool
    supply_schedule: str | None
    """None where the model itself decides the supply temperature (single-zone units)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonePorts:
    """Names in the model by which one conditioned zone is driven and read; None where it has no such thing."""

    name: str
    inlet_node: str
    people: str | None
    lights: str | None
    plugs: str | None
    extra_equipment: tuple[str, ...]
    """Further equipment that runs on its own schedule, such as lifts."""


def zone_ports(entries: Sequence[Entry]) -> tuple[ZonePorts, ...]:
    """Ports of every zone with equipment, in the model's order."""
    lists = {entry[1].lower(): entry[2] for entry in of_kind(entries, "NodeList")}
    ports = []
    for connection in of_kind(entries, "ZoneHVAC:EquipmentConnections"):
        zone = connection[1]
        people, lights, plugs = (_loads_of(entries, k, zone) for k in ("People", "Lights", "ElectricEquipment"))
        ports.append(
            ZonePorts(
                name=zone,
                inlet_node=lists.get(connection[3].lower(), connection[3]),
                people=next(iter(people), None),
                lights=next(iter(lights), None),
                plugs=next(iter(plugs), None),
                extra_equipment=tuple(plugs[1:]),
            )
        )
    return tuple(ports)


def _loads_of(entries: Sequence[Entry], kind: str, zone: str) -> list[str]:
    return [entry[1] for entry in of_kind(entries, kind) if entry[2].lower() == zone.lower()]


def own_schedules(entries: list[Entry], zones: Sequence[ZonePorts]) -> tuple[UnitPorts, ...]:
    """Gives every unit schedules of its own, copied from the shared ones.

    Raises:
        BadInputError: an air loop lacks what lock-step commands.
    """
    loops, heaters = (list(of_kind(entries, kind)) for kind in ("AirLoopHVAC", "ZoneHVAC:UnitHeater"))
    return (
        *(_own_schedules_of(entries, loop, zones) for loop in loops),
        *(_heater(entries, heater, zones) for heater in heaters),
    )


def _own_schedules_of(entries: list[Entry], loop: Entry, zones: Sequence[ZonePorts]) -> UnitPorts:
    name, inlet, demand_inlet, outlet = loop[1], loop[7], loop[9], loop[10]
    served = _served(entries, demand_inlet, zones)
    fan_schedule = _own_fan_schedule(entries, loop)
    air = _needed(
        (e for e in of_kind(entries, "Controller:OutdoorAir") if e[_RETURN_FIELD] == inlet),
        name,
        "outdoor air controller",
    )
    minimum = _copy(entries, air, _MINIMUM_AIR_FIELD, f"Minimum outdoor air {name}")
    manager = _night_manager(entries, loop)
    manager[3] = fan_schedule
    return UnitPorts(
        name=name,
        zones=tuple(zone.name for zone in served),
        outlet_node=outlet,
        fan_schedule=fan_schedule,
        minimum_air_schedule=minimum,
        infiltration_schedule=_own_infiltration(entries, name, served),
        night_schedule=_copy(entries, manager, 2, f"Night cycle {name}"),
        outdoor_air_controller=air[1],
        economizer=air[ECONOMIZER_FIELD].lower() != "noeconomizer",
        supply_schedule=_own_supply_schedule(entries, name, outlet),
    )


def _heater(entries: list[Entry], heater: Entry, zones: Sequence[ZonePorts]) -> UnitPorts:
    """A heater with a fan that stands in a zone: it heats to the zone's setpoint while its schedule is on."""
    return UnitPorts(
        name=heater[1],
        zones=tuple(zone.name for zone in zones if zone.inlet_node == heater[4]),
        outlet_node=heater[4],
        fan_schedule=_copy(entries, heater, 2, f"Fan {heater[1]}"),
        minimum_air_schedule=None,
        infiltration_schedule=None,
        night_schedule=None,
        outdoor_air_controller=None,
        economizer=False,
        supply_schedule=None,
    )


def _needed(found: Iterator[Entry], unit: str, what: str) -> Entry:
    entry = next(found, None)
    if entry is None:
        message = f"emulator: air loop {unit} has no {what}, so it cannot be run in lock-step; use another building"
        raise BadInputError(message)
    return entry


def _own_fan_schedule(entries: list[Entry], loop: Entry) -> str:
    """One schedule for the fan of a loop, and for the operating mode of the packaged unit that holds it."""
    own = f"Fan {loop[1]}"
    for kind, name in _components(entries, loop[_BRANCHES_FIELD]):
        parts = [entry for entry in of_kind(entries, kind) if entry[1].lower() == name.lower()]
        fan, mode = parts[0] if parts else [kind, name], _UNITARY_MODE_FIELDS.get(kind.lower())
        if mode is not None:
            _copy(entries, fan, mode, own)
            fan = _fan_inside(entries, fan)
        if fan[0].lower().startswith("fan:"):
            return _copy(entries, fan, 2, own)
    message = f"emulator: air loop {loop[1]} has no fan that can be commanded; use another building"
    raise BadInputError(message)


def _components(entries: Sequence[Entry], branch_list: str) -> Iterator[tuple[str, str]]:
    """Kind and name of what stands in the branches of a list."""
    lists = (entry for entry in of_kind(entries, "BranchList") if entry[1].lower() == branch_list.lower())
    names = [name.lower() for entry in lists for name in entry[2:]]
    for branch in of_kind(entries, "Branch"):
        if branch[1].lower() in names:
            yield from zip(branch[3::4], branch[4::4], strict=False)


def _fan_inside(entries: Sequence[Entry], unitary: Entry) -> Entry:
    at = next(i for i, value in enumerate(unitary) if value.lower().startswith("fan:"))
    return next(e for e in of_kind(entries, unitary[at]) if e[1].lower() == unitary[at + 1].lower())


def _own_supply_schedule(entries: list[Entry], unit: str, outlet: str) -> str | None:
    """Schedule of the supply temperature of a unit that feeds several zones."""
    for manager in of_kind(entries, "SetpointManager:Scheduled"):
        if outlet in manager[4:]:
            return _copy(entries, manager, 3, f"Supply air temperature {unit}")
    return None


def _compact(entries: Sequence[Entry]) -> Mapping[str, Entry]:
    return {entry[1].lower(): entry for entry in of_kind(entries, "Schedule:Compact")}


def _constant(name: str, value: str) -> Entry:
    return ["Schedule:Compact", name, "", "Through: 12/31", "For: AllDays", "Until: 24:00", value]


def _copy(entries: list[Entry], owner: Entry, position: int, name: str) -> str:
    """Lets ``owner`` name a copy of the schedule that it names at ``position``; always on where it names none."""
    known = _compact(entries)
    owner += [""] * (position + 1 - len(owner))
    if name.lower() not in known:
        schedule = known.get(owner[position].lower())
        entries.append(_constant(name, "1") if schedule is None else [schedule[0], name, *schedule[2:]])
    owner[position] = name
    return name


def _served(entries: Sequence[Entry], demand_inlet: str, zones: Sequence[ZonePorts]) -> tuple[ZonePorts, ...]:
    splitters = of_kind(entries, "AirLoopHVAC:ZoneSplitter")
    splitter = _needed((entry for entry in splitters if entry[2] == demand_inlet), demand_inlet, "zone splitter")
    outlets = set(splitter[3:])
    terminals = [entry for entry in entries if entry[0].lower().startswith("airterminal:")]
    fed = {node for entry in terminals if outlets & set(entry[2:]) for node in entry[2:]}
    return tuple(zone for zone in zones if zone.inlet_node in fed)


def _night_manager(entries: Sequence[Entry], loop: Entry) -> Entry:
    lists = (e for e in of_kind(entries, "AvailabilityManagerAssignmentList") if e[1] == loop[3])
    listed = _needed(lists, loop[1], "list of availability managers")
    managers = (entry for entry in of_kind(entries, "AvailabilityManager:NightCycle") if entry[1] in listed[2:])
    return _needed(managers, loop[1], "night cycle")


def _own_infiltration(entries: list[Entry], unit: str, served: Sequence[ZonePorts]) -> str | None:
    """Infiltration of the unit's zones and return plenum on one schedule; that of other spaces stays as it is.

    None where nothing of the unit leaks, or leaks by a schedule.
    """
    names = {zone.name for zone in served}
    returns = {e[6] for e in of_kind(entries, "ZoneHVAC:EquipmentConnections") if e[1] in names}
    names |= {e[2] for e in of_kind(entries, "AirLoopHVAC:ReturnPlenum") if returns & set(e[6:])}
    own = f"Infiltration {unit}"
    leaks = [
        entry
        for entry in of_kind(entries, "ZoneInfiltration:DesignFlowRate")
        if entry[2] in names and entry[3] != "ALWAYS_ON"
    ]
    for entry in leaks:
        _copy(entries, entry, 3, own)
    return own if leaks else None
