"""The policies that a search may try on a site: steps of each key around how the site operates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from twin.policy import (
    DAY_KEYS,
    EmptyZoneSetback,
    OperatingHours,
    OutdoorAir,
    Policy,
    Setpoint,
    SupplyAirReset,
)
from twin.site import Site
from twin.vocab import SystemType

Choice = float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One thing that may change, with its steps; the first is how the site operates."""

    name: str
    steps: tuple[Choice, ...]
    family: Literal["building", "compute"] = "building"


_SETPOINTS = (
    Dimension(name="cooling_rise_k", steps=(0.0, 0.5, 1.0, 1.5)),
    Dimension(name="heating_drop_k", steps=(0.0, 0.5, 1.0)),
    Dimension(name="night_drop_k", steps=(0.0, 1.0, 2.0)),
    Dimension(name="later_start_h", steps=(0.0, 0.5, 1.0)),
    Dimension(name="earlier_stop_h", steps=(0.0, 1.0, 2.0, 3.0)),
    Dimension(name="empty_zone_k", steps=(0.0, 1.0, 2.0)),
)
_AIR_HANDLERS = (
    Dimension(name="supply_air_max_c", steps=(None, 15.0, 16.0, 17.0, 18.0)),
    Dimension(name="fresh_air_min_fraction", steps=(None, 0.3, 0.5)),
)
_COMPUTE = (Dimension(name="packing_headroom", steps=(None, 0.4, 0.3, 0.2), family="compute"),)
LATE_VISITORS = 3
"""People inside that call the air handlers back where hours were cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySpace:
    """Every policy that can be built from the site's operation and one step of each dimension."""

    site: Site

    def dimensions(self) -> tuple[Dimension, ...]:
        """What may change on this site: air-handler keys only where there are such units, compute only with hosts."""
        mixed = any(unit.system is SystemType.VAV_REHEAT for unit in self.site.air_handlers)
        return _SETPOINTS + (_AIR_HANDLERS if mixed else ()) + (_COMPUTE if self.site.hosts else ())

    def build(self, picked: Mapping[str, Choice]) -> Policy:
        """The policy of one step per dimension; absent dimensions stay as the site operates."""
        operation = self.site.operation

        def number(name: str) -> float:
            value = picked.get(name, 0.0)
            return value if isinstance(value, float) else 0.0

        headroom = picked.get("packing_headroom")
        packs = isinstance(headroom, float)
        return Policy(
            cooling_setpoint_c=_cooling(operation.cooling_setpoint_c, number("cooling_rise_k")),
            heating_setpoint_c=_heating(operation.heating_setpoint_c, number("heating_drop_k"), number("night_drop_k")),
            operating_hours=_hours(operation.operating_hours, number("later_start_h"), number("earlier_stop_h")),
            empty_zone_setback=_setback(number("empty_zone_k")),
            supply_air_temperature_c=_reset(operation.supply_air_temperature_c, picked.get("supply_air_max_c")),
            outdoor_air=_outdoor_air(operation.outdoor_air, picked.get("fresh_air_min_fraction")),
            power_down_idle_hosts=True if packs else None,
            headroom=headroom if isinstance(headroom, float) else None,
        )


def _cooling(now: Setpoint | None, rise_k: float) -> Setpoint | None:
    if now is None or not rise_k:
        return None
    occupied = now.occupied + rise_k
    return Setpoint(occupied=occupied, unoccupied=max(now.unoccupied, occupied))


def _heating(now: Setpoint | None, drop_k: float, night_drop_k: float) -> Setpoint | None:
    if now is None or not (drop_k or night_drop_k):
        return None
    occupied = now.occupied - drop_k
    return Setpoint(occupied=occupied, unoccupied=min(now.unoccupied - night_drop_k, occupied))


def _hours(now: OperatingHours | None, later_h: float, earlier_h: float) -> OperatingHours | None:
    if now is None or not (later_h or earlier_h):
        return None
    windows: dict[str, tuple[float, float] | None] = {}
    for day in DAY_KEYS:
        window = now.windows.get(day)
        windows[day] = (
            None if window is None else (window[0] + later_h, max(window[1] - earlier_h, window[0] + later_h))
        )
    return replace(now, windows=windows, called_by_occupancy=now.called_by_occupancy or LATE_VISITORS)


def _setback(delta_k: float) -> EmptyZoneSetback | None:
    return EmptyZoneSetback(delta_k=delta_k, after_min=30.0) if delta_k else None


def _reset(now: SupplyAirReset | None, max_c: Choice) -> SupplyAirReset | None:
    if now is None or not isinstance(max_c, float) or max_c <= now.min_c:
        return None
    return replace(now, max_c=max_c)


def _outdoor_air(now: OutdoorAir | None, share: Choice) -> OutdoorAir | None:
    if not isinstance(share, float):
        return None
    return replace(now or OutdoorAir(), demand_controlled_min_fraction=share)
