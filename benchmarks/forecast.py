"""Forecast errors on real series against seasonal-naive, coverage of intervals, speed, and drift alarms.

Rolling origins over the last 30 % of each series, every step ahead counted alike: 48 h ahead, origins 29 h apart,
refitted every four weeks; series of less than four months 24 h ahead, 5 h apart, refitted every three days. Prophet is
judged on every third series. No weather is used: recorded weather would be a perfect forecast of it.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import frame
import numpy as np
from forecast_data import Case, cases

from forecasting.backtest import Backtest, backtest
from forecasting.choice import choose
from forecasting.drift import MONTH_H, DriftDetector
from forecasting.drift_watch import profile_errors
from forecasting.prophet_model import Prophet
from forecasting.series import Series
from twin.errors import BadInputError

REFERENCE_H = 8 * 168
FOUND_WITHIN_H = 168


def measure(chosen: argparse.Namespace) -> frame.Document:
    """All measures."""
    every = cases(frame.shared_folder("telemetry"), quick=chosen.quick)
    choose(every[0].series.until(2000), 48)  # warm-up
    rows, prophet_share = [], 4 if chosen.quick else 3
    for number, case in enumerate(every):
        row = _judged(case, prophet=number % prophet_share == 0, stride_h=91 if chosen.quick else 29)
        if row is not None:
            rows.append(row)
            frame.note(f"{case.data_set} {case.series.name}: ratio {row['mae_ratio']:.3f}, {row['coverage_pct']:.1f} %")
    loads = [case.series for case in every if case.data_set in {"bdg2_office", "cambridge", "cubems_total", "nrel_rsf"}]
    return {
        "series": rows,
        "summary": _summary(rows) | _speed(loads, 40 if chosen.quick else 200) | _drift(loads, chosen.seed),
    }


def _judged(case: Case, *, prophet: bool, stride_h: int) -> frame.Document | None:
    stride = stride_h if len(case.series.values) > 2000 else 5
    try:
        result = backtest(case.series, case.horizon_h, others=(Prophet(),) if prophet else (), stride_h=stride)
    except BadInputError as error:
        frame.note(f"left out: {error}")
        return None
    return {"data_set": case.data_set, "series": case.series.name, "kind": case.series.kind.value, **_row(result)}


def _row(result: Backtest) -> frame.Document:
    prophet = result.others_mae.get("prophet")
    return {
        "mae": result.mae,
        "mae_ratio": result.mae_ratio,
        "prophet_mae_ratio": None if prophet is None else prophet / result.naive_mae,
        "cvrmse_pct": result.cvrmse_pct,
        "coverage_pct": result.coverage_pct,
        "fit_s": result.fit_s,
        "origins": result.origins,
        "chosen": "+".join(result.chosen),
    }


def _summary(rows: list[frame.Document]) -> frame.Document:
    def ratios(kind: str) -> list[float]:
        return [ratio for row in rows if row["kind"] == kind and np.isfinite(ratio := float(str(row["mae_ratio"])))]

    coverage = [float(str(row["coverage_pct"])) for row in rows]
    prophets = [float(str(row["prophet_mae_ratio"])) for row in rows if row["prophet_mae_ratio"] is not None]
    return {
        "load_median_mae_ratio": median(ratios("load")),
        "occupancy_median_mae_ratio": median(ratios("occupancy")),
        "server_median_mae_ratio": median(ratios("server")),
        "prophet_median_mae_ratio": median(prophets),
        "worst_mae_ratio": max(max(ratios(kind)) for kind in ("load", "occupancy", "server")),
        "coverage_pct": sum(coverage) / len(coverage),
        "series_with_coverage_70_90_pct": 100.0 * sum(70 <= share <= 90 for share in coverage) / len(coverage),
    }


def _speed(series: list[Series], measured: int) -> frame.Document:
    """Seconds to choose, fit and forecast 200 hourly series of a year each, 48 h ahead with intervals.

    Fewer than 200 are measured in the quick look, and scaled.
    """
    year = 8760
    begun = time.perf_counter()
    for number in range(measured):
        one = series[number % len(series)]
        history = one.until(min(len(one.values), year + number))
        choose(history, 48).forecast(history, np.array([len(history.values)]), 48)
    return {"seconds_200_series": (time.perf_counter() - begun) * 200 / measured}


def _drift(series: list[Series], seed: int) -> frame.Document:
    """False alarms on series as they are, and planted shifts of one standard deviation that are found in a week.

    The error watched is that of the weekly profile; the detector is configured on the eight weeks before each month.
    An alarm on real data may be a real change (term, vacation): all count as false here.
    """
    alarms, months, found, planted, delays = 0, 0, 0, 0, []
    for one in series:
        errors = profile_errors(one)
        for first in range(REFERENCE_H, len(errors) - MONTH_H, MONTH_H):
            reference, month = errors[first - REFERENCE_H : first], errors[first : first + MONTH_H]
            if np.isnan(reference).mean() > 0.2 or np.isnan(month).mean() > 0.2:
                continue
            detector = DriftDetector.configured(reference, seed=seed)
            quiet = detector.alarms(month)
            alarms, months = alarms + len(quiet), months + 1
            if quiet:
                continue
            noticed = [alarm for alarm in detector.alarms(month + detector.scale) if alarm.hour < FOUND_WITHIN_H]
            planted, found = planted + 1, found + bool(noticed)
            delays += [noticed[0].hour] if noticed else []
    return {
        "drift_false_alarms_per_series_month": alarms / max(months, 1),
        "drift_found_pct": 100.0 * found / max(planted, 1),
        "drift_delay_h": float(np.median(delays)) if delays else None,
        "drift_series_months": months,
    }


if __name__ == "__main__":
    frame.run(__doc__, measure)
