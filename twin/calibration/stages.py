"""The stages of a fit: heat of the rooms with supply air given, then the air side, then end uses of the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from twin.building.parameters import SPECS, Parameters, Scope, keys_of
from twin.calibration.bench import Bench, Simulated
from twin.calibration.information import Block, Knob
from twin.calibration.targets import Targets, hourly
from twin.site import AirHandler, Site
from twin.vocab import CoolingKind, HeatingKind, PointKind, SystemType

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

TEMPERATURE_K = 0.3
ENERGY_SHARE = 0.3
WEEKLY_SHARE = 0.08
FLOW_SHARE = 0.15
ODD_K, ODD_SHARE, ODD_TIMES = 2.0, 0.35, 4.0
"""A week is odd beyond this mean error of rooms, of a meter over its mean while it runs, and over the median week."""
LOOSE, FIRM, TIGHT = 1.0, 0.5, 0.15
"""Spreads of priors on the fitting scale: unknown, roughly known, stated by the site file."""

ENVELOPE = (
    "wall_u", "window_u", "roof_u", "ground_u", "ground_mean_c", "ground_swing_k", "shgc", "solar_to_air",
    "absorptance_r", "sky_k", "infiltration", "infiltration_fans_on", "wall_capacity",
)  # fmt: skip
INSIDE = (
    "air_capacity", "surface_capacity", "mass_capacity", "surface_h", "mass_h", "interior_u", "people_sensible_w",
    "lights_convective", "plugs_convective",
)  # fmt: skip
PLENUM = ("ceiling_u", "slab_u", "slab_capacity", "floor_u", "plenum_wall", "lights_to_return")
OF_COIL = ("cop_wet_bulb", "cycling_loss")
OF_CHILLER = ("cop_tower", "cooling_idle")
OF_ZONES = ("envelope", "solar", "mass", "plug_heat")


class Evidence:
    """Turns runs into residual blocks on the hours that may be fitted."""

    def __init__(self, bench: Bench, goal: Targets, fitted: Flags) -> None:
        self.bench, self.goal, self.fitted = bench, goal, fitted
        self.days = max(float(fitted.sum()) / 24.0, 1.0)

    def drop(self, weeks: frozenset[int]) -> None:
        """Leave weeks out of the fit."""
        self.fitted = self.fitted & ~np.isin(self.goal.week, list(weeks))

    def rooms(self, parameters: Parameters) -> Sequence[Block]:
        """Zone temperatures with measured supply air as input."""
        return self._temperatures(self.bench.run(parameters, supply_given=True), self.days)

    def whole(self, parameters: Parameters) -> Sequence[Block]:
        """Zone temperatures and meters with the twin's own units."""
        run = self.bench.run(parameters)
        return [*self._temperatures(run, self.days / 4.0), *self._meters(run)]

    def flows_too(self, parameters: Parameters) -> Sequence[Block]:
        """Zone temperatures, flows and meters."""
        run = self.bench.run(parameters)
        return [*self._temperatures(run, self.days / 4.0), *self._flows(run), *self._meters(run)]

    def _masked(self, values: Array) -> Array:
        return np.where(self.fitted, values, np.nan)

    def _temperatures(self, run: Simulated, weight: float) -> list[Block]:
        error = (hourly(run.zone_c, self.goal.per_hour) - self.goal.zone_c) / TEMPERATURE_K
        return [
            Block(f"temperature {z}", self._masked(error[:, z]), weight / error.shape[1], z, self.goal.week)
            for z in range(error.shape[1])
        ]

    def _flows(self, run: Simulated) -> list[Block]:
        goal = self.goal.flow
        error = hourly(run.zone_flow, self.goal.per_hour) - goal
        blocks = []
        for z in range(goal.shape[1]):
            if not np.isnan(goal[:, z]).all():
                scale = FLOW_SHARE * float(np.nanquantile(goal[:, z], 0.9))
                weight = self.days / 8.0 / goal.shape[1]
                values = self._masked(error[:, z] / max(scale, 1e-6))
                blocks.append(Block(f"flow {z}", values, weight, z, self.goal.week))
        return blocks

    def _meters(self, run: Simulated) -> list[Block]:
        blocks = []
        for target in self.goal.meters:
            error = target.simulated_w(run, self.goal.per_hour) - target.measured_w
            hours = self._masked(error / target.scale_w)
            weight = 2.0 * self.days if target.kind is PointKind.HVAC_ELECTRIC_POWER else self.days
            blocks.append(Block(f"{target.kind} by hour", hours / ENERGY_SHARE, weight, week=self.goal.week))
            weeks = weekly(hours, self.goal.week) * len(hours) / max(float((~np.isnan(hours)).sum()), 1.0)
            names = np.unique(self.goal.week)
            blocks.append(Block(f"{target.kind} by week", weeks / WEEKLY_SHARE, weight, week=names))
        return blocks


def odd_weeks(goal: Targets, run: Simulated) -> frozenset[int]:
    """Weeks that no twin of this building can meet: temperatures or a meter far off while other weeks agree.

    At most a sixth of all weeks: if more disagree, it's the twin.
    """
    names = np.unique(goal.week)
    error = np.abs(hourly(run.zone_c, goal.per_hour) - goal.zone_c)
    rooms = np.array([_median(error[goal.week == week].ravel()) for week in names])
    odd = rooms > max(ODD_K, ODD_TIMES * _median(rooms))
    for target in goal.meters:
        off = weekly((target.simulated_w(run, goal.per_hour) - target.measured_w) / target.scale_w, goal.week)
        odd |= np.nan_to_num(np.abs(off)) > max(ODD_SHARE, ODD_TIMES * _median(np.abs(off)))
    return frozenset(int(week) for week in names[odd]) if 0 < odd.sum() <= len(names) / 6 + 0.5 else frozenset()


