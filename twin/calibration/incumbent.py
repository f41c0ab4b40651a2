"""Whether a new model may take the place of the one in force: as good on unseen weeks, no parameter out of bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.building.parameters import Parameters
from twin.calibration.bench import Bench
from twin.calibration.metrics import MATTERS, MONTH_WEEKS, Quality, quality
from twin.calibration.targets import Targets, targets
from twin.model import Model
from twin.site import Site
from twin.telemetry import CalibrationData

Flags = NDArray[np.bool_]
LEAST_K, LEAST_SHARE = 0.02, 0.005
"""Differences of zone temperatures and of meters that do not count."""
NAMED = 4
"""Parameters that a sentence names."""


def worse_than(site: Site, data: CalibrationData, new: Model, old: Model) -> tuple[str, ...]:
    """Why a new model should not replace the one in force; empty where it may.

    A building that has changed has other parameters, and so has a spoilt record: which of both it is, people decide.

    Both run open loop over the record; what counts are held-out weeks after the record of the old model, or the last
    four of all held-out weeks where there are none. The old model may have been fitted to those, which favours it.

    Args:
        site: the building.
        data: the record that the new model was fitted to.
        new: the new model.
        old: the model in force.
    """
    if not old.accepted or old.topology_digest != new.topology_digest:
        return ()
    if not new.accepted:
        return (f"the new model is not accepted, model {old.model_id[:12]} in force is",)
    bench = Bench(site, data)
    goal = targets(site, bench)
    weeks = recent_weeks(new, old)
    judged = np.isin(goal.week, weeks)
    fresh, known = (_judged(bench, goal, judged, one.parameters) for one in (new, old))
    since = f"on {len(weeks)} recent weeks that the new model never saw"
    found = list(_strayed(new, old))
    if fresh[0] > known[0] + LEAST_K:
        found.append(f"zone temperatures: {fresh[0]:.2f} K {since}, {known[0]:.2f} K by the model in force")
    if fresh[1] > known[1] + LEAST_SHARE:
        found.append(f"meters: hourly CV(RMSE) {fresh[1]:.1%} {since}, {known[1]:.1%} by the model in force")
    return tuple(found)


def _strayed(new: Model, old: Model) -> tuple[str, ...]:
    """Parameters that leave the intervals of the model in force, in a sentence."""
    known = {report.name: report for report in old.reports}
    gone = [one for one in new.reports if one.name in known and not known[one.name].holds(one.value)]
    if not gone:
        return ()
    first = [
        f"{one.name} {one.value:.3g} {one.unit} (in force {known[one.name].low:.3g} to {known[one.name].high:.3g})"
        for one in gone[:NAMED]
    ]
    more = f" and {len(gone) - NAMED} more" if len(gone) > NAMED else ""
    remedy = "if the building has changed, 'understudy calibrate --replace'; else look at the telemetry"
    return (f"parameters leave the intervals of the model in force: {', '.join(first)}{more}; {remedy}",)


def recent_weeks(new: Model, old: Model) -> list[int]:
    """Held-out weeks of the new model, since its start, that are judged."""
    later = [week for week in new.hold_out_weeks if (old.end - new.start).days <= 7 * week]
    return later or list(new.hold_out_weeks[-MONTH_WEEKS:])


def _judged(bench: Bench, goal: Targets, judged: Flags, parameters: Parameters) -> tuple[float, float]:
    """Mean error of zones, and of meters by their share. [K, 1]"""
    found: Quality = quality(goal, bench.run(parameters), judged)
    rows = [(meter.hourly_cvrmse, meter.share) for meter in found.meters if meter.share >= MATTERS]
    total = sum(share for _, share in rows)
    meters = sum(error * share for error, share in rows) / total if total > 0 else 0.0
    return float(np.nanmean(found.zone_rmse_k)), meters
