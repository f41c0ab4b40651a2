"""Real rooms: open-loop temperature and carbon dioxide of the last third of the days, fitted on the first two thirds.

The air that is blown into a room counts as given (flow and temperature, measured or from damper and design flow); so do
people, plugs, lights and weather. What a data set doesn't tell is assumed, and named below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin.calibration import calibrate
from twin.calibration.bench import Bench
from twin.model import Model
from twin.site import AirHandler, Location, Point, Site, Wall, Zone
from twin.telemetry import CalibrationData, calibration_data
from twin.units import AIR_DENSITY_KG_M3
from twin.vocab import CoolingKind, Facing, HeatingKind, PointKind, SystemType

Array = NDArray[np.float64]
_K = PointKind
SITE_KINDS = (_K.OUTDOOR_AIR_TEMPERATURE, _K.GLOBAL_HORIZONTAL_IRRADIANCE, _K.WIND_SPEED)
DENMARK = Location(latitude_deg=55.37, longitude_deg=10.43, altitude_m=10.0)
SINGAPORE = Location(latitude_deg=1.30, longitude_deg=103.77, altitude_m=20.0)
NETHERLANDS = Location(latitude_deg=52.50, longitude_deg=6.08, altitude_m=5.0)
ROBOD_END = "2021-09-23 15:59Z"
LIGHTS_W_M2, PLUGS_W_PERSON = 6.0, 40.0
"""Lights while somebody is there, and what everybody plugs in, where neither is metered: our assumption."""
FRESH_SUPPLY_C = 19.0
"""Supply air of the Dutch offices: our assumption, not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A room with its readings by kind, on a grid of 15 minutes."""

    data_set: str
    name: str
    area_m2: float
    volume_m3: float
    people: float
    location: Location
    time_zone: str
    readings: pd.DataFrame
    """Columns are point kinds, in the product's units; indexed by UTC."""


def rooms(telemetry: Path) -> Iterator[Room]:
    """All rooms of the three data sets."""
    yield from _odense(telemetry / "ou44_rooms")
    yield from _singapore(telemetry / "robod")
    yield from _zwolle(telemetry / "b4b_offices")


