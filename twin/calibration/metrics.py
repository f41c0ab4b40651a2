"""How good the twin is on weeks it has not seen, and whether that is good enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.calibration.bench import Simulated
from twin.calibration.targets import COLUMN, Target, Targets, hourly
from twin.model import MeterFit, Residuals
from twin.site import ComfortBand
from twin.units import JOULES_PER_KWH, SECONDS_PER_HOUR
from twin.vocab import EndUse, PointKind

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

HOURLY_CVRMSE, HOURLY_NMBE = 0.30, 0.10
"""Source: ASHRAE Guideline 14-2014, hourly criteria for calibrated simulation."""
ZONE_RMSE_K = 1.0
MATTERS = 0.08
"""A meter below this share of all HVAC energy is reported, not judged."""
LEAST_ERROR = 0.07
"""No end use is foreseen better than this under a policy that never ran, however good the fit. Set on the fidelity
benchmark's development policies of both buildings: intervals cover 25 of 27 at 5 and 7 %, 24 at 3 %."""
LEAST_DISCOMFORT_ERROR = 0.10
"""Likewise of occupied discomfort: 26 of those 27 policies."""
UNSEEN_ERROR = 0.3
"""Error of what no meter showed."""
SHARED_METER = 3.0
"""Error of an end use over that of the meter it shares with others."""
MONTH_WEEKS = 4
HOST_ERROR = 0.03
"""Energy of hosts. Source: errors of days held out, 1.3 to 3.2 %, of ``benchmarks/host_power.py``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Errors on hold-out weeks."""

    zone_rmse_k: Array
    """Shape (zones,), NaN where a zone isn't measured."""
    zone_bias_k: Array
    meters: tuple[MeterFit, ...]
    structural: Mapping[str, float]


def cvrmse(measured: Array, simulated: Array) -> float:
    """Root mean square error over the mean measured value; NaN for no data.

    Source: ASHRAE Guideline 14 without the correction for fitted parameters, since these are unseen data.
    """
    good = ~np.isnan(measured + simulated)
    if not good.any() or measured[good].mean() == 0:
        return float("nan")
    return float(np.sqrt(((simulated - measured)[good] ** 2).mean()) / abs(measured[good].mean()))


def nmbe(measured: Array, simulated: Array) -> float:
    """Mean of measured minus simulated over the mean measured value: positive where the twin is too low."""
    good = ~np.isnan(measured + simulated)
    if not good.any() or measured[good].mean() == 0:
        return float("nan")
    return float((measured - simulated)[good].mean() / measured[good].mean())


def quality(goal: Targets, run: Simulated, judged: Flags) -> Quality:
    """Errors of a run on some hours.

    Args:
        goal: what was measured.
        run: open loop over the whole record.
        judged: hours that count, shape (hours,).
    """
    error = np.where(judged[:, None], hourly(run.zone_c, goal.per_hour) - goal.zone_c, np.nan)
    known = ~np.isnan(error)
    count = np.maximum(known.sum(axis=0), 1)
    seen = known.any(axis=0)
    total = sum(np.nansum(target.measured_w[judged]) for target in _separate(goal.meters))
    return Quality(
        zone_rmse_k=np.where(seen, np.sqrt(np.nansum(error**2, axis=0) / count), np.nan),
        zone_bias_k=np.where(seen, np.nansum(error, axis=0) / count, np.nan),
        meters=tuple(_meter_fit(target, goal, run, judged, float(total)) for target in goal.meters),
        structural=structural_error(goal, run, judged),
    )


def _separate(meters: Sequence[Target]) -> list[Target]:
    """Meters that do not cover each other: the total where there is one, else the end uses."""
    total = [target for target in meters if len(target.columns) > 1]
    covered = {column for target in total for column in target.columns}
    return total + [target for target in meters if len(target.columns) == 1 and target.columns[0] not in covered]


