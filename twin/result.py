"""What a run of the twin gives back: series on the run's grid, nothing derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from twin.vocab import EndUse

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """A live migration that the twin carried out."""

    at_s: float
    vm: str
    source: str
    target: str
    duration_s: float
    downtime_s: float
    completed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildingResult:
    """Series of zones and meters; steps are left-labelled, values are means over the step."""

    zone_temperature_c: Array
    """Shape (steps, zones)."""
    heating_setpoint_c: Array
    """Shape (steps, zones)."""
    cooling_setpoint_c: Array
    """Shape (steps, zones)."""
    zone_co2_ppm: Array
    """Shape (steps, zones)."""
    fan_on: Array
    """Share of the step that each unit ran, shape (steps, units)."""
    supply_temperature_c: Array
    """Supply air leaving each unit, shape (steps, units)."""
    supply_flow_kg_s: Array
    """Shape (steps, units)."""
    outdoor_air_fraction: Array
    """Shape (steps, units)."""
    power_w: Mapping[EndUse, Array]
    """Mean power of each end use of the building (without IT), shape (steps,). Gas is heat of combustion. [W]"""
    balance_residual_w: float
    """Largest error of the heat balance over all zones and steps. [W]"""
    comfort: tuple[float, float] | None = None
    """Kelvin outside the site's comfort band and steps above its CO₂ limit, summed over zones and steps with people,
    where the series of zones and units are not kept and have no rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeResult:
    """Series of hosts and VMs on the compute grid, and the measures of the consolidation literature."""

    step_s: float
    host_power_w: Array
    """Shape (compute steps, hosts). [W]"""
    host_on: Array
    """1 where a host is on, shape (compute steps, hosts)."""
    host_utilization: Array
    """Shape (compute steps, hosts)."""
    placement: NDArray[np.int64]
    """Host index of each VM at the end of each step, -1 where none, shape (compute steps, VMs)."""
    migrations: tuple[Migration, ...]
    slatah: float
    """Share of active host time with less CPU given than asked for."""
    pdm: float
    """CPU not given because of migrations, as a share of all CPU asked for."""
    latency_p95_ms: float
    latency_ms: Array
    """Demand-weighted response time of the VMs, shape (compute steps,). [ms]"""

    @property
    def slav(self) -> float:
        """SLATAH × PDM."""
        return self.slatah * self.pdm


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A whole run of site, parameters, drivers, policy and seed."""

    start: datetime
    step_s: float
    people: Array
    """Shape (steps, zones)."""
    building: BuildingResult
    compute: ComputeResult | None
    it_power_w: Array
    """Electric power of all hosts, shape (steps,). [W]"""
    electricity_price_kwh: Array
    carbon_kg_kwh: Array
    meetings_served: int = 0
    findings: tuple[str, ...] = field(default=())
