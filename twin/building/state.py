"""What the step loop works on: surroundings, gains, state, scratch space and the recorded series."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.building.units import UnitStep, ZoneStep

Array = NDArray[np.float64]


class Surroundings(NamedTuple):
    """What acts on the zones at every step; T steps, Z zones, U units."""

    outdoor_c: Array
    outdoor_ratio: Array
    wind_m_s: Array
    ground_c: Array
    glass_w_m2: Array
    """Sun behind glass by facing and horizontal, shape (T, 5)."""
    wall_rise_k: Array
    """Rise of outer surfaces by sun and sky, by facing and horizontal, shape (T, 5)."""
    people: Array
    lights_w: Array
    plugs_w: Array
    other_w: Array
    given_flow: Array
    """Measured supply air in place of the boxes' own, shape (T, Z) or (0, Z). [kg/s]"""
    given_supply_c: Array


class Gains(NamedTuple):
    """How inner heat reaches the nodes."""

    solar_to_air: float
    people_w: float
    people_to_air: float
    lights_to_air: float
    lights_to_return: float
    plugs_to_air: float
    plug_share: Array
    """Shape (Z,)."""
    infiltration_wind: float
    infiltration_fans_on: float
    outdoor_co2_ppm: float


class State(NamedTuple):
    """Continuous state, changed in place."""

    node_c: Array
    """Shape (Z, 4)."""
    co2_ppm: Array
    ratio: Array
    """Humidity ratio of the air of each unit's zones, shape (U,)."""
    plenum_c: Array
    slab_c: Array


class Series(NamedTuple):
    """What is recorded at every step."""

    zone_c: Array
    heating_c: Array
    cooling_c: Array
    co2_ppm: Array
    run: Array
    supply_c: Array
    flow: Array
    outdoor_share: Array
    zone_flow: Array
    zone_supply_c: Array
    power_w: Array
    """Shape (T, 4): fan, cooling, electric heating, gas."""
    residual_w: Array
    """Shape (1,): largest error of a zone's heat balance so far. [W]"""


class Work(NamedTuple):
    """Scratch space of one step."""

    heat: Array
    """Heat into each node, shape (Z, 4). [W]"""
    leak: Array
    """Infiltration, shape (Z,). [W/K]"""
    after: Array
    zone: ZoneStep
    unit: UnitStep
    prev_c: Array
    prev_people: Array
    slab_w: Array
    """Heat out of each plenum's slab into the zones above, shape (U,). [W]"""
