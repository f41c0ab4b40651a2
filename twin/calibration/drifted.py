"""A twin that the building has left: which series, since when, by how much, and whether plans still may rest on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from twin.calibration.metrics import HOURLY_NMBE
from twin.health.finding import Finding, FindingKind

MOST_SHIFT_K = 0.5
"""Lasting shift of a room's temperature from which on no plan rests on the twin: half the error it is accepted with."""
MOST_SHIFT_SHARE = HOURLY_NMBE
"""Lasting shift of a meter over its mean while it runs, likewise: the bias up to which a twin is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A lasting change of the errors of one series."""

    series: str
    """Id of a zone, or kind of a meter."""
    unit: str
    """``K`` or ``W``."""
    since: datetime
    until: datetime
    size: float
    """Mean shift of measured less simulated against the errors at calibration, in the unit."""
    sigma: float
    """That shift over the standard deviation of the errors at calibration."""
    level: float
    """Mean of a meter while it runs; 1 K of a temperature."""

    @property
    def blocks(self) -> bool:
        """Whether the shift is so large that a twin with it would not have been accepted."""
        return abs(self.size) >= (MOST_SHIFT_K if self.unit == "K" else MOST_SHIFT_SHARE * self.level)

    def sentence(self) -> str:
        """For people: thing, since when, size, limit, remedy."""
        if self.unit == "K":
            size, limit = f"{self.size:+.2f} K", f"{MOST_SHIFT_K:g} K"
        else:
            size = f"{self.size / 1000.0:+.2f} kW ({self.size / self.level:+.0%} of its mean)"
            limit = f"{MOST_SHIFT_SHARE:.0%}"
        so = f"plans are blocked from {limit} on" if self.blocks else f"below the {limit} that would block plans"
        return (
            f"{self.series}: the building has left the twin since {self.since:%Y-%m-%d %H:%M} UTC by {size}, "
            f"{abs(self.sigma):.1f} standard deviations of its errors at calibration; {so}. "
            "Undo what changed, or calibrate again on telemetry from after the change"
        )

    def finding(self) -> Finding:
        """The record that every screen shows."""
        return Finding(
            kind=FindingKind.DRIFT,
            sentence=self.sentence(),
            point=self.series,
            start=self.since,
            end=self.until,
            numbers={"size": self.size, "sigma": self.sigma, "level": self.level, "blocks_plans": float(self.blocks)},
        )
