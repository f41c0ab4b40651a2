"""From parameters to the records of fixed numbers that the kernel reads, for one run or for eight in a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from twin.building.lanes import WIDTH
from twin.building.network import NODES, Network, network
from twin.building.parameters import Parameters
from twin.building.plant import FAN_COIL, NO_HEAT, VAV, Law, Plant, plant
from twin.building.program import ProgramArrays
from twin.building.rows import (
    AIR_STORE,
    BALANCE_ROWS,
    BOUNDARY,
    BOUNDARY_AIR,
    BOUNDARY_MASS,
    BOUNDARY_WALL,
    CAPACITY,
    CEILING,
    DESIGN_FLOW,
    FACE,
    FLOOR,
    FOLLOWS_LOAD,
    GAIN,
    HAS_PLENUM,
    INFILTRATION,
    IS_CONSTANT,
    IS_VAV,
    KEEP,
    LAW_OF_ZONE_ROWS,
    LEAST_FLOW,
    MEAN_GAIN,
    MEAN_KEEP,
    MOST_FLOW,
    NIGHT_FAN_CYCLES,
    PER_VOLUME,
    PLENUM_LEAK,
    PLENUM_OUT,
    PLENUM_ROOF,
    PLENUM_SLAB,
    PLENUM_STORE,
    PLUG_SHARE,
    REHEAT_W,
    SLAB_RATE,
    UNIT_ROWS,
    WINDOW,
    ZONE_ROWS,
    Layout,
    aligned,
    packed,
)
from twin.building.state import Fixed
from twin.site import Site
from twin.units import AIR_DENSITY_KG_M3

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
LAW = 0
"""First row of the law of coils and fans in its records."""
_BUILDING = (
    "solar_to_air",
    "people_sensible_w",
    "people_convective",
    "lights_convective",
    "lights_to_return",
    "plugs_convective",
    "infiltration_wind",
    "infiltration_fans_on",
    "outdoor_co2_ppm",
    "ground_mean_c",
    "ground_swing_k",
    "absorptance_r",
    "sky_k",
)
"""Parameters of the whole building, in the order of their rows."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """A building with one set of parameters, at one length of step."""

    site: Site
    parameters: Parameters
    step_s: float
    net: Network
    plant: Plant

    @property
    def vav(self) -> NDArray[np.bool_]:
        """Which units have VAV boxes, shape (units,)."""
        return np.asarray(self.plant.system == VAV)


KEPT = 32
_MADE: list[Numbers] = []
"""Numbers made last: the runs of a batch take turns with the members of an ensemble."""


def numbers_of(site: Site, parameters: Parameters, step_s: float) -> Numbers:
    """Numbers of a site for steps of ``step_s`` seconds, those made last once only."""
    for known in _MADE:
        if known.site is site and known.parameters is parameters and known.step_s == step_s:
            return known
    made = Numbers(site, parameters, step_s, network(site, parameters, step_s), plant(site, parameters))
    _MADE[:] = [made, *_MADE[: KEPT - 1]]
    return made


def fixed_numbers(runs: Sequence[Numbers], program: ProgramArrays, at: Layout) -> Fixed:
    """Records of one building, or of the same one with eight sets of parameters."""
    unit_of = program.zone_unit

    def of_zones(make: Callable[[Numbers, Indices], dict[int, Array]], rows: int) -> Array:
        return packed([make(run, unit_of) for run in runs], rows, at.zones, batch=at.batch)

    building = np.array([[run.parameters.of(name) for name in _BUILDING] for run in runs])
    pairs = np.array([run.net.pair_w_k for run in runs])
    return Fixed(
        step_s=runs[0].step_s,
        zones=of_zones(_zone_numbers, ZONE_ROWS),
        balance=of_zones(_balance_numbers, BALANCE_ROWS),
        laws=of_zones(_law_of_zones, LAW_OF_ZONE_ROWS),
        units=packed([_unit_numbers(run, program) for run in runs], UNIT_ROWS, at.units, batch=at.batch),
        pair_w_k=aligned(pairs.T),
        building=aligned(np.broadcast_to(building.T, (len(_BUILDING), WIDTH))),
    )


def _zone_numbers(run: Numbers, unit_of: Indices) -> dict[int, Array]:
    net, air, of = run.net, run.plant, run.parameters.of
    least = np.array([of("least_flow", zone.id) for zone in run.site.zones])
    squares = NODES * NODES
    return {
        KEEP: net.keep.reshape(-1, squares),
        GAIN: net.gain.reshape(-1, squares),
        BOUNDARY_AIR: net.boundary[:, 0],
        BOUNDARY_MASS: net.boundary[:, 2],
        BOUNDARY_WALL: net.boundary[:, 3],
        WINDOW: net.window,
        FACE: net.wall_share,
        INFILTRATION: net.infiltration,
        PER_VOLUME: run.step_s / net.volume_m3,
        CEILING: net.ceiling,
        FLOOR: net.floor,
        PLUG_SHARE: np.array([of("plug_heat", zone.id) for zone in run.site.zones]),
        LEAST_FLOW: np.minimum(_of_units(air.minimum_flow, unit_of) * least, 1.0) * air.design_flow,
        MOST_FLOW: air.design_flow,
        REHEAT_W: np.where(_of_units(air.reheat_kind, unit_of) == NO_HEAT, 0.0, air.reheat_w),
    }


def _of_units(values: Array, unit_of: Indices) -> Array:
    """Values of each zone's unit, 0 where it has none; the last axis stays."""
    none = np.zeros((1, *values.shape[1:]))
    return np.concatenate([values, none])[unit_of]


