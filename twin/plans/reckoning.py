"""Measured energy beside modelled energy, KPI by KPI and hour by hour: what measurement and verification compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.calibration.targets import COVERS, hourly
from twin.drivers import Drivers
from twin.site import Site
from twin.telemetry import CalibrationData
from twin.units import SECONDS_PER_HOUR, WATTS_PER_KILOWATT
from twin.vocab import EndUse, PointKind

Array = NDArray[np.float64]

_HVAC = (EndUse.FAN, EndUse.COOLING, EndUse.HEATING_ELECTRIC)
_METERED: Mapping[str, tuple[PointKind, ...]] = {
    "fan_kwh": (PointKind.FAN_POWER,),
    "cooling_kwh": (PointKind.COOLING_POWER,),
    "gas_kwh": (PointKind.HEATING_GAS_POWER, PointKind.GAS_POWER),
    "hvac_kwh": (PointKind.HVAC_ELECTRIC_POWER,),
    "electricity_kwh": (PointKind.ELECTRIC_POWER,),
}
"""KPI → the meters that show it, the closest first."""
_PARTS: Mapping[str, frozenset[EndUse]] = {
    "fan_kwh": frozenset({EndUse.FAN}),
    "cooling_kwh": frozenset({EndUse.COOLING}),
    "gas_kwh": frozenset({EndUse.HEATING_GAS}),
    "hvac_kwh": frozenset(_HVAC),
}
"""End uses that a meter must cover, no more, to show a KPI; a constant rest (``other``) does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A KPI as metered and as modelled, shape (hours,) each; NaN where not measured. [kWh]"""

    meter: str
    measured_kwh: Array
    modelled_kwh: Array

    @property
    def residuals_kwh(self) -> Array:
        """Measured less modelled where both are known. [kWh]"""
        difference = self.measured_kwh - self.modelled_kwh
        return np.asarray(difference[np.isfinite(difference)])

    def residuals_at(self, level_kwh: float) -> Array:
        """Residuals as they are to be expected where the twin says another mean; errors go with the level. [kWh]

        Source: ASHRAE Guideline 14-2014, annex B: the uncertainty of a saving is CV(RMSE) times the modelled energy of
        the reporting period, so that errors of a winter are not taken for those of a mild week.

        Args:
            level_kwh: mean modelled energy per hour there. [kWh]
        """
        known = np.isfinite(self.measured_kwh - self.modelled_kwh)
        own_kwh = float(self.modelled_kwh[known].mean()) if known.any() else 0.0
        return self.residuals_kwh * (level_kwh / own_kwh if own_kwh > 0.0 else 1.0)


def uses_w(drivers: Drivers, power_w: Mapping[EndUse, Array], it_power_w: Array) -> dict[EndUse, Array]:
    """Power of every end use of a run, shape (steps,) each. [W]"""
    return {
        **power_w,
        EndUse.LIGHTS: drivers.lights_w.sum(axis=1),
        EndUse.PLUGS: drivers.plugs_w.sum(axis=1),
        EndUse.IT: it_power_w,
    }


def compared(
    site: Site, data: CalibrationData, modelled_w: Mapping[EndUse, Array], hosts_w: Array | None = None
) -> dict[str, Compared]:
    """Every KPI that the meters of a period show, beside the twin's.

    What a meter holds beyond the twin's end uses is taken as constant; ``verify_saving`` takes it out as bias.

    Args:
        site: says what its meters cover.
        data: the period as measured.
        modelled_w: power by end use on the same steps, from ``uses_w``. [W]
        hosts_w: measured power of all hosts, NaN where unknown, shape (steps,); None where none is measured. [W]
    """
    stated = {meter.kind: tuple(meter.covers) for meter in site.meters}
    per_hour = max(1, round(SECONDS_PER_HOUR / data.drivers.step_s))
    found: dict[str, Compared] = {}
    for kpi, kinds in _METERED.items():
        for kind in kinds:
            covers = frozenset(stated.get(kind, COVERS.get(kind, ()))) - {EndUse.OTHER}
            if kpi in found or kind not in data.meters_w or not covers or covers != _PARTS.get(kpi, covers):
                continue
            modelled = np.sum([modelled_w[use] for use in sorted(covers) if use in modelled_w], axis=0)
            found[kpi] = _hours(kind.value, data.meters_w[kind], modelled, per_hour)
    if hosts_w is not None:
        found["it_kwh"] = _hours(PointKind.HOST_POWER.value, hosts_w, modelled_w[EndUse.IT], per_hour)
    return found


def _hours(meter: str, measured_w: Array, modelled_w: Array, per_hour: int) -> Compared:
    whole = len(measured_w) // per_hour * per_hour
    return Compared(
        meter=meter,
        measured_kwh=hourly(measured_w[:whole], per_hour) / WATTS_PER_KILOWATT,
        modelled_kwh=hourly(modelled_w[:whole], per_hour) / WATTS_PER_KILOWATT,
    )
