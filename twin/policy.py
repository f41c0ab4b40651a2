"""Policies as plain data: what a scenario or a site file says under ``policy`` and ``operation``.

Every key may be absent (None): the key of the site's ``operation`` then holds, and below it the default of the
controller. ``merge`` is the one place where that is decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal

DAY_KEYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holidays")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setpoint:
    """A thermostat setting while the unit runs and while it does not. [°C]"""

    occupied: float
    unoccupied: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingHours:
    """When the air handlers run, in site time."""

    windows: Mapping[str, tuple[float, float] | None] = field(default_factory=dict)
    """Day key (``mon`` … ``sun``, ``holidays``) → (start, stop) in hours of the local day, None for off."""
    called_by_occupancy: int | None = None
    """They also run whenever this many people or more were counted inside at the last reading; 0: never."""

    def merge(self, over: OperatingHours) -> OperatingHours:
        """These hours with the days and the call that ``over`` names taken from it."""
        called = self.called_by_occupancy if over.called_by_occupancy is None else over.called_by_occupancy
        return OperatingHours(windows={**self.windows, **over.windows}, called_by_occupancy=called)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimalStart:
    """Start as late as the zone that needs most allows."""

    latest_h: float
    warm_up_k_per_h: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyZoneSetback:
    """Wider band in a zone without people while the unit runs."""

    delta_k: float
    after_min: float = 30.0
    from_h: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyAirReset:
    """Trim and respond on the supply air temperature; ``min`` = ``max`` is a fixed temperature."""

    min_c: float
    max_c: float
    rise_k: float = 0.25
    fall_k: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class OutdoorAir:
    """Minimum outdoor air: delay after the start, share by people."""

    start_delay_h: float | None = None
    """None: as the site operates, and 0 where that says nothing."""
    demand_controlled_min_fraction: float | None = None
    """Least share of the design minimum under demand control, 1 for none; None: as the site operates, else 1."""

    def merge(self, over: OutdoorAir) -> OutdoorAir:
        """This with what ``over`` names taken from it."""
        named = {f.name: getattr(over, f.name) for f in fields(over) if getattr(over, f.name) is not None}
        return replace(self, **named)


@dataclass(frozen=True, slots=True, kw_only=True)
class NightCycle:
    """Start of a stopped unit by a zone that leaves its unoccupied band."""

    tolerance_k: float = 1.0
    run_min: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Precool:
    """Lower cooling setpoint in a window of the day. [h of the local day, °C]"""

    from_h: float
    to_h: float
    setpoint_c: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Consolidation:
    """Which detector, selection and placement move VMs together."""

    overload: Literal["static", "iqr", "mad", "lr", "lrr"] = "static"
    selection: Literal["mmt", "rs", "mu", "mc"] = "mmt"
    placement: Literal["pabfd", "optimal"] = "pabfd"
    threshold: float | None = None
    """Threshold (static) or safety parameter (iqr, mad, lr, lrr); None: 0.8, 1.5, 2.5, 1.2, 1.2."""
    interval_min: float = 5.0
    max_migrations_per_step: int | None = None
    dwell_min: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All policy keys of building and compute; None means: as the site operates."""

    heating_setpoint_c: Setpoint | None = None
    cooling_setpoint_c: Setpoint | None = None
    zone_heating_setpoint_c: Mapping[str, Setpoint] | None = None
    zone_cooling_setpoint_c: Mapping[str, Setpoint] | None = None
    operating_hours: OperatingHours | None = None
    optimal_start: OptimalStart | Literal["off"] | None = None
    empty_zone_setback: EmptyZoneSetback | Literal["off"] | None = None
    supply_air_temperature_c: SupplyAirReset | None = None
    outdoor_air: OutdoorAir | None = None
    economizer: Literal["differential_dry_bulb", "off"] | None = None
    night_cycle: NightCycle | Literal["off"] | None = None
    precool: Precool | Literal["off"] | None = None
    consolidation: Consolidation | Literal["off"] | None = None
    power_down_idle_hosts: bool | None = None
    headroom: float | None = None
    """Share of a host's CPU kept free when VMs are placed."""

    def merge(self, over: Policy) -> Policy:
        """This policy with every key that ``over`` names taken from it; hours by day, outdoor air by key."""
        named = {f.name: getattr(over, f.name) for f in fields(over) if getattr(over, f.name) is not None}
        if self.operating_hours is not None and over.operating_hours is not None:
            named["operating_hours"] = self.operating_hours.merge(over.operating_hours)
        if self.outdoor_air is not None and over.outdoor_air is not None:
            named["outdoor_air"] = self.outdoor_air.merge(over.outdoor_air)
        return replace(self, **named)
