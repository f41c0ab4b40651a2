"""Where the sun stands and what it gives to each side of a building."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from twin.drivers import Drivers, Weather
from twin.site import Location
from twin.vocab import Facing

Array = NDArray[np.float64]

FACINGS: tuple[Facing, ...] = (Facing.NORTH, Facing.EAST, Facing.SOUTH, Facing.WEST)
AZIMUTH_DEG = {Facing.NORTH: 0.0, Facing.EAST: 90.0, Facing.SOUTH: 180.0, Facing.WEST: 270.0}
GROUND_ALBEDO = 0.2
SOLAR_CONSTANT_W_M2 = 1361.0
LOWEST_SINE = 0.02
"""Beam below about one degree of altitude is left out."""


def sun_position(location: Location, start: datetime, steps: int, step_s: float) -> tuple[Array, Array]:
    """Altitude above the horizon and azimuth from north over east, at the middle of each step. [rad]

    Low-precision formulas, good to about 0.01° between 1950 and 2050.
    Source: Michalsky, Solar Energy 40 (1988) 227; Astronomical Almanac, "Low precision formulas for the sun".
    """
    seconds = start.timestamp() + (np.arange(steps) + 0.5) * step_s
    days = seconds / 86_400.0 + 2_440_587.5 - 2_451_545.0
    mean_longitude = np.deg2rad(280.460 + 0.9856474 * days)
    anomaly = np.deg2rad(357.528 + 0.9856003 * days)
    longitude = mean_longitude + np.deg2rad(1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.deg2rad(23.439 - 4e-7 * days)
    ascension = np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude))
    declination = np.arcsin(np.sin(obliquity) * np.sin(longitude))
    sidereal = np.deg2rad(15.0 * (6.697375 + 0.0657098242 * days + (days - np.floor(days) + 0.5) % 1.0 * 24.0))
    hour_angle = sidereal + np.deg2rad(location.longitude_deg) - ascension
    latitude = np.deg2rad(location.latitude_deg)
    sine = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
    altitude = np.arcsin(np.clip(sine, -1.0, 1.0))
    east = -np.cos(declination) * np.sin(hour_angle)
    north = np.cos(latitude) * np.sin(declination) - np.sin(latitude) * np.cos(declination) * np.cos(hour_angle)
    return altitude, np.arctan2(east, north) % (2 * np.pi)


def transmittance_at(cosine: Array) -> Array:
    """Solar gain of glass at an angle of incidence, relative to normal incidence.

    Source: 1 − tan⁴(θ/2), the form of the ASHRAE handbook's table for clear and low-e double glazing within 0.05.
    """
    half = np.tan(np.arccos(np.clip(cosine, 0.0, 1.0)) / 2.0)
    return np.asarray(np.where(cosine > 0.0, 1.0 - half**4, 0.0))


def irradiance(location: Location, drivers: Drivers) -> tuple[Array, Array]:
    """Irradiance on walls and what of it glass lets in, by facing and on the horizontal. [W/m²]

    Diffuse light after Hay and Davies (circumsolar part goes with the beam), ground reflection with albedo 0.2.

    Returns:
        On opaque surfaces and behind glass (relative to its gain at normal incidence), each of shape (steps, 5): N, E,
        S, W, horizontal.
    """
    altitude, azimuth = sun_position(location, drivers.start, drivers.steps, drivers.step_s)
    sine = np.sin(altitude)
    up = sine > LOWEST_SINE
    beam = np.where(up, drivers.weather.direct_normal_w_m2, 0.0)
    sky = drivers.weather.diffuse_horizontal_w_m2
    circumsolar = np.clip(beam / SOLAR_CONSTANT_W_M2, 0.0, 1.0) * sky / np.where(up, sine, 1.0)
    direct = beam + np.where(up, np.minimum(circumsolar, sky * 4.0), 0.0)
    isotropic = np.maximum(sky - (direct - beam) * np.where(up, sine, 0.0), 0.0)
    ground = GROUND_ALBEDO * (beam * np.maximum(sine, 0.0) + sky)
    opaque, behind = [], []
    for facing in FACINGS:
        cosine = np.cos(altitude) * np.cos(azimuth - np.deg2rad(AZIMUTH_DEG[facing]))
        cosine = np.where(up, np.maximum(cosine, 0.0), 0.0)
        diffuse = 0.5 * isotropic + 0.5 * ground
        opaque.append(direct * cosine + diffuse)
        behind.append(direct * cosine * transmittance_at(cosine) + 0.9 * diffuse)
    flat = direct * np.where(up, sine, 0.0) + isotropic
    return np.stack([*opaque, flat], axis=1), np.stack([*behind, 0.9 * flat], axis=1)


def global_horizontal(weather: Weather, altitude: Array) -> Array:
    """Irradiance on the horizontal from beam and sky. [W/m²]"""
    return weather.direct_normal_w_m2 * np.maximum(np.sin(altitude), 0.0) + weather.diffuse_horizontal_w_m2