def _balance_numbers(run: Numbers, _: Indices) -> dict[int, Array]:
    net, squares = run.net, NODES * NODES
    return {
        CAPACITY: net.capacity,
        BOUNDARY: net.boundary,
        MEAN_KEEP: net.mean_keep.reshape(-1, squares),
        MEAN_GAIN: net.mean_gain.reshape(-1, squares),
    }


def _laws(air: Plant) -> Array:
    """Shape (units, 19)."""
    return np.stack([np.asarray(getattr(air, name), dtype=np.float64) for name in Law._fields], axis=-1)


def _law_of_zones(run: Numbers, unit_of: Indices) -> dict[int, Array]:
    served, system = unit_of >= 0, _of_units(run.plant.system.astype(np.float64), unit_of)
    return {
        LAW: _of_units(_laws(run.plant), unit_of),
        DESIGN_FLOW: run.plant.design_flow,
        IS_CONSTANT: np.where(served & (system != VAV), 1.0, 0.0),
        NIGHT_FAN_CYCLES: _of_units(run.plant.night_fan_cycles, unit_of),
        FOLLOWS_LOAD: np.where(served & (system == FAN_COIL), 1.0, 0.0),
    }


def _unit_numbers(run: Numbers, program: ProgramArrays) -> dict[int, Array]:
    net, step_s = run.net, run.step_s
    members = [program.members[a:b] for a, b in pairwise(program.first)]
    air_kg = AIR_DENSITY_KG_M3 * np.array([net.volume_m3[rows].sum() for rows in members])
    return {
        LAW: _laws(run.plant),
        IS_VAV: run.vav.astype(np.float64),
        HAS_PLENUM: net.has_plenum.astype(np.float64),
        PLENUM_OUT: net.plenum_out,
        PLENUM_LEAK: net.plenum_infiltration,
        PLENUM_STORE: net.plenum_capacity / step_s,
        PLENUM_SLAB: net.plenum_slab,
        PLENUM_ROOF: net.plenum_roof,
        SLAB_RATE: step_s / net.slab_capacity,
        AIR_STORE: 3.0 * air_kg / step_s,
    }