def _meter_fit(target: Target, goal: Targets, run: Simulated, judged: Flags, total: float) -> MeterFit:
    measured = np.where(judged, target.measured_w, np.nan)
    simulated = target.simulated_w(run, goal.per_hour)
    months = _sums(measured, simulated, goal.week // MONTH_WEEKS, 24.0)
    return MeterFit(
        meter=str(target.kind),
        hourly_cvrmse=_finite(cvrmse(measured, simulated)),
        monthly_cvrmse=_finite(cvrmse(*months)),
        nmbe=_finite(nmbe(measured, simulated)),
        share=float(np.nansum(measured)) / max(total, 1e-9),
    )


def _finite(value: float) -> float:
    return value if np.isfinite(value) else 9.99


def _sums(measured: Array, simulated: Array, group: NDArray[np.int64], least_hours: float) -> tuple[Array, Array]:
    """Means of both by group over hours where both are known."""
    good = ~np.isnan(measured + simulated)
    _, place = np.unique(group, return_inverse=True)
    count = np.bincount(place, weights=good)
    sums = [np.bincount(place, weights=np.where(good, values, 0.0)) for values in (measured, simulated)]
    enough = count >= least_hours
    return sums[0][enough] / count[enough], sums[1][enough] / count[enough]


def structural_error(goal: Targets, run: Simulated, judged: Flags) -> dict[str, float]:
    """Error by end use of unseen days, relative, and of unseen weeks under ``<use>/week``.

    Days, since policies move energy within days: errors that cancel over a week do not cancel there. Weeks, since an
    error that comes and goes with season and operation does not average out over a year of another operation.
    Both times three where an end use shares a meter. A meter that holds other loads too counts without them: an error
    is one of the end uses, and the rest would make it look small.
    """
    errors: dict[str, float] = {EndUse.IT.value: HOST_ERROR}
    for target in sorted(goal.meters, key=lambda t: -len(t.columns)):
        rest_w = target.rest_w(run, goal.per_hour)
        measured = np.where(judged, target.measured_w, np.nan) - rest_w
        simulated = target.simulated_w(run, goal.per_hour) - rest_w
        alone = 1.0 if len(target.columns) == 1 else SHARED_METER
        for use, column in COLUMN.items():
            if column in target.columns:
                errors[use.value] = max(LEAST_ERROR, alone * _spread(measured, simulated, goal.day, 20.0))
                errors[f"{use.value}/week"] = alone * _spread(measured, simulated, goal.week, 84.0)
    for use in COLUMN:
        errors.setdefault(use.value, UNSEEN_ERROR)
        errors.setdefault(f"{use.value}/week", UNSEEN_ERROR)
    return errors


def _spread(measured: Array, simulated: Array, group: NDArray[np.int64], least_hours: float) -> float:
    """Root mean square error of the means of groups over the mean measured value."""
    means = _sums(measured, simulated, group, least_hours)
    value = cvrmse(*means) if len(means[0]) else UNSEEN_ERROR
    return value if np.isfinite(value) else UNSEEN_ERROR


def discomfort_error(
    goal: Targets, run: Simulated, judged: Flags, occupied: Flags, band: ComfortBand
) -> dict[str, float]:
    """Error of occupied discomfort on unseen weeks: as a share of it, and of one week under ``discomfort/week``. [K·h]

    A share of what was foreseen, since it is a forecast that it widens: one that saw a third misses twice itself.

    Args:
        goal: what was measured.
        run: open loop over the whole record.
        judged: hours that count, shape (hours,).
        occupied: hours with people, shape (hours, zones).
        band: what people accept.
    """
    simulated = hourly(run.zone_c, goal.per_hour)
    counts = occupied & judged[:, None] & ~np.isnan(goal.zone_c)
    both = []
    for temperature in (goal.zone_c, simulated):
        outside = np.maximum(band.min_c - temperature, 0.0) + np.maximum(temperature - band.max_c, 0.0)
        by_hour = np.where(counts, outside, 0.0).sum(axis=1)
        both.append(np.bincount(np.unique(goal.week, return_inverse=True)[1], weights=by_hour))
    weeks = np.unique(goal.week[judged])
    seen = np.isin(np.unique(goal.week), weeks)
    measured, foreseen = both[0][seen], both[1][seen]
    total = float(foreseen.sum())
    share = float(np.abs(foreseen - measured).sum()) / total if total > 1.0 else UNSEEN_ERROR
    week_kh = float(np.sqrt(((foreseen - measured) ** 2).mean())) if len(measured) else 0.0
    return {"discomfort": max(LEAST_DISCOMFORT_ERROR, share), "discomfort/week": week_kh}


def verdict(found: Quality) -> tuple[str, ...]:
    """Reasons why the twin is not accepted, with thing, value and limit; empty if it is."""
    reasons = []
    if not found.meters:
        reasons.append("no energy meter was in the record: a saving cannot be judged; ingest one")
    rmse = float(np.nanmean(found.zone_rmse_k))
    if rmse > ZONE_RMSE_K:
        reasons.append(f"zone temperature: RMSE {rmse:.2f} K on unseen weeks, limit {ZONE_RMSE_K:.1f} K")
    for meter in found.meters:
        if meter.share < MATTERS:
            continue
        if meter.hourly_cvrmse > HOURLY_CVRMSE:
            value = f"hourly CV(RMSE) {meter.hourly_cvrmse:.1%} on unseen weeks, limit {HOURLY_CVRMSE:.0%}"
            reasons.append(f"{meter.meter}: {value}")
        if abs(meter.nmbe) > HOURLY_NMBE:
            reasons.append(f"{meter.meter}: NMBE {meter.nmbe:+.1%} on unseen weeks, limit ±{HOURLY_NMBE:.0%}")
    return tuple(reasons)


def flat(found: Quality, zones: Sequence[str]) -> dict[str, float]:
    """All errors by name."""
    values = {"zone_rmse_k": float(np.nanmean(found.zone_rmse_k))}
    values |= {
        f"zone_rmse_k/{zone}": float(rmse)
        for zone, rmse in zip(zones, found.zone_rmse_k, strict=True)
        if not np.isnan(rmse)
    }
    for meter in found.meters:
        values[f"{meter.meter}/cvrmse_hourly"] = meter.hourly_cvrmse
        values[f"{meter.meter}/cvrmse_monthly"] = meter.monthly_cvrmse
        values[f"{meter.meter}/nmbe"] = meter.nmbe
    return values


def residual_series(goal: Targets, run: Simulated, held_out: frozenset[int]) -> tuple[Residuals, ...]:
    """Weekly energy of every meter, measured and simulated."""
    rows = []
    hours_to_kwh = SECONDS_PER_HOUR / JOULES_PER_KWH
    for target in goal.meters:
        simulated = target.simulated_w(run, goal.per_hour)
        good = ~np.isnan(target.measured_w + simulated)
        weeks = [int(week) for week in np.unique(goal.week) if good[goal.week == week].sum() >= 72]

        def energy(values: Array, chosen: list[int] = weeks, known: Flags = good) -> tuple[float, ...]:
            return tuple(float(values[known & (goal.week == week)].sum() * hours_to_kwh) for week in chosen)

        rows.append(
            Residuals(
                meter=str(PointKind(target.kind)),
                week=tuple(weeks),
                measured_kwh=energy(target.measured_w),
                simulated_kwh=energy(simulated),
                held_out=tuple(week in held_out for week in weeks),
            )
        )
    return tuple(rows)
