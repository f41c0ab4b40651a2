"""Moist air at sea-level-like pressure: saturation and wet bulb, compiled for the step loop."""

from __future__ import annotations

import math

from twin.building.compiled import compiled


@compiled
def saturation_ratio(temp_c: float) -> float:  # pragma: no cover
    """Humidity ratio of saturated air at 101.3 kPa, within 1 % from −20 to 50 °C. [kg/kg]

    Source: Magnus form, Alduchov and Eskridge, J. Appl. Meteorol. 35 (1996) 601.
    """
    pressure = 610.94 * math.exp(17.625 * temp_c / (temp_c + 243.04))
    return 0.62198 * pressure / (101_325.0 - pressure)


@compiled
def wet_bulb_c(temp_c: float, ratio: float) -> float:  # pragma: no cover
    """Wet-bulb temperature of air with a humidity ratio: enthalpy balance with saturation at the wet bulb. [°C]

    Three Newton steps from the dry bulb, within 0.05 K between 0 and 45 °C.
    """
    wet = temp_c - 0.4 * (saturation_ratio(temp_c) - ratio) * 1500.0
    for _ in range(3):
        full = saturation_ratio(wet)
        slope = full * 17.625 * 243.04 / (wet + 243.04) ** 2 + 4.02e-4
        wet -= (full - ratio - 4.02e-4 * (temp_c - wet)) / slope
    return min(wet, temp_c)
