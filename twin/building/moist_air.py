"""Moist air at sea-level-like pressure: saturation and wet bulb, and the powers that they need, on lanes or numbers."""

from __future__ import annotations

from twin.building.compiled import compiled
from twin.building.lanes import Lanes, least, nearest, parts_of, pick, two_to

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
LN2 = 0.6931471805599453
ROOT_2 = 1.4142135623730951
EXP_SERIES = (
    1.6059043836821613e-10,
    2.08767569878681e-09,
    2.505210838544172e-08,
    2.755731922398589e-07,
    2.7557319223985893e-06,
    2.48015873015873e-05,
    1.984126984126984e-04,
    1.388888888888889e-03,
    8.333333333333333e-03,
    4.1666666666666664e-02,
    1.6666666666666666e-01,
    0.5,
    1.0,
    1.0,
)
"""1/13! to 1/0!: the rest is below one unit in the last place for |x| ≤ ln 2 / 2."""
LOG_SERIES = (1 / 19, 1 / 17, 1 / 15, 1 / 13, 1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3, 1.0)
"""Of artanh(s)/s in s², |s| ≤ 0.172."""


@compiled
def exponential(x: Lanes) -> Lanes:  # pragma: no cover
    """E to the power of ``x`` for |x| < 700, within two units in the last place."""
    whole = nearest(x * LOG2_E)
    rest = (x - whole * LN2_HIGH) - whole * LN2_LOW
    total = rest * EXP_SERIES[0] + EXP_SERIES[1]
    for factor in EXP_SERIES[2:]:
        total = total * rest + factor
    return total * two_to(whole)


@compiled
def logarithm(x: Lanes) -> Lanes:  # pragma: no cover
    """Natural logarithm of positive numbers, within 1e-15 absolute near 1 and relative elsewhere."""
    mantissa, exponent = parts_of(x)
    high = mantissa > ROOT_2
    mantissa = pick(high, mantissa * 0.5, mantissa)
    exponent = pick(high, exponent + 1.0, exponent)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    square = s * s
    total = square * LOG_SERIES[0] + LOG_SERIES[1]
    for factor in LOG_SERIES[2:]:
        total = total * square + factor
    return 2.0 * s * total + exponent * LN2


@compiled
def saturation_ratio(temp_c: Lanes) -> Lanes:  # pragma: no cover
    """Humidity ratio of saturated air at 101.3 kPa, within 1 % from −20 to 50 °C. [kg/kg]

    Source: Magnus form, Alduchov and Eskridge, J. Appl. Meteorol. 35 (1996) 601.
    """
    pressure = 610.94 * exponential(17.625 * temp_c / (temp_c + 243.04))
    return 0.62198 * pressure / (101_325.0 - pressure)


@compiled
def wet_bulb_c(temp_c: Lanes, ratio: Lanes) -> Lanes:  # pragma: no cover
    """Wet-bulb temperature of air with a humidity ratio: enthalpy balance with saturation at the wet bulb. [°C]

    Three Newton steps from the dry bulb, within 0.05 K between 0 and 45 °C.
    """
    wet = temp_c - 0.4 * (saturation_ratio(temp_c) - ratio) * 1500.0
    for _ in range(3):
        full = saturation_ratio(wet)
        slope = full * 17.625 * 243.04 / ((wet + 243.04) * (wet + 243.04)) + 4.02e-4
        wet = wet - (full - ratio - 4.02e-4 * (temp_c - wet)) / slope
    return least(wet, temp_c)
