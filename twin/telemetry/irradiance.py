"""Sun height and the split of global irradiance where direct and diffuse are not measured."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from twin.clock import require_aware
from twin.site import Location
from twin.units import SECONDS_PER_DAY

Array = NDArray[np.float64]
SOLAR_CONSTANT_W_M2 = 1361.0
LOW_SUN_SINE = 0.05
"""Below this sine of the altitude (about 3°) direct irradiance is not derived: the division would blow noise up."""
CLOUDINESS_FACTOR = 0.6
"""Share of clear-sky global irradiance assumed where none is measured (a mean of temperate climates)."""
_J2000 = 946_728_000.0


def sine_of_altitude(start: datetime, steps: int, step_s: float, location: Location) -> Array:
    """Sine of the solar altitude at the middle of each step, negative at night, shape (steps,).

    Within about 0.01° of the almanac from 1950 to 2050, refraction left out.
    Source: low-precision formulae of the Astronomical Almanac (Michalsky, Solar Energy 40, 1988).
    """
    middle = require_aware(start, "start").timestamp() + (np.arange(steps) + 0.5) * step_s
    days = (middle - _J2000) / SECONDS_PER_DAY
    anomaly = np.radians(357.528 + 0.9856003 * days)
    ecliptic = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    tilt = np.radians(23.439 - 4e-7 * days)
    right_ascension = np.arctan2(np.cos(tilt) * np.sin(ecliptic), np.cos(ecliptic))
    declination = np.arcsin(np.sin(tilt) * np.sin(ecliptic))
    sidereal = np.radians((280.46062 + 360.98564737 * days + location.longitude_deg) % 360.0)
    latitude = np.radians(location.latitude_deg)
    hour_angle = sidereal - right_ascension
    sine: Array = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
    return sine


def extraterrestrial_w_m2(start: datetime, steps: int, step_s: float) -> Array:
    """Irradiance on a plane facing the sun outside the atmosphere, shape (steps,). [W/m²]

    Source: Spencer's first term of the distance of the earth.
    """
    day = (require_aware(start, "start").timestamp() + (np.arange(steps) + 0.5) * step_s) / SECONDS_PER_DAY
    result: Array = SOLAR_CONSTANT_W_M2 * (1.0 + 0.033 * np.cos(2 * np.pi * (day % 365.25) / 365.25))
    return result


def clear_sky_global_w_m2(sine: Array) -> Array:
    """Global horizontal irradiance of a clear sky. [W/m²]

    Source: Haurwitz, Journal of Meteorology 2 (1945).
    """
    up = np.maximum(sine, 1e-6)
    return np.where(sine > 0, 1098.0 * up * np.exp(-0.057 / up), 0.0)


def split_global(global_w_m2: Array, sine: Array, outside_w_m2: Array) -> tuple[Array, Array]:
    """Direct normal and diffuse horizontal irradiance of a global one, shape (steps,) each. [W/m²]

    Source: Erbs, Klein and Duffie, Solar Energy 28 (1982).

    Args:
        global_w_m2: global horizontal irradiance; NaN stays NaN. [W/m²]
        sine: sine of the solar altitude.
        outside_w_m2: extraterrestrial irradiance. [W/m²]
    """
    shine = np.maximum(global_w_m2, 0.0)
    clearness = np.clip(shine / (outside_w_m2 * np.maximum(sine, LOW_SUN_SINE)), 0.0, 1.0)
    middle = 0.9511 - 0.1604 * clearness + 4.388 * clearness**2 - 16.638 * clearness**3 + 12.336 * clearness**4
    share = np.where(clearness <= 0.22, 1.0 - 0.09 * clearness, np.where(clearness <= 0.80, middle, 0.165))
    diffuse = np.where(sine > LOW_SUN_SINE, share * shine, shine)
    return direct_of(shine, diffuse, sine, outside_w_m2), diffuse


def direct_of(global_w_m2: Array, diffuse_w_m2: Array, sine: Array, outside_w_m2: Array) -> Array:
    """Direct normal irradiance that global and diffuse imply, 0 with the sun below 3°. [W/m²]"""
    beam = np.maximum(global_w_m2 - diffuse_w_m2, 0.0) / np.maximum(sine, LOW_SUN_SINE)
    return np.where(sine > LOW_SUN_SINE, np.minimum(beam, outside_w_m2), np.where(np.isnan(beam), np.nan, 0.0))
