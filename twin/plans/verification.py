"""Measurement and verification: what a plan really saved, with an interval that respects autocorrelation.

The counterfactual is what the baseline model says the meter would have shown in the reporting period without the plan
(IPMVP options C and D: calibrated model, adjusted to the weather and use that were). Its error is estimated from the
model's residuals on data it was not fitted to. Hourly residuals follow each other, so ``n`` of them are worth only
``n' = n (1 - r) / (1 + r)`` independent ones, with ``r`` their correlation from one to the next.
Source: ASHRAE Guideline 14-2014, annex B (effective sample size, fractional savings uncertainty).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from twin.errors import BadInputError
from twin.plan import StepState
from twin.plans.document import Interval, Plan
from twin.plans.records import StepRecord
from twin.text.canonical import LATER

Array = NDArray[np.float64]

CONFIDENCE = 0.8
LEAST_COVERAGE = 0.9
"""Share of the reporting period that must be measured."""
LEAST_EFFECTIVE = 5.0
"""Fewer independent residuals give no interval worth printing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that was otherwise than the prediction assumed."""

    name: str
    assumed: float
    realised: float
    unit: str

    def sentence(self) -> str:
        """For the report."""
        return f"{self.name}: assumed {self.assumed:,.1f} {self.unit}, was {self.realised:,.1f} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The report of one plan over one period; a later delivery of data makes a new version, never an edit."""

    plan_id: str
    meter: str
    start: datetime
    end: datetime
    points: int
    coverage: float
    measured_kwh: float
    counterfactual_kwh: float
    saving_kwh: Interval
    saving_pct: Interval
    predicted_pct: Interval | None
    lag_1: float
    effective_points: float
    detectable: bool
    """Whether the interval excludes no saving at all."""
    verdict: str
    sentences: tuple[str, ...]
    confidence: float = CONFIDENCE
    version: int = 1
    supersedes: str = ""
    data_digest: str = field(default="", metadata=LATER)
    """Of the telemetry of the period, so that rows which come late are noticed."""


def lag_1(residuals: Array) -> float:
    """Correlation of a series with itself one step later, bounded to [0, 0.999]; 0 for a constant series."""
    centred = residuals - residuals.mean()
    power = float(centred @ centred)
    if power == 0.0 or len(residuals) < 3:
        return 0.0
    return min(0.999, max(0.0, float(centred[1:] @ centred[:-1]) / power))


def effective_size(count: float, correlation: float) -> float:
    """Independent values that ``count`` correlated ones are worth, at least 1."""
    return max(1.0, count * (1.0 - correlation) / (1.0 + correlation))


def saving_error_kwh(residuals_kwh: Array, points: float, correlation: float, confidence: float) -> float:
    """Half width of the interval of a sum of savings over ``points`` steps. [kWh]

    The sum of ``points`` residuals varies by ``s points sqrt(1/m')``, and the model's mean bias is known to
    ``s sqrt(1/n')`` only, from ``n'`` independent residuals.

    Args:
        residuals_kwh: measured minus modelled energy per step on data not used for the fit. [kWh]
        points: measured steps of the reporting period.
        correlation: of the residuals from step to step.
        confidence: two-sided, 0 to 1.
    """
    from scipy.stats import t as student

    n, m = effective_size(len(residuals_kwh), correlation), effective_size(points, correlation)
    spread = float(residuals_kwh.std(ddof=1)) * math.sqrt(1.0 / n + 1.0 / m) * points
    return float(student.ppf(0.5 + confidence / 2.0, max(1.0, n - 1.0))) * spread


def slow_error_kwh(residuals_kwh: Array, points: int, block: int, confidence: float) -> float:
    """The same from means of blocks, such as days: sees errors that last longer than steps alone tell. [kWh]

    A model that is too low for a whole week has residuals that follow each other further than a first-order process of
    their hourly correlation would. 0 where there are fewer than five blocks.

    Args:
        residuals_kwh: measured minus modelled energy per step. [kWh]
        points: measured steps of the reporting period.
        block: steps of a block.
        confidence: two-sided, 0 to 1.
    """
    whole = len(residuals_kwh) // block
    if whole < LEAST_EFFECTIVE:
        return 0.0
    blocks = residuals_kwh[: whole * block].reshape(whole, block).sum(axis=1)
    return saving_error_kwh(blocks, points / block, lag_1(blocks), confidence)


