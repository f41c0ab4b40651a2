"""What measured air flows say directly: design and least flows, outdoor air, fan curve. No simulation needed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.building.parameters import SPECS, site_parameters, usual_outdoor_air_m3_s
from twin.building.plant import plant
from twin.site import Site
from twin.telemetry import CalibrationData
from twin.units import AIR_DENSITY_KG_M3
from twin.vocab import PointKind, SystemType

Array = NDArray[np.float64]
RUNNING_SHARE = 0.02
CYCLING_SHARE = 0.8
"""A fan that runs through moves its design flow; below this share of it in the median, it cycles."""


def air_side(site: Site, data: CalibrationData, rows: NDArray[np.int64]) -> dict[str, float]:
    """Parameters of flows read from the record; empty where no flows are measured.

    Args:
        site: the building.
        data: the record.
        rows: steps that may be used (hold-out left out).
    """
    flows = _zone_flows(site, data, rows)
    return flows | _night_fans(site, data, rows) | _outdoor_air(site, data, rows) | _fans(site, data, rows, flows)


def _bounded(name: str, value: float) -> float:
    return float(np.clip(value, SPECS[name].low, SPECS[name].high))


def _zone_flows(site: Site, data: CalibrationData, rows: NDArray[np.int64]) -> dict[str, float]:
    """Design flow of each zone and least share of each unit's boxes.

    The least flow while a unit runs shows as a floor that is met often; the highest flow is at most the design flow.
    Where the site states no share, boxes of a unit may differ: one that falls lower than most has a lower least flow.
    """
    index, values = site.zone_index(), {}
    for unit in site.air_handlers:
        floors, highs, names = [], [], []
        for zone in unit.zones:
            flow = data.zone_supply_flow_kg_s[rows, index[zone]]
            flow = flow[~np.isnan(flow)]
            running = flow[flow > RUNNING_SHARE * flow.max()] if len(flow) else flow
            if len(running) < 96:
                continue
            floors.append(_floor(running))
            highs.append(float(np.quantile(running, 0.9995)))
            names.append(zone)
        if not names:
            continue
        constant = unit.system is not SystemType.VAV_REHEAT
        floor, high = np.array(floors), np.array(highs)
        share = unit.minimum_flow_fraction or float(np.median(floor / high))
        design = (
            high
            if constant
            else np.maximum(high, floor / share)
            if unit.minimum_flow_fraction is None
            else floor / share
        )
        for zone, flow_kg_s, least_kg_s in zip(names, design, floor, strict=True):
            area = site.zones[index[zone]].floor_area_m2
            values[f"{zone}/design_flow"] = _bounded("design_flow", flow_kg_s / (0.005 * area * AIR_DENSITY_KG_M3))
            if not constant and unit.minimum_flow_fraction is None:
                values[f"{zone}/least_flow"] = _bounded("least_flow", least_kg_s / (flow_kg_s * share))
        if not constant:
            values[f"{unit.id}/minimum_flow"] = _bounded("minimum_flow", share)
    return values


def _night_fans(site: Site, data: CalibrationData, rows: NDArray[np.int64]) -> dict[str, float]:
    """Whether a packaged unit's fan cycles with its coil outside the hours: then its mean flow is well below design."""
    schedule = data.recorded.fan_schedule_on
    if schedule is None:
        return {}
    values = {}
    for u, unit in enumerate(site.air_handlers):
        flow = data.unit_supply_flow_kg_s[rows, u]
        if unit.system is not SystemType.PACKAGED_SINGLE_ZONE or np.isnan(flow).all():
            continue
        night = flow[(schedule[rows, u] < 0.5) & (flow > RUNNING_SHARE * np.nanmax(flow))]
        if len(night) >= 24:
            cycles = np.median(night) < CYCLING_SHARE * np.nanquantile(flow, 0.999)
            values[f"{unit.id}/night_fan_cycles"] = float(cycles)
    return values


def _floor(running: Array) -> float:
    """The flow that a box falls back to: the mode of its lower third."""
    low = running[running <= np.quantile(running, 0.34)]
    counts, edges = np.histogram(low, bins=60)
    k = int(np.argmax(counts))
    return float(0.5 * (edges[k] + edges[k + 1]))


def _outdoor_air(site: Site, data: CalibrationData, rows: NDArray[np.int64]) -> dict[str, float]:
    """Design outdoor air: from steps at which an economizer has no reason to open, from all where there is none."""
    values = {}
    outdoor = data.drivers.weather.outdoor_c[rows]
    shares = data.recorded.minimum_outdoor_air
    for u, unit in enumerate(site.air_handlers):
        flow, fraction = data.unit_supply_flow_kg_s[rows, u], data.unit_outdoor_air_fraction[rows, u]
        share = np.ones(len(rows)) if shares is None else shares[rows, u]
        closed = (outdoor > 27.0) | (outdoor < -8.0) | (not unit.economizer)
        fresh = flow * fraction
        usable = (flow > 0) & (share > 0.3) & closed & ~np.isnan(fresh) & (fraction < 0.95)
        usual = usual_outdoor_air_m3_s(site, unit)
        if usable.sum() >= 24 and usual > 0:
            design = float(np.median(fresh[usable] / share[usable])) / AIR_DENSITY_KG_M3
            values[f"{unit.id}/outdoor_air"] = _bounded("outdoor_air", design / usual)
    return values


def _fans(site: Site, data: CalibrationData, rows: NDArray[np.int64], known: Mapping[str, float]) -> dict[str, float]:
    """Fan power at design flow, at no flow, and its rise, from the fan meter and all units' flows.

    One meter cannot tell the units' fans apart while all run: they keep the proportions that their nameplates state.
    """
    from scipy.optimize import least_squares

    meter = data.meters_w.get(PointKind.FAN_POWER)
    flows = data.unit_supply_flow_kg_s[rows]
    if meter is None or np.isnan(flows).all():
        return {}
    power = meter[rows]
    steady = np.array([unit.system is not SystemType.FAN_COIL for unit in site.air_handlers])
    good = ~np.isnan(power) & ~np.isnan(flows).any(axis=1) & (flows.sum(axis=1) > 0)
    good &= (flows[:, steady] > 0).all(axis=1)
    if good.sum() < 500:
        return {}
    guess = site_parameters(site).replacing(known)
    design = plant(site, guess).unit_flow
    stated = np.array([guess.of("fan_w_kg_s", unit.id) for unit in site.air_handlers])
    part, power = np.maximum(flows[good] / design, 1e-6), power[good]

    def error(x: Array) -> Array:
        scale, idle, exponent = x
        simulated = (scale * stated * design * (idle + (1 - idle) * part**exponent)).sum(axis=1)
        return np.asarray((simulated - power) / power.mean())

    curve = ("fan_idle", "fan_exponent")
    low, high = [0.1, *(SPECS[n].low for n in curve)], [5.0, *(SPECS[n].high for n in curve)]
    scale, *found = least_squares(error, [1.0, *(SPECS[n].guess for n in curve)], bounds=(low, high)).x
    values = dict(zip(curve, (float(v) for v in found), strict=True))
    return {
        f"{unit.id}/{name}": value
        for unit, watts in zip(site.air_handlers, stated, strict=True)
        for name, value in (values | {"fan_w_kg_s": _bounded("fan_w_kg_s", float(scale * watts))}).items()
    }
