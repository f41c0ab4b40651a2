"""The KPIs: declared in one table, computed in one function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twin.result import RunResult
from twin.site import ComfortBand, Site
from twin.units import SECONDS_PER_HOUR, WATTS_PER_KILOWATT, kwh
from twin.vocab import EndUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpi:
    """Name, unit and direction of a measure."""

    name: str
    unit: str
    better: Literal["lower", "higher"]
    description: str


def _kpi(name: str, unit: str, description: str, better: Literal["lower", "higher"] = "lower") -> Kpi:
    return Kpi(name=name, unit=unit, better=better, description=description)


KPIS: Mapping[str, Kpi] = {
    kpi.name: kpi
    for kpi in (
        _kpi("electricity_kwh", "kWh", "electricity of HVAC, lights, plugs and IT, without other metered loads"),
        _kpi("gas_kwh", "kWh", "gas for space heating, as heat of combustion"),
        _kpi("hvac_kwh", "kWh", "electricity of fans, cooling and electric heating"),
        _kpi("fan_kwh", "kWh", "electricity of fans"),
        _kpi("cooling_kwh", "kWh", "electricity of cooling"),
        _kpi("heating_kwh", "kWh", "heating: electricity (reheat included) and gas together"),
        _kpi("it_kwh", "kWh", "electricity of hosts"),
        _kpi("peak_kw", "kW", "highest mean electric power of a step"),
        _kpi("cost", "currency", "energy and peak charges by the site's tariff"),
        _kpi("co2_kg", "kg", "carbon of electricity and gas"),
        _kpi("occupied_discomfort_kh", "K·h", "distance outside the comfort band while a zone has people, over zones"),
        _kpi("co2_ppm_exceedance_h", "h", "hours above the CO₂ limit while a zone has people, over zones"),
        _kpi("vm_migrations", "1", "live migrations started"),
        _kpi("slatah", "fraction", "active host time with less CPU given than asked for"),
        _kpi("pdm", "fraction", "CPU not given because of migrations"),
        _kpi("slav", "fraction", "SLATAH × PDM"),
        _kpi("esv", "kWh", "electricity of hosts × SLAV"),
        _kpi("mean_active_hosts", "hosts", "mean number of hosts that are on"),
        _kpi("host_hours", "h", "hours that hosts are on, summed over hosts"),
        _kpi("latency_p95_ms", "ms", "95th percentile of the response time of VMs"),
        _kpi("pue", "1", "IT and the plant's electricity for its heat, over IT"),
        _kpi("cost_per_meeting", "currency", "cost of the rooms' share of energy per meeting held"),
    )
}


def electric_power_w(result: RunResult) -> np.ndarray:
    """All electricity of the site, shape (steps,). [W]"""
    gas = EndUse.HEATING_GAS
    total: np.ndarray = sum(
        (p for use, p in result.building.power_w.items() if use is not gas), result.it_power_w.copy()
    )
    return total


def discomfort_by_zone(
    temperature_c: NDArray[np.float64], people: NDArray[np.float64], band: ComfortBand, step_s: float
) -> NDArray[np.float64]:
    """Distance outside the comfort band while a zone has people, shape (steps, zones). [K·h]

    Args:
        temperature_c: air temperature, shape (steps, zones). [°C]
        people: people in each zone, shape (steps, zones).
        band: what people accept.
        step_s: length of a step. [s]
    """
    outside = np.maximum(band.min_c - temperature_c, 0.0) + np.maximum(temperature_c - band.max_c, 0.0)
    inside_kh: NDArray[np.float64] = outside * (people > 0) * (step_s / SECONDS_PER_HOUR)
    return inside_kh


def _comfort(result: RunResult, band: ComfortBand) -> tuple[float, float]:
    """Kelvin outside the band and steps above the CO₂ limit, summed over zones and steps with people."""
    from twin.building.comfort import distances  # brings numba, which those who only name KPIs do without

    building = result.building
    if building.comfort is not None:
        return building.comfort
    limits = (float(band.min_c), float(band.max_c), float(band.co2_max_ppm))
    return distances(building.zone_temperature_c, building.zone_co2_ppm, result.people, limits)


def kpis(result: RunResult, site: Site) -> dict[str, float]:
    """Value of every KPI that the run can answer, by name; units as in ``KPIS``."""
    step = result.step_s
    hours = step / SECONDS_PER_HOUR
    use = {end_use: float(kwh(power.sum(), step)) for end_use, power in result.building.power_w.items()}
    zero = 0.0
    fan, cooling = use.get(EndUse.FAN, zero), use.get(EndUse.COOLING, zero)
    heating, gas = use.get(EndUse.HEATING_ELECTRIC, zero), use.get(EndUse.HEATING_GAS, zero)
    power = electric_power_w(result)
    it = float(kwh(result.it_power_w.sum(), step))
    days = len(power) * step / 86_400.0
    peak = float(power.max() / WATTS_PER_KILOWATT) if len(power) else zero
    tariff = site.tariff
    cost = float(kwh((power * result.electricity_price_kwh).sum(), step)) + gas * tariff.gas_per_kwh
    cost += peak * tariff.peak_per_kw_month * days / 30.4375
    co2 = float(kwh((power * result.carbon_kg_kwh).sum(), step)) + gas * tariff.gas_carbon_kg_per_kwh
    discomfort_k, stuffy = _comfort(result, site.comfort)
    values = {
        "electricity_kwh": float(kwh(power.sum(), step)),
        "gas_kwh": gas,
        "hvac_kwh": fan + cooling + heating,
        "fan_kwh": fan,
        "cooling_kwh": cooling,
        "heating_kwh": heating + gas,
        "it_kwh": it,
        "peak_kw": peak,
        "cost": cost,
        "co2_kg": co2,
        "occupied_discomfort_kh": discomfort_k * hours,
        "co2_ppm_exceedance_h": stuffy * hours,
    }
    if result.compute is not None:
        compute = result.compute
        values |= {
            "vm_migrations": float(len(compute.migrations)),
            "slatah": compute.slatah,
            "pdm": compute.pdm,
            "slav": compute.slav,
            "esv": it * compute.slav,
            "host_hours": float(compute.host_on.sum() * compute.step_s / SECONDS_PER_HOUR),
            "mean_active_hosts": float(compute.host_on.sum(axis=1).mean()),
            "latency_p95_ms": compute.latency_p95_ms,
        }
    if result.meetings_served:
        values["cost_per_meeting"] = cost / result.meetings_served
    return values