def verify_saving(
    *,
    plan_id: str,
    meter: str,
    start: datetime,
    end: datetime,
    measured_kwh: Array,
    counterfactual_kwh: Array,
    residuals_kwh: Array,
    predicted_pct: Interval | None = None,
    differences: Sequence[Difference] = (),
    remarks: Sequence[str] = (),
    confidence: float = CONFIDENCE,
    block: int | None = None,
    version: int = 1,
    supersedes: str = "",
) -> Verification:
    """The realised saving of a plan with its interval; "not detectable" and "not enough data" are legal results.

    Args:
        plan_id: the plan.
        meter: what was measured.
        start: of the reporting period.
        end: of the reporting period.
        measured_kwh: energy per step of the reporting period, NaN where missing, shape (steps,). [kWh]
        counterfactual_kwh: what the baseline model says for the same steps, shape (steps,). [kWh]
        residuals_kwh: measured minus modelled on hold-out data, same step length, shape (n,). [kWh]
        predicted_pct: what the plan promised. [%]
        differences: what was otherwise than assumed.
        remarks: more sentences for the report.
        confidence: of the interval.
        block: steps of a day, when errors may last for days; the wider of both estimates counts.
        version: 1, or one more than the report that this one supersedes.
        supersedes: digest of that report.

    Raises:
        BadInputError: series of different length, or too few residuals.
    """
    if measured_kwh.shape != counterfactual_kwh.shape or len(residuals_kwh) < 3:
        message = (
            f"{meter}: {measured_kwh.shape} measured, {counterfactual_kwh.shape} modelled, {len(residuals_kwh)} "
            "residuals; the first two must match and three residuals are the least"
        )
        raise BadInputError(message)
    there = np.isfinite(measured_kwh) & np.isfinite(counterfactual_kwh)
    points, coverage = int(there.sum()), float(there.mean()) if there.size else 0.0
    bias_kwh = float(residuals_kwh.mean())
    expected = float(counterfactual_kwh[there].sum()) + bias_kwh * points
    measured = float(measured_kwh[there].sum())
    correlation = lag_1(residuals_kwh)
    half = saving_error_kwh(residuals_kwh, max(points, 1), correlation, confidence)
    if block is not None:
        half = max(half, slow_error_kwh(residuals_kwh, max(points, 1), block, confidence))
    saving = Interval(
        value=expected - measured, low=expected - measured - half, high=expected - measured + half, unit="kWh"
    )
    effective = effective_size(len(residuals_kwh), correlation)
    enough = coverage >= LEAST_COVERAGE and effective >= LEAST_EFFECTIVE
    detectable = enough and (saving.low > 0.0 or saving.high < 0.0)
    percent = _percent(saving, expected)
    verdict = _verdict(enough=enough, detectable=detectable, saving=saving)
    sentences = [_sentence(verdict, percent, confidence), *_against(percent, predicted_pct)]
    sentences += [difference.sentence() for difference in differences]
    return Verification(
        plan_id=plan_id,
        meter=meter,
        start=start,
        end=end,
        points=points,
        coverage=coverage,
        measured_kwh=measured,
        counterfactual_kwh=expected,
        saving_kwh=saving,
        saving_pct=percent,
        predicted_pct=predicted_pct,
        lag_1=correlation,
        effective_points=effective,
        detectable=detectable,
        verdict=verdict,
        sentences=(*sentences, *remarks),
        confidence=confidence,
        version=version,
        supersedes=supersedes,
    )


def _percent(saving: Interval, expected_kwh: float) -> Interval:
    scale = 100.0 / expected_kwh if expected_kwh else 0.0
    return Interval(value=saving.value * scale, low=saving.low * scale, high=saving.high * scale, unit="%")


def _verdict(*, enough: bool, detectable: bool, saving: Interval) -> str:
    if not enough:
        return "not enough data"
    if not detectable:
        return "not detectable"
    return "saved" if saving.value > 0.0 else "used more"


def _sentence(verdict: str, percent: Interval, confidence: float) -> str:
    span = f"{percent.value:.1f} % ({confidence:.0%} interval {percent.low:.1f} to {percent.high:.1f} %)"
    return {
        "not enough data": "too little was measured, or the baseline residuals follow each other too closely, to say",
        "not detectable": f"the change of {span} cannot be told from none",
        "saved": f"saved {span}",
        "used more": f"used more: {span}",
    }[verdict]


def _against(realised: Interval, predicted: Interval | None) -> list[str]:
    if predicted is None:
        return []
    span = f"{predicted.value:.1f} % ({predicted.low:.1f} to {predicted.high:.1f} %)"
    if predicted.low <= realised.value <= predicted.high:
        return [f"predicted {span}: the realised saving lies within"]
    missed = predicted.low - realised.value if realised.value < predicted.low else realised.value - predicted.high
    if missed < 0.05:  # what the sentence would print as 0.0
        return [f"predicted {span}: the realised saving lies at the edge"]
    side = "below" if realised.value < predicted.low else "above"
    return [f"predicted {span}: the realised saving lies {missed:.1f} points {side}"]


def remarks_of_push(plan: Plan, steps: Sequence[StepRecord]) -> tuple[str, ...]:
    """What of the plan was not in force, as sentences for the report."""
    points: Mapping[str, str] = {step.action.id: step.action.point for step in plan.steps()}
    held = sorted(points[step.action_id] for step in steps if step.state is StepState.OVERRIDDEN)
    done = sorted(points[step.action_id] for step in steps if step.state is StepState.ALREADY_DONE)
    found = []
    if held:
        found.append(f"{len(held)} of {len(points)} targets were held by people: {', '.join(held)}")
    if done:
        found.append(f"{len(done)} of {len(points)} targets had the wanted value already: {', '.join(done)}")
    return tuple(found)
