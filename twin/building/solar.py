"""Where the sun stands and what it gives to each side of a building."""

from __future__ import annotations

import math
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.building.compiled import exact
from twin.drivers import Drivers
from twin.site import Location
from twin.vocab import Facing

Array = NDArray[np.float64]

FACINGS: tuple[Facing, ...] = (Facing.NORTH, Facing.EAST, Facing.SOUTH, Facing.WEST)
GROUND_ALBEDO = 0.2
SOLAR_CONSTANT_W_M2 = 1361.0
LOWEST_SINE = 0.02
"""Beam below about one degree of altitude is left out."""


def sun_direction(location: Location, start: datetime, steps: int, step_s: float) -> tuple[Array, Array, Array]:
    """Parts up, east and north of a vector of length 1 towards the sun, at the middle of each step.

    Low-precision formulas, good to about 0.01° between 1950 and 2050; on vectors, so that no angle is taken back.
    Source: Michalsky, Solar Energy 40 (1988) 227; Astronomical Almanac, "Low precision formulas for the sun".
    """
    days = (start.timestamp() + 0.5 * step_s) / 86_400.0 + 2_440_587.5 - 2_451_545.0
    ahead = step_s / 86_400.0

    def turning(degrees: float, degrees_1_day: float) -> Turning:
        return _turning(np.deg2rad(degrees + degrees_1_day * days), np.deg2rad(degrees_1_day * ahead), steps)

    sidereal = 15.0 * (6.697375 + 12.0) + location.longitude_deg
    anomaly, mean_longitude = turning(357.528, 0.9856003), turning(280.460, 0.9856474)
    obliquity, turned = turning(23.439, -4e-7), turning(sidereal, 15.0 * (0.0657098242 + 24.0))
    latitude = np.deg2rad(location.latitude_deg)
    up, east, north = np.empty((3, steps))
    _towards_sun(anomaly, mean_longitude, obliquity, turned, (np.sin(latitude), np.cos(latitude)), up, east, north)
    return up, east, north


class Turning(NamedTuple):
    """An angle that turns evenly with the steps: the sum of a coarse and a fine one, step ``a`` · F + ``b``."""

    large_sine: Array
    large_cosine: Array
    small_sine: Array
    """Shape (F,)."""
    small_cosine: Array


def _turning(first: float, step: float, steps: int) -> Turning:
    """An angle that is ``first`` at step 0 and grows by ``step``. [rad]"""
    fine = max(math.isqrt(steps), 1)
    large = first + np.arange(-(-steps // fine)) * (fine * step)
    small = np.arange(fine) * step
    return Turning(np.sin(large), np.cos(large), np.sin(small), np.cos(small))


@exact
def _sine_cosine(angle: Turning, a: int, b: int) -> tuple[float, float]:  # pragma: no cover
    large_sine, large_cosine = angle.large_sine[a], angle.large_cosine[a]
    small_sine, small_cosine = angle.small_sine[b], angle.small_cosine[b]
    sine = large_sine * small_cosine + large_cosine * small_sine
    return sine, large_cosine * small_cosine - large_sine * small_sine


@exact
def _towards_sun(
    anomaly: Turning,
    mean_longitude: Turning,
    obliquity: Turning,
    turned: Turning,
    latitude: tuple[float, float],
    up: Array,
    east: Array,
    north: Array,
) -> None:  # pragma: no cover
    """Fill ``up``, ``east`` and ``north``, shape (steps,) each; ``latitude`` as sine and cosine."""
    fine = len(anomaly.small_sine)
    for a in range(len(anomaly.large_sine)):
        begin = a * fine
        for b in range(min(fine, len(up) - begin)):
            sine, cosine = _sine_cosine(anomaly, a, b)
            centre = (1.915 * sine + 0.040 * sine * cosine) * (math.pi / 180.0)
            square = centre * centre
            centre_sine = centre * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0)))
            centre_cosine = 1.0 - square / 2.0 * (1.0 - square / 12.0 * (1.0 - square / 30.0 * (1.0 - square / 56.0)))
            mean_sine, mean_cosine = _sine_cosine(mean_longitude, a, b)
            longitude_sine = mean_sine * centre_cosine + mean_cosine * centre_sine
            equinox = mean_cosine * centre_cosine - mean_sine * centre_sine
            obliquity_sine, obliquity_cosine = _sine_cosine(obliquity, a, b)
            turned_sine, turned_cosine = _sine_cosine(turned, a, b)
            # towards the vernal equinox, in the plane of the equator across it, and along the pole
            across, pole = obliquity_cosine * longitude_sine, obliquity_sine * longitude_sine
            meridian = turned_cosine * equinox + turned_sine * across
            up[begin + b] = latitude[0] * pole + latitude[1] * meridian
            east[begin + b] = turned_cosine * across - turned_sine * equinox
            north[begin + b] = latitude[1] * pole - latitude[0] * meridian


