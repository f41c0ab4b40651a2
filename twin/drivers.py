"""What the twin does not decide: weather, people, lights, plugs, VM demand, prices; arrays on one time grid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from twin.health.finding import Finding

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Weather on the run's grid, each of shape (steps,)."""

    outdoor_c: Array
    outdoor_rh: Array
    """Relative humidity, fraction."""
    wind_m_s: Array
    direct_normal_w_m2: Array
    diffuse_horizontal_w_m2: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Drivers:
    """Everything from outside that a run meets; left-labelled steps of ``step_s`` from ``start`` (UTC)."""

    start: datetime
    step_s: float
    weather: Weather
    people: Array
    """People in each zone, shape (steps, zones)."""
    lights_w: Array
    """Electric power of lights, shape (steps, zones). [W]"""
    plugs_w: Array
    """Electric power of plugs without hosts, shape (steps, zones). [W]"""
    other_gain_w: Array
    """Other heat released in the zone (processes, recorded IT), shape (steps, zones). [W]"""
    electricity_price_kwh: Array
    """Shape (steps,). [currency/kWh]"""
    carbon_kg_kwh: Array
    """Shape (steps,). [kg/kWh]"""
    vm_utilization: Array | None = None
    """CPU demand of each VM as a share of its own capacity, shape (compute steps, VMs)."""
    vm_step_s: float = 300.0
    host_power_w: Array | None = None
    """Recorded power of the hosts that stand in each zone, shape (steps, zones): the IT heat where no hosts are
    simulated. [W]"""
    radiator_valve: Array | None = None
    """Recorded opening of radiator valves, shape (steps, zones), None where no zone has one. [fraction]"""
    blind_open: Array | None = None
    """Recorded position of blinds, 1 = up, shape (steps, zones), None where no zone has one. [fraction]"""
    seed: int = 0
    findings: tuple[Finding, ...] = ()
    """What must be known of a forecast of them, such as intervals that held too seldom."""

    @property
    def steps(self) -> int:
        """Number of steps."""
        return int(self.weather.outdoor_c.shape[0])

    @property
    def end(self) -> datetime:
        """The moment after the last step."""
        return self.start + timedelta(seconds=self.steps * self.step_s)
