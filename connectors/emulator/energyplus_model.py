"""Reference buildings of the EnergyPlus wheel, made ready to run in lock-step.

A model comes as text in the engine's input format. Here it loses its reports, tariffs and clock changes, gains one
schedule of its own per air handler (fan, minimum outdoor air, supply temperature, infiltration, night cycle), so that
each can be commanded, and, where asked for, equipment that stands for hosts in one zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from twin.errors import BadInputError, OutsideWorldError

Entry = list[str]
"""An object of the input file: its kind and its fields."""

OUTDOOR_CO2_PPM = 420.0
IT_EQUIPMENT = "Hosts in server room"
_DROPPED = ("output", "runperiod", "timestep", "simulationcontrol", "utilitycost", "fuelfactors", "environmentalimpact")
_KEPT = ("runperiodcontrol:specialdays",)
_RETURN_FIELD, _ECONOMIZER_FIELD, _MINIMUM_AIR_FIELD = 3, 8, 17


@dataclass(frozen=True, slots=True, kw_only=True)
class NightCycleSetting:
    """Native night cycle of the model.

    The engine's tolerance is the width of a range centred on the setpoint: a unit starts when a zone is half of it
    outside its band, runs for ``run_min``, and then stands for at least one step.
    """

    tolerance_k: float = 1.0
    run_min: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """Which reference building, which weather, which days, and what is added or changed."""

    building: str = "medium_office"
    """Key of ``pyenergyplus.dataset.ref_models``."""
    weather: str = "usa_il_chicago"
    """Key of ``pyenergyplus.dataset.weather_files``."""
    first_day: date
    last_day: date
    size_by_weather_file: bool = False
    """Size for the extreme weeks of the weather file instead of the design days of the model's own city."""
    it_zone: str | None = None
    """Zone where hosts stand, None: no IT load."""
    night_cycle: NightCycleSetting | None = field(default_factory=NightCycleSetting)
    """None: units stay off outside their hours."""
    economizer: bool | None = None
    """False takes the economizer away; None leaves the model's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPorts:
    """Names in the model by which one air handler is commanded and read."""

    name: str
    zones: tuple[str, ...]
    outlet_node: str
    fan_schedule: str
    minimum_air_schedule: str
    infiltration_schedule: str | None
    """None where no zone of the unit leaks by a schedule, as in a basement."""
    night_schedule: str
    outdoor_air_controller: str
    economizer: bool
    supply_schedule: str | None
    """None where the model itself decides the supply temperature (single-zone units)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonePorts:
    """Names in the model by which one conditioned zone is driven and read."""

    name: str
    inlet_node: str
    people: str
    lights: str
    plugs: str
    extra_equipment: tuple[str, ...]
    """Further equipment that runs on its own schedule, such as lifts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedModel:
    """Text of a model with the names of everything that is commanded or read."""

    text: str
    weather_file: Path
    zones: tuple[ZonePorts, ...]
    units: tuple[UnitPorts, ...]
    it_equipment: str | None
    first_day: date
    last_day: date
    it_zone_index: int = -1
    """Position of the zone where the hosts stand, -1 where there are none."""


def parse(text: str) -> list[Entry]:
    """Objects of an input file, comments stripped."""
    bare = re.sub(r"!.*", "", text)
    objects = ([part.strip() for part in chunk.split(",")] for chunk in bare.split(";"))
    return [entry for entry in objects if entry[0]]


def render(entries: Sequence[Entry]) -> str:
    """Input file of objects, one a line."""
    return "".join(",".join(entry) + ";\n" for entry in entries)


def of_kind(entries: Sequence[Entry], kind: str) -> Iterator[Entry]:
    """Objects of one kind, in order."""
    return (entry for entry in entries if entry[0].lower() == kind.lower())


def schedule_values(entries: Sequence[Entry], name: str, day: str) -> list[float]:
    """Value of a ``Schedule:Compact`` in each hour of a kind of day, 24 values.

    Args:
        entries: objects of the model.
        name: name of the schedule.
        day: ``Weekdays``, ``Saturday`` or ``AllOtherDays``.
    """
    fields = next(entry for entry in of_kind(entries, "Schedule:Compact") if entry[1].lower() == name.lower())[3:]
    blocks = re.split(r"(?i)for:?\s", ",".join(fields))[1:]
    chosen = next((b for b in blocks if day.lower() in b.split(",")[0].lower()), blocks[-1])
    hours: list[float] = []
    for until, value in re.findall(r"(?i)until:\s*(\d+):00\s*,\s*([-\d.]+)", chosen):
        hours += [float(value)] * (int(until) - len(hours))
    return hours


def source_files(building: str, weather: str) -> tuple[Path, Path]:
    """Files of a reference building and of a weather year in the engine's wheel.

    Raises:
        OutsideWorldError: the engine isn't installed.
        BadInputError: the wheel has no such building or weather.
    """
    try:
        from pyenergyplus.dataset import ref_models, weather_files
    except ImportError as error:
        message = "the EnergyPlus engine is not installed; install it with: pip install 'understudy[emulator]'"
        raise OutsideWorldError(message) from error
    for key, known, what in ((building, ref_models, "building"), (weather, weather_files, "weather")):
        if key not in known:
            message = f"{what} {key!r} is not in the EnergyPlus wheel; use one of {', '.join(sorted(known))}"
            raise BadInputError(message)
    return Path(ref_models[building]), Path(weather_files[weather])


def prepare_model(request: ModelRequest) -> PreparedModel:
    """A reference building made ready for lock-step at steps of 15 minutes.

    Raises:
        OutsideWorldError: the engine isn't installed.
        BadInputError: unknown building, weather or zone, or days in the wrong order.
    """
    if request.last_day < request.first_day:
        message = f"emulator: last day {request.last_day} is before first day {request.first_day}; swap them"
        raise BadInputError(message)
    model_file, weather_file = source_files(request.building, request.weather)
    entries = [entry for entry in parse(model_file.read_text(errors="replace")) if _stays(entry[0].lower())]
    zones = _zone_ports(entries)
    _set_economizer(entries, request.economizer)
    units = _own_schedules(entries, zones)
    _set_night_cycle(entries, request.night_cycle)
    if request.size_by_weather_file:
        entries = _size_by_weather_file(entries)
    entries += _frame(request)
    if request.it_zone is not None:
        entries.append(_it_equipment(request.it_zone, zones))
    return PreparedModel(
        text=render(entries),
        weather_file=weather_file,
        zones=zones,
        units=units,
        it_equipment=IT_EQUIPMENT if request.it_zone else None,
        first_day=request.first_day,
        last_day=request.last_day,
        it_zone_index=[zone.name for zone in zones].index(request.it_zone) if request.it_zone else -1,
    )


def _stays(kind: str) -> bool:
    return kind in _KEPT or not kind.startswith(_DROPPED)


def _frame(request: ModelRequest) -> list[Entry]:
    """Step, period, and carbon dioxide; a run first sizes the plant, then walks through the days."""
    first, last = request.first_day, request.last_day
    days = [str(first.month), str(first.day), str(first.year), str(last.month), str(last.day), str(last.year)]
    return [
        ["Timestep", "4"],
        ["SimulationControl", "Yes", "Yes", "Yes", "No", "Yes"],
        ["RunPeriod", "Run", *days, f"{first:%A}", "No", "No", "No", "Yes", "Yes"],
        ["ScheduleTypeLimits", "Concentration"],
        ["Schedule:Constant", "Outdoor carbon dioxide", "Concentration", str(OUTDOOR_CO2_PPM)],
        ["ZoneAirContaminantBalance", "Yes", "Outdoor carbon dioxide"],
    ]


def _it_equipment(zone: str, zones: Sequence[ZonePorts]) -> Entry:
    if zone not in {z.name for z in zones}:
        message = f"emulator: no zone {zone!r} for the hosts; use one of {', '.join(z.name for z in zones)}"
        raise BadInputError(message)
    level = ["EquipmentLevel", "1.0", "", ""]
    return ["ElectricEquipment", IT_EQUIPMENT, zone, "ALWAYS_ON", *level, "0.0", "0.0", "0.0", "IT"]


def _zone_ports(entries: Sequence[Entry]) -> tuple[ZonePorts, ...]:
    lists = {entry[1].lower(): entry[2] for entry in of_kind(entries, "NodeList")}
    ports = []
    for connection in of_kind(entries, "ZoneHVAC:EquipmentConnections"):
        zone = connection[1]
        own = {
            kind: [entry[1] for entry in of_kind(entries, kind) if entry[2].lower() == zone.lower()]
            for kind in ("People", "Lights", "ElectricEquipment")
        }
        inlet = lists.get(connection[3].lower(), connection[3])
        plugs, *extra = own["ElectricEquipment"]
        ports.append(
            ZonePorts(
                name=zone,
                inlet_node=inlet,
                people=own["People"][0],
                lights=own["Lights"][0],
                plugs=plugs,
                extra_equipment=tuple(extra),
            )
        )
    return tuple(ports)


def _own_schedules(entries: list[Entry], zones: Sequence[ZonePorts]) -> tuple[UnitPorts, ...]:
    """Gives every unit schedules of its own, copied from the shared ones."""
    return tuple(_own_schedules_of(entries, loop, zones) for loop in list(of_kind(entries, "AirLoopHVAC")))


def _own_schedules_of(entries: list[Entry], loop: Entry, zones: Sequence[ZonePorts]) -> UnitPorts:
    name, inlet, demand_inlet, outlet = loop[1], loop[7], loop[9], loop[10]
    served = _served(entries, demand_inlet, zones)
    fan = next(entry for entry in entries if entry[0].lower().startswith("fan:") and outlet in entry[2:])
    fan_schedule = _copy(entries, fan, 2, f"Fan {name}")
    air = next(entry for entry in of_kind(entries, "Controller:OutdoorAir") if entry[_RETURN_FIELD] == inlet)
    supply = next((entry for entry in of_kind(entries, "SetpointManager:Scheduled") if entry[4] == outlet), None)
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
        economizer=air[_ECONOMIZER_FIELD].lower() != "noeconomizer",
        supply_schedule=None if supply is None else _copy(entries, supply, 3, f"Supply air temperature {name}"),
    )


def _compact(entries: Sequence[Entry]) -> Mapping[str, Entry]:
    return {entry[1]: entry for entry in of_kind(entries, "Schedule:Compact")}


def _copy(entries: list[Entry], owner: Entry, position: int, name: str) -> str:
    """Lets ``owner`` name a copy of the schedule that it names at ``position``."""
    schedule = _compact(entries)[owner[position]]
    if name not in _compact(entries):
        entries.append([schedule[0], name, *schedule[2:]])
    owner[position] = name
    return name


def _served(entries: Sequence[Entry], demand_inlet: str, zones: Sequence[ZonePorts]) -> tuple[ZonePorts, ...]:
    splitter = next(entry for entry in of_kind(entries, "AirLoopHVAC:ZoneSplitter") if entry[2] == demand_inlet)
    outlets = set(splitter[3:])
    terminals = [entry for entry in entries if entry[0].lower().startswith("airterminal:")]
    fed = {node for entry in terminals if outlets & set(entry[2:]) for node in entry[2:]}
    return tuple(zone for zone in zones if zone.inlet_node in fed)


def _night_manager(entries: Sequence[Entry], loop: Entry) -> Entry:
    listed = next(e for e in of_kind(entries, "AvailabilityManagerAssignmentList") if e[1] == loop[3])
    return next(entry for entry in of_kind(entries, "AvailabilityManager:NightCycle") if entry[1] in listed[2:])


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


def _set_economizer(entries: Sequence[Entry], economizer: bool | None) -> None:
    if economizer is None:
        return
    for entry in of_kind(entries, "Controller:OutdoorAir"):
        entry[_ECONOMIZER_FIELD] = "DifferentialDryBulb" if economizer else "NoEconomizer"


def _set_night_cycle(entries: Sequence[Entry], setting: NightCycleSetting | None) -> None:
    for entry in of_kind(entries, "AvailabilityManager:NightCycle"):
        if setting is None:
            entry[4] = "StayOff"
        else:
            entry[5], entry[7] = str(setting.tolerance_k), str(60.0 * setting.run_min)


def _size_by_weather_file(entries: Sequence[Entry]) -> list[Entry]:
    kept = [e for e in entries if e[0].lower() not in ("sizingperiod:designday", "site:location")]
    weeks = (("Coldest week", "WinterExtreme", "WinterDesignDay"), ("Hottest week", "SummerExtreme", "SummerDesignDay"))
    return kept + [["SizingPeriod:WeatherFileConditionType", n, w, day, "No", "No"] for n, w, day in weeks]
