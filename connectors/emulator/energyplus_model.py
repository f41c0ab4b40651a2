"""Reference buildings of the EnergyPlus wheel, made ready to run in lock-step.

A model comes as text in the engine's input format. Here it loses its reports, tariffs, clock changes and multiples of
zones, gains one schedule of its own per air handler (fan, minimum outdoor air, supply temperature, infiltration, night
cycle), so that each can be commanded, and, where asked for, equipment that stands for hosts in one zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from connectors.emulator.energyplus_input import Entry, of_kind, parse, render, source_files
from connectors.emulator.energyplus_ports import ECONOMIZER_FIELD, UnitPorts, ZonePorts, own_schedules, zone_ports
from twin.errors import BadInputError

OUTDOOR_CO2_PPM = 420.0
IT_EQUIPMENT = "Hosts in server room"
_DROPPED = ("output", "runperiod", "timestep", "simulationcontrol", "utilitycost", "fuelfactors", "environmentalimpact")
_MULTIPLIER_FIELD = 7
_KEPT = ("runperiodcontrol:specialdays",)


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
    _take_zones_once(entries)
    zones = zone_ports(entries)
    _set_economizer(entries, request.economizer)
    units = own_schedules(entries, zones)
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


def _take_zones_once(entries: Sequence[Entry]) -> None:
    """A zone that stands for several counts once: its people, readings and commands are those of one."""
    for entry in of_kind(entries, "Zone"):
        if len(entry) > _MULTIPLIER_FIELD:
            entry[_MULTIPLIER_FIELD] = "1"


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


def _set_economizer(entries: Sequence[Entry], economizer: bool | None) -> None:
    if economizer is None:
        return
    for entry in of_kind(entries, "Controller:OutdoorAir"):
        entry[ECONOMIZER_FIELD] = "DifferentialDryBulb" if economizer else "NoEconomizer"


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
