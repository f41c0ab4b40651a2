"""A year of readings as the record that calibration fits: drivers, commands, measurements, nothing of the model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.emulator.recorded_year import RecordedYear
from connectors.emulator.runs import Record
from fidelity.truth import Building
from twin.building.program import Recorded
from twin.drivers import Drivers, Weather
from twin.telemetry import CalibrationData
from twin.vocab import PointKind

Array = NDArray[np.float64]

METERS = {
    PointKind.ELECTRIC_POWER: "facility_electricity_w",
    PointKind.HVAC_ELECTRIC_POWER: "hvac_electricity_w",
    PointKind.FAN_POWER: "fan_electricity_w",
    PointKind.COOLING_POWER: "cooling_electricity_w",
    PointKind.HEATING_ELECTRIC_POWER: "heating_electricity_w",
    PointKind.HEATING_GAS_POWER: "heating_gas_w",
}


def of_recorded_year(building: Building, year: RecordedYear) -> CalibrationData:
    """The recorded year of the medium office, as its data set delivers it."""
    rows = year.building
    units = len(building.site.air_handlers)
    names = [unit.id for unit in building.site.air_handlers]

    def common(column: str) -> Array:
        return np.repeat(rows[column].to_numpy(np.float64)[:, None], units, axis=1)

    recorded = Recorded(
        heating_setpoint_c=year.zones["heating_setpoint_c"].to_numpy(np.float64),
        cooling_setpoint_c=year.zones["cooling_setpoint_c"].to_numpy(np.float64),
        fan_schedule_on=common("fan_schedule_on"),
        supply_setpoint_c=common("supply_temp_setpoint_c"),
        minimum_outdoor_air=common("min_outdoor_air_frac"),
    )
    plugs = year.zones["plugs_w"].to_numpy(np.float64)
    return _data(building, rows, year.zones, recorded, plugs, names)


def of_operator_year(building: Building, record: Record, given: Recorded) -> CalibrationData:
    """A year of the emulated building under its operator."""
    names = [str(c).split(".")[1] for c in record.building if str(c).endswith(".flow_kg_s")]
    plugs = record.zones["plugs_w"].to_numpy(np.float64)
    return _data(building, record.building, record.zones, given, plugs, names)


def _data(
    building: Building,
    rows: pd.DataFrame,
    zones: Mapping[str, pd.DataFrame],
    recorded: Recorded,
    plugs_w: Array,
    units: list[str],
) -> CalibrationData:
    days, steps = building.days, len(rows)

    def series(column: str) -> Array:
        return rows[column].to_numpy(np.float64)

    def of_units(column: str) -> Array:
        return np.stack([series(f"ahu.{unit}.{column}") for unit in units], axis=1)

    weather = Weather(
        outdoor_c=series("outdoor_temp_c"),
        outdoor_rh=series("outdoor_rh_pct") / 100.0,
        wind_m_s=series("wind_m_s"),
        direct_normal_w_m2=series("direct_normal_w_m2"),
        diffuse_horizontal_w_m2=series("diffuse_horizontal_w_m2"),
    )
    drivers = Drivers(
        start=days.start,
        step_s=900.0,
        weather=weather,
        people=days.people,
        lights_w=zones["lights_w"].to_numpy(np.float64),
        plugs_w=plugs_w,
        other_gain_w=np.zeros_like(days.people),
        electricity_price_kwh=np.full(steps, building.site.tariff.electricity_per_kwh),
        carbon_kg_kwh=np.full(steps, building.site.tariff.carbon_kg_per_kwh),
    )
    return CalibrationData(
        drivers=drivers,
        recorded=recorded,
        zone_temperature_c=zones["temp_c"].to_numpy(np.float64),
        zone_co2_ppm=zones["co2_ppm"].to_numpy(np.float64),
        zone_supply_flow_kg_s=zones["supply_flow_kg_s"].to_numpy(np.float64),
        zone_supply_temperature_c=zones["supply_temp_c"].to_numpy(np.float64),
        unit_supply_temperature_c=of_units("supply_temp_c"),
        unit_supply_flow_kg_s=of_units("flow_kg_s"),
        unit_outdoor_air_fraction=of_units("outdoor_air_frac"),
        meters_w={kind: series(column) for kind, column in METERS.items()},
        known=np.ones(days.people.shape, dtype=np.bool_),
        held=np.zeros(steps, dtype=np.bool_),
        findings=(),
    )
