"""What the step loop works on: fixed numbers, surroundings, state and the recorded series."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Fixed(NamedTuple):
    """Numbers that a run does not change, as records of ``rows`` (flat)."""

    step_s: float
    zones: Array
    balance: Array
    """For the check of the heat balance."""
    laws: Array
    """Of each zone's unit, for units with constant air volume."""
    units: Array
    pair_w_k: Array
    building: Array


class Surroundings(NamedTuple):
    """What acts on the zones at every step; T steps, Z zones."""

    outdoor_c: Array
    outdoor_ratio: Array
    wind_m_s: Array
    ground_wave: Array
    """Season of the ground, -1 to 1, shape (T,)."""
    glass_w_m2: Array
    """Sun behind glass by facing and horizontal, shape (T, 5)."""
    opaque_w_m2: Array
    """Sun on outer surfaces, by facing and horizontal, shape (T, 5)."""
    people: Array
    lights_w: Array
    plugs_w: Array
    other_w: Array
    """Shape (T, Z), or (T, Z, 8) flat where it differs between the runs of a batch. [W]"""
    other_differs: bool
    given_flow: Array
    """Measured supply air in place of the boxes' own, shape (T, Z) or (0, Z). [kg/s]"""
    given_supply_c: Array
    comfort: Array
    """Lowest and highest comfortable temperature [°C], highest CO₂ [ppm], shape (3,)."""


class State(NamedTuple):
    """Continuous state and what is found in a step, as records of ``rows`` (flat), changed in place."""

    zones: Array
    units: Array
    step: Array
    people_row: NDArray[np.int64]
    """Row of the people of the step before, shape (1,)."""


class Series(NamedTuple):
    """What is recorded at every step; a batch records power alone, as (4 · 8, T), and leaves the others empty."""

    zone_c: Array
    heating_c: Array
    cooling_c: Array
    co2_ppm: Array
    zone_flow: Array
    """Shape (T, Z), without rows where it is not asked for. [kg/s]"""
    run: Array
    supply_c: Array
    flow: Array
    outdoor_share: Array
    power_w: Array
    """Shape (4, T): fan, cooling, electric heating, gas."""