def _quarters(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index("ts").select_dtypes("number").resample("15min").mean()


def _unmetered(people: pd.Series[float], area_m2: float) -> dict[PointKind, pd.Series[float]]:
    return {
        _K.ZONE_LIGHTING_POWER: LIGHTS_W_M2 * area_m2 * (people > 0),
        _K.ZONE_PLUG_POWER: PLUGS_W_PERSON * people,
    }


def _odense(folder: Path) -> Iterator[Room]:
    """Two rooms of a teaching building; full outdoor air through dampers, radiators below the windows."""
    weather = _quarters(pd.read_parquet(folder / "weather_ahu.parquet"))
    all_rooms = pd.read_parquet(folder / "rooms.parquet")
    for name, area, people, design_m3_h in (("study_508", 125.0, 32.0, 2000.0), ("lecture_511", 139.0, 84.0, 3200.0)):
        rows = _quarters(all_rooms[all_rooms["room"] == name]).join(weather)
        valve = rows["radiator_valve"].clip(0.0, 100.0) / 100.0
        readings = pd.DataFrame(
            {
                _K.ZONE_AIR_TEMPERATURE: rows["temp_air_c"],
                _K.ZONE_CO2: rows["co2_ppm"],
                _K.ZONE_OCCUPANCY: rows["occ_count"],
                _K.ZONE_RADIATOR_VALVE: valve,
                _K.ZONE_BLIND_POSITION: rows["blind_pct"].clip(0.0, 100.0) / 100.0,
                **_unmetered(rows["occ_count"], area),
                _K.ZONE_SUPPLY_AIR_FLOW: rows["vav_damper_pct"] / 100.0 * design_m3_h / 3600.0 * AIR_DENSITY_KG_M3,
                _K.ZONE_SUPPLY_AIR_TEMPERATURE: rows["ahu_temp_after_heating_c"],
                _K.OUTDOOR_AIR_TEMPERATURE: rows["temp_out_c"],
                _K.GLOBAL_HORIZONTAL_IRRADIANCE: rows["ghi_w_m2"],
                _K.WIND_SPEED: rows["wind_m_s"],
            }
        )
        yield Room(
            data_set="ou44_rooms",
            name=name,
            area_m2=area,
            volume_m3=3.0 * area,
            people=people,
            location=DENMARK,
            time_zone="Europe/Copenhagen",
            readings=readings,
        )


def _singapore(folder: Path) -> Iterator[Room]:
    """The office with measured supply air [m³/h]; the lecture room's fan coil has no reading of its flow.

    The flow meter stands at 0 from the last day on while chilled water flows: that day is left out.
    """
    frame = pd.read_parquet(folder / "rooms.parquet")
    rows = _quarters(frame[frame["room"] == "office_3"]).loc[:ROBOD_END]
    watts_per_step_kwh = 3.6e6 / 300.0
    readings = pd.DataFrame(
        {
            _K.ZONE_AIR_TEMPERATURE: rows["temp_air_c"],
            _K.ZONE_CO2: rows["co2_ppm"],
            _K.ZONE_OCCUPANCY: rows["occupant_count"],
            _K.ZONE_PLUG_POWER: rows["plug_kwh"] * watts_per_step_kwh,
            _K.ZONE_LIGHTING_POWER: rows["lighting_kwh"] * watts_per_step_kwh,
            _K.ZONE_SUPPLY_AIR_FLOW: rows["supply_air_flow"] / 3600.0 * AIR_DENSITY_KG_M3,
            _K.ZONE_SUPPLY_AIR_TEMPERATURE: rows["temp_supply_c"],
            _K.OUTDOOR_AIR_TEMPERATURE: rows["temp_out_c"],
            _K.GLOBAL_HORIZONTAL_IRRADIANCE: rows["ghi_w_m2"],
            _K.WIND_SPEED: rows["wind_speed"],
        }
    )
    yield Room(
        data_set="robod",
        name="office_3",
        area_m2=90.0,
        volume_m3=270.0,
        people=12.0,
        location=SINGAPORE,
        time_zone="Asia/Singapore",
        readings=readings,
    )


def _zwolle(folder: Path) -> Iterator[Room]:
    """Two staff offices; fresh air by valve share and largest flow; people by their phones, which sees a part."""
    frame = pd.read_parquet(folder / "rooms_15min.parquet")
    for name, volume, most_m3_h in (("office_925038", 75.0, 240.0), ("office_999169", 60.0, 210.0)):
        rows = _quarters(frame[frame["room"] == name])
        readings = pd.DataFrame(
            {
                _K.ZONE_AIR_TEMPERATURE: rows["bms_temp_in__degC"],
                _K.ZONE_CO2: rows["bms_co2__ppm"],
                _K.ZONE_OCCUPANCY: rows["dev_occupancy__p"],
                **_unmetered(rows["dev_occupancy__p"], volume / 3.0),
                _K.ZONE_SUPPLY_AIR_FLOW: rows["bms_valve_frac__0"] * most_m3_h / 3600.0 * AIR_DENSITY_KG_M3,
                _K.ZONE_SUPPLY_AIR_TEMPERATURE: FRESH_SUPPLY_C + 0.0 * rows["bms_valve_frac__0"],
                _K.OUTDOOR_AIR_TEMPERATURE: rows["temp_out__degC"],
                _K.GLOBAL_HORIZONTAL_IRRADIANCE: rows["ghi__W_m_2"],
                _K.WIND_SPEED: rows["wind__m_s_1"],
            }
        )
        yield Room(
            data_set="b4b_offices",
            name=name,
            area_m2=volume / 3.0,
            volume_m3=volume,
            people=6.0,
            location=NETHERLANDS,
            time_zone="Europe/Amsterdam",
            readings=readings,
        )


def site_of(room: Room, facing: Facing = Facing.SOUTH) -> Site:
    """The room as a site of one zone; one outer wall of a length of the room, half of it glass.

    Floor and ceiling count as ground, whose temperature is fitted: rooms around it that are not in the file.
    """
    wall = 3.0 * np.sqrt(room.area_m2)
    most_m3_s = float(room.readings[_K.ZONE_SUPPLY_AIR_FLOW].max()) / AIR_DENSITY_KG_M3
    zone = Zone(
        id=room.name,
        floor=1,
        floor_area_m2=room.area_m2,
        volume_m3=room.volume_m3,
        air_handler="unit",
        design_people=room.people,
        walls=(Wall(facing=facing, area_m2=float(wall), window_m2=float(0.5 * wall)),),
        ground_m2=2.0 * room.area_m2,
    )
    unit = AirHandler(
        id="unit",
        system=SystemType.VAV_REHEAT,
        zones=(room.name,),
        cooling=CoolingKind.CHILLED_WATER,
        heating=HeatingKind.HOT_WATER,
        reheat=HeatingKind.HOT_WATER,
        design_outdoor_air_m3_s=most_m3_s,
        design_flow_kg_s=most_m3_s * AIR_DENSITY_KG_M3,
    )
    points = tuple(_point(kind, room) for kind in map(PointKind, room.readings.columns))
    return Site(
        name="room",
        time_zone=ZoneInfo(room.time_zone),
        location=room.location,
        zones=(zone,),
        air_handlers=(unit,),
        points=points,
    )


def _point(kind: PointKind, room: Room) -> Point:
    of = "room" if kind in SITE_KINDS else room.name
    return Point(id=str(kind) if kind in SITE_KINDS else f"{room.name}/{kind}", kind=kind, of=of)


def measured(room: Room, seed: int) -> dict[str, object]:
    """Errors of one room on the last third of its days; the facing is the one that fits the days before best."""
    wide = room.readings.rename(columns=lambda kind: _point(PointKind(kind), room).id)
    frame = wide.rename_axis("timestamp").reset_index().melt("timestamp", var_name="point").dropna()
    begin, end = wide.index[0].to_pydatetime(), wide.index[-1].to_pydatetime() + timedelta(minutes=15)
    split = begin + timedelta(days=round((end - begin).days * 2 / 3))
    trials = []
    for facing in Facing:
        site = site_of(room, facing)
        model = calibrate(site, calibration_data(site, frame, begin, split), seed=seed)
        trials.append((_errors(site, model, calibration_data(site, frame, begin, split)), facing, model))
    fitted, facing, model = min(trials, key=lambda trial: trial[0]["temperature_rmse_k"])
    site = site_of(room, facing)
    return {
        "data_set": room.data_set,
        "room": room.name,
        **_errors(site, model, calibration_data(site, frame, split, end)),
        "fitted_temperature_rmse_k": fitted["temperature_rmse_k"],
        "facing": str(facing),
        "accepted": model.accepted,
    }


def _errors(site: Site, model: Model, data: CalibrationData) -> dict[str, float]:
    """Open loop over a period, with the supply air that was measured."""
    bench = Bench(site, data)
    run = bench.run(model.parameters, supply_given=True)
    return {
        "temperature_rmse_k": _rmse(run.zone_c, data.zone_temperature_c[bench.rows]),
        "co2_rmse_ppm": _rmse(run.co2_ppm, data.zone_co2_ppm[bench.rows]),
        "days": len(bench.rows) / 96.0,
    }


def _rmse(simulated: Array, seen: Array) -> float:
    error = simulated - seen
    return float(np.sqrt(np.nanmean(error**2)))
