"""The test bench of calibration: runs the twin over all known stretches of a record, open loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from twin.building.model import BuildingModel, Sun, sun_on
from twin.building.parameters import Parameters
from twin.building.program import Program, Recorded, compile_program
from twin.drivers import Drivers, Weather
from twin.errors import BadInputError
from twin.site import Site
from twin.telemetry import CalibrationData
from twin.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

Array = NDArray[np.float64]
SETTLE_DAYS = 5
SHORTEST_DAYS = 3
UNSETTLED_DAYS = 1
LONGEST_HOLE_H = 12


@dataclass(frozen=True, slots=True)
class Stretch:
    """A contiguous part of the record, ready to run."""

    rows: slice
    drivers: Drivers
    program: Program
    sun: Sun
    given: tuple[Array, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Series of the twin over all stretches, one after the other; N steps."""

    zone_c: Array
    zone_flow: Array
    flow: Array
    outdoor_share: Array
    supply_c: Array
    co2_ppm: Array
    power_w: Array
    """Shape (N, 4): fan, cooling, electric heating, gas."""


class Bench:
    """Runs the twin over the known stretches of a record with the commands that were given."""

    def __init__(self, site: Site, data: CalibrationData) -> None:
        self.site, self.data = site, data
        self.runs = 0
        self.stretches = [self._stretch(rows) for rows in known_stretches(data)]
        if not self.stretches:
            message = f"calibration needs {SHORTEST_DAYS} days in a row with weather; ingest more telemetry"
            raise BadInputError(message)
        self.rows = np.concatenate([np.arange(s.rows.start, s.rows.stop) for s in self.stretches])
        """Position of each simulated step in the record, shape (N,)."""
        first = round(UNSETTLED_DAYS * SECONDS_PER_DAY / data.drivers.step_s)
        self.settled = np.concatenate([np.arange(s.drivers.steps) >= first for s in self.stretches])
        """Whether the unknown state before a stretch has faded, shape (N,)."""

    @property
    def has_supply(self) -> bool:
        """Whether supply air of most zones is measured, so that their heat can be given to the fit."""
        known = ~np.isnan(self.data.zone_supply_flow_kg_s + self.data.zone_supply_temperature_c)
        return bool((known[self.rows].mean(axis=0) > 0.5).mean() > 0.5)

    def run(self, parameters: Parameters, *, supply_given: bool = False) -> Simulated:
        """All stretches one after the other; with measured supply air as input if asked for."""
        self.runs += 1
        parts = [self._run(stretch, parameters, supply_given) for stretch in self.stretches]

        def joined(name: str) -> Array:
            return np.concatenate([getattr(part.series, name) for part in parts])

        return Simulated(
            zone_c=joined("zone_c"),
            zone_flow=joined("zone_flow"),
            flow=joined("flow"),
            outdoor_share=joined("outdoor_share"),
            supply_c=joined("supply_c"),
            co2_ppm=joined("co2_ppm"),
            power_w=np.concatenate([part.series.power_w.T for part in parts]),
        )

    def _run(self, stretch: Stretch, parameters: Parameters, supply_given: bool) -> BuildingModel:
        model = BuildingModel(
            self.site,
            parameters,
            stretch.drivers,
            stretch.program,
            sun=stretch.sun,
            given=stretch.given if supply_given else None,
            zone_flows=True,
        )
        if stretch.drivers.host_power_w is not None:
            model.other_w[:] += np.nan_to_num(stretch.drivers.host_power_w)
        model.settle(int(SETTLE_DAYS * SECONDS_PER_DAY / stretch.drivers.step_s))
        model.advance(stretch.drivers.steps)
        return model

    def _stretch(self, rows: slice) -> Stretch:
        drivers = sliced(self.data.drivers, rows)
        recorded = Recorded(
            **{
                name: None if (values := getattr(self.data.recorded, name)) is None else values[rows]
                for name in Recorded.__slots__
            }
        )
        program = compile_program(self.site, self.site.operation, drivers.start, drivers.steps, drivers.step_s)
        given = (self.data.zone_supply_flow_kg_s[rows], self.data.zone_supply_temperature_c[rows])
        return Stretch(
            rows=rows,
            drivers=drivers,
            program=program.replaying(recorded),
            sun=sun_on(self.site, drivers),
            given=given,
        )


def sliced(drivers: Drivers, rows: slice) -> Drivers:
    """The part of the drivers in some rows."""
    start = drivers.start + timedelta(seconds=rows.start * drivers.step_s)
    weather = Weather(**{name: getattr(drivers.weather, name)[rows] for name in Weather.__slots__})
    tables = ("people", "lights_w", "plugs_w", "other_gain_w", "electricity_price_kwh", "carbon_kg_kwh")
    part = {name: getattr(drivers, name)[rows] for name in tables}
    return replace(
        drivers,
        start=start,
        weather=weather,
        vm_utilization=None,
        host_power_w=_rows_of(drivers.host_power_w, rows),
        radiator_valve=_rows_of(drivers.radiator_valve, rows),
        blind_open=_rows_of(drivers.blind_open, rows),
        **part,
    )


def _rows_of(values: Array | None, rows: slice) -> Array | None:
    return None if values is None else values[rows]


def known_stretches(data: CalibrationData) -> Sequence[slice]:
    """Parts of the record with weather, of whole hours, at least two days long; holes of half a day are bridged."""
    step_s = data.drivers.step_s
    known = data.weather_known.copy()
    per_hour = max(1, round(SECONDS_PER_HOUR / step_s))
    longest = LONGEST_HOLE_H * per_hour
    edges = np.flatnonzero(np.diff(np.concatenate([[0], known.astype(np.int8), [0]])))
    spans = list(zip(edges[::2], edges[1::2], strict=True))
    merged: list[tuple[int, int]] = []
    for start, stop in spans:
        if merged and start - merged[-1][1] <= longest:
            merged[-1] = (merged[-1][0], int(stop))
        else:
            merged.append((int(start), int(stop)))
    shortest = SHORTEST_DAYS * 24 * per_hour
    whole = [(start, start + (stop - start) // per_hour * per_hour) for start, stop in merged]
    return [slice(start, stop) for start, stop in whole if stop - start >= shortest]