def sun_position(location: Location, start: datetime, steps: int, step_s: float) -> tuple[Array, Array]:
    """Altitude above the horizon and azimuth from north over east, at the middle of each step. [rad]"""
    up, east, north = sun_direction(location, start, steps, step_s)
    return np.arcsin(np.clip(up, -1.0, 1.0)), np.arctan2(east, north) % (2 * np.pi)


@exact
def transmittance_at(cosine: float) -> float:  # pragma: no cover
    """Solar gain of glass at an angle of incidence, relative to normal incidence.

    Source: 1 − tan⁴(θ/2), the form of the ASHRAE handbook's table for clear and low-e double glazing within 0.05.
    """
    inside = min(cosine, 1.0)
    half = (1.0 - inside) / (1.0 + inside)
    return 1.0 - half * half if cosine > 0.0 else 0.0


@exact
def _fall_on(
    direction: tuple[float, float, float], weather: tuple[float, float], opaque: Array, behind: Array
) -> None:  # pragma: no cover
    """Irradiance of a step by facing, shape (5,) each, from a direction towards the sun and light of beam and sky."""
    sine, east, north = direction
    beam, sky = weather
    up = sine > LOWEST_SINE
    beam = beam if up else 0.0
    around = 0.0
    if up:
        around = min(min(max(beam / SOLAR_CONSTANT_W_M2, 0.0), 1.0) * sky / sine, sky * 4.0)
    direct = beam + around
    height = sine if up else 0.0
    isotropic = max(sky - (direct - beam) * height, 0.0)
    ground = GROUND_ALBEDO * (beam * max(sine, 0.0) + sky)
    diffuse = 0.5 * isotropic + 0.5 * ground
    for side, towards in enumerate((north, east, -north, -east)):
        cosine = max(towards, 0.0) if up else 0.0
        onto = direct * cosine
        opaque[side] = onto + diffuse
        behind[side] = onto * transmittance_at(cosine) + 0.9 * diffuse
    opaque[4] = direct * height + isotropic
    behind[4] = 0.9 * opaque[4]


@exact
def _shine(
    direction: tuple[Array, Array, Array], weather: tuple[Array, Array], opaque: Array, behind: Array
) -> None:  # pragma: no cover
    for i in range(len(opaque)):
        towards = direction[0][i], direction[1][i], direction[2][i]
        _fall_on(towards, (weather[0][i], weather[1][i]), opaque[i], behind[i])


def irradiance(location: Location, drivers: Drivers) -> tuple[Array, Array]:
    """Irradiance on walls and what of it glass lets in, by facing and on the horizontal. [W/m²]

    Diffuse light after Hay and Davies (circumsolar part goes with the beam), ground reflection with albedo 0.2.

    Returns:
        On opaque surfaces and behind glass (relative to its gain at normal incidence), each of shape (steps, 5): N, E,
        S, W, horizontal.
    """
    direction = sun_direction(location, drivers.start, drivers.steps, drivers.step_s)
    opaque, behind = np.empty((2, drivers.steps, 5))
    beam, sky = drivers.weather.direct_normal_w_m2, drivers.weather.diffuse_horizontal_w_m2
    light = np.ascontiguousarray(beam, dtype=np.float64), np.ascontiguousarray(sky, dtype=np.float64)
    _shine(direction, light, opaque, behind)
    return opaque, behind
