"""Where the sun stands and what it gives to each side of a building."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from twin.drivers import Drivers, Weather
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

    def turning(degrees: float, degrees_1_day: float) -> tuple[Array, Array]:
        return _turning(np.deg2rad(degrees + degrees_1_day * days), np.deg2rad(degrees_1_day * ahead), steps)

    sine, cosine = turning(357.528, 0.9856003)
    centre = np.deg2rad(1.915 * sine + 0.040 * sine * cosine)
    mean_sine, mean_cosine = turning(280.460, 0.9856474)
    square = centre * centre
    centre_sine = centre * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0)))
    centre_cosine = 1.0 - square / 2.0 * (1.0 - square / 12.0 * (1.0 - square / 30.0 * (1.0 - square / 56.0)))
    longitude_sine = mean_sine * centre_cosine + mean_cosine * centre_sine
    equinox = mean_cosine * centre_cosine - mean_sine * centre_sine
    obliquity_sine, obliquity_cosine = turning(23.439, -4e-7)
    sidereal = 15.0 * (6.697375 + 12.0) + location.longitude_deg
    turned_sine, turned_cosine = turning(sidereal, 15.0 * (0.0657098242 + 24.0))
    # towards the vernal equinox, in the plane of the equator across it, and along the pole
    across, pole = obliquity_cosine * longitude_sine, obliquity_sine * longitude_sine
    meridian = turned_cosine * equinox + turned_sine * across
    east = turned_cosine * across - turned_sine * equinox
    latitude = np.deg2rad(location.latitude_deg)
    up = np.sin(latitude) * pole + np.cos(latitude) * meridian
    return up, east, np.cos(latitude) * pole - np.sin(latitude) * meridian


def _turning(first: float, step: float, steps: int) -> tuple[Array, Array]:
    """Sine and cosine of an angle that turns evenly, shape (steps,): by the sum of a coarse and a fine angle. [rad]"""
    fine = max(math.isqrt(steps), 1)
    large = first + np.arange(-(-steps // fine)) * (fine * step)
    small = np.arange(fine) * step
    large_sine, large_cosine = np.sin(large)[:, None], np.cos(large)[:, None]
    sine = large_sine * np.cos(small) + large_cosine * np.sin(small)
    cosine = large_cosine * np.cos(small) - large_sine * np.sin(small)
    return sine.ravel()[:steps], cosine.ravel()[:steps]


def sun_position(location: Location, start: datetime, steps: int, step_s: float) -> tuple[Array, Array]:
    """Altitude above the horizon and azimuth from north over east, at the middle of each step. [rad]"""
    up, east, north = sun_direction(location, start, steps, step_s)
    return np.arcsin(np.clip(up, -1.0, 1.0)), np.arctan2(east, north) % (2 * np.pi)


def transmittance_at(cosine: Array) -> Array:
    """Solar gain of glass at an angle of incidence, relative to normal incidence.

    Source: 1 − tan⁴(θ/2), the form of the ASHRAE handbook's table for clear and low-e double glazing within 0.05.
    """
    inside = np.clip(cosine, 0.0, 1.0)
    half = (1.0 - inside) / (1.0 + inside)
    return np.asarray(np.where(cosine > 0.0, 1.0 - half * half, 0.0))


def irradiance(location: Location, drivers: Drivers) -> tuple[Array, Array]:
    """Irradiance on walls and what of it glass lets in, by facing and on the horizontal. [W/m²]

    Diffuse light after Hay and Davies (circumsolar part goes with the beam), ground reflection with albedo 0.2.

    Returns:
        On opaque surfaces and behind glass (relative to its gain at normal incidence), each of shape (steps, 5): N, E,
        S, W, horizontal.
    """
    sine, east, north = sun_direction(location, drivers.start, drivers.steps, drivers.step_s)
    up = sine > LOWEST_SINE
    height = np.where(up, sine, 0.0)
    beam = np.where(up, drivers.weather.direct_normal_w_m2, 0.0)
    sky = drivers.weather.diffuse_horizontal_w_m2
    circumsolar = np.clip(beam / SOLAR_CONSTANT_W_M2, 0.0, 1.0) * sky / np.where(up, sine, 1.0)
    direct = beam + np.where(up, np.minimum(circumsolar, sky * 4.0), 0.0)
    isotropic = np.maximum(sky - (direct - beam) * height, 0.0)
    ground = GROUND_ALBEDO * (beam * np.maximum(sine, 0.0) + sky)
    diffuse = 0.5 * isotropic + 0.5 * ground
    opaque, behind = np.empty((drivers.steps, 5)), np.empty((drivers.steps, 5))
    towards = {Facing.NORTH: north, Facing.EAST: east, Facing.SOUTH: -north, Facing.WEST: -east}
    for side, facing in enumerate(FACINGS):
        cosine = np.where(up, np.maximum(towards[facing], 0.0), 0.0)
        onto = direct * cosine
        opaque[:, side] = onto + diffuse
        behind[:, side] = onto * transmittance_at(cosine) + 0.9 * diffuse
    opaque[:, 4] = direct * height + isotropic
    behind[:, 4] = 0.9 * opaque[:, 4]
    return opaque, behind


def global_horizontal(weather: Weather, altitude: Array) -> Array:
    """Irradiance on the horizontal from beam and sky. [W/m²]"""
    return weather.direct_normal_w_m2 * np.maximum(np.sin(altitude), 0.0) + weather.diffuse_horizontal_w_m2