def _median(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else 0.0


def weekly(values: Array, week: NDArray[np.int64]) -> Array:
    """Means of weeks, NaN where less than half a week is known."""
    known = ~np.isnan(values)
    _, place = np.unique(week, return_inverse=True)
    count = np.bincount(place, weights=known)
    total = np.bincount(place, weights=np.where(known, values, 0.0))
    return np.asarray(np.where(count >= 84, total / np.maximum(count, 1.0), np.nan))


def room_knobs(site: Site, *, radiators: bool = False, blinds: bool = False) -> list[Knob]:
    """What the rooms' heat is fitted by.

    Args:
        site: the building.
        radiators: whether the opening of radiator valves is recorded.
        blinds: whether the position of blinds is recorded.
    """
    heaters = [Knob(("radiator_curve",), FIRM), Knob(keys_of(site, SPECS["radiator_w_m2"]), LOOSE, per_zone=True)]
    stated = set()
    if site.infiltration_fraction_fans_on is not None:
        stated.add("infiltration_fans_on")
    if any(unit.lights_to_return_fraction > 0 for unit in site.air_handlers):
        stated.add("lights_to_return")
    names = [*_envelope(site), *INSIDE, *(PLENUM if any(u.return_plenum for u in site.air_handlers) else ())]
    return [
        *(Knob((name,), TIGHT if name in stated else LOOSE) for name in names),
        *(Knob(keys_of(site, SPECS[name]), FIRM if name != "plug_heat" else LOOSE, per_zone=True) for name in OF_ZONES),
        *(heaters if radiators else ()),
        *([Knob(("blinds_keep_out",), LOOSE)] if blinds else ()),
    ]


def _envelope(site: Site) -> list[str]:
    absent = set()
    roof = any(zone.roof_m2 > 0 for zone in site.zones) or any(unit.return_plenum for unit in site.air_handlers)
    if not any(zone.ground_m2 > 0 for zone in site.zones):
        absent |= {"ground_u", "ground_mean_c", "ground_swing_k"}
    if not roof:
        absent.add("roof_u")
    return [name for name in ENVELOPE if name not in absent]


def unit_knobs(site: Site, measured: Sequence[PointKind], known: frozenset[str]) -> list[Knob]:
    """What units and plant are fitted by, one value for units that are alike.

    Args:
        site: the building.
        measured: kinds of the meters at hand.
        known: keys that measured air flows already settled.
    """
    knobs: list[Knob] = []
    for alike in _alike(site):
        for name, spread in _of_unit(alike[0]):
            settled = all(f"{unit.id}/{name}" in known for unit in alike)
            if settled and name == "night_fan_cycles":
                continue
            knobs.append(Knob(tuple(f"{unit.id}/{name}" for unit in alike), TIGHT if settled else spread))
    return knobs


def _alike(site: Site) -> list[list[AirHandler]]:
    groups: dict[tuple[object, ...], list[AirHandler]] = {}
    for unit in site.air_handlers:
        key = (unit.system, unit.cooling, unit.heating, unit.reheat, unit.rated_cop)
        groups.setdefault(key, []).append(unit)
    return list(groups.values())


def _of_unit(unit: AirHandler) -> list[tuple[str, float]]:
    """Parameters of a unit that a fit may move, with the spread of their priors."""
    knobs = [
        ("outdoor_air", LOOSE if unit.design_outdoor_air_m3_s is None else TIGHT),
        ("fan_w_kg_s", LOOSE if unit.fan_pressure_pa is None else FIRM),
    ]
    if unit.system is SystemType.VAV_REHEAT:
        knobs += [("fan_idle", FIRM), ("fan_exponent", FIRM), ("reheat_w_kg_s", LOOSE)]
        knobs.append(("minimum_flow", LOOSE if unit.minimum_flow_fraction is None else 0.05))
    if unit.system is SystemType.PACKAGED_SINGLE_ZONE:
        knobs.append(("night_fan_cycles", LOOSE))
    if unit.cooling is not CoolingKind.NONE:
        knobs.append(("cop", LOOSE if unit.rated_cop is None else FIRM))
        own = OF_CHILLER if unit.cooling is CoolingKind.CHILLED_WATER else OF_COIL
        knobs += [(name, LOOSE) for name in ("cop_outdoor", *own, "bypass", "cooling_w_kg_s")]
    if unit.heating is HeatingKind.HEAT_PUMP or unit.reheat is HeatingKind.HEAT_PUMP:
        knobs.append(("heat_pump_cop", FIRM))
    if {unit.heating, unit.reheat} & {HeatingKind.GAS, HeatingKind.HOT_WATER}:
        knobs.append(("heating_efficiency", FIRM if unit.heating_efficiency is None else 0.05))
    if unit.heating is not HeatingKind.NONE:
        knobs.append(("heating_w_kg_s", LOOSE))
    return knobs


def scope_of(key: str) -> Scope:
    """Scope of the parameter behind a key."""
    return SPECS[key.rsplit("/", 1)[-1]].scope


Progress = Callable[[str, float], None]
