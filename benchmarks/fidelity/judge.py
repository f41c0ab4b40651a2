"""Predicted against realised: a policy in the calibrated twin and in the EnergyPlus building."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from connectors.emulator.runs import Record
from fidelity.policies import Trial
from scenarios.batch import Draw, daily_sums
from scenarios.summary import ScenarioRuns, delta_block, kpi_block
from twin.building.model import sun_on
from twin.building.parameters import Parameters
from twin.drivers import Drivers
from twin.kpi import KPIS, kpis
from twin.policy import Policy
from twin.run import simulate
from twin.site import Site

Array = NDArray[np.float64]
Document = dict[str, object]

END_USES = {
    "fan": "fan_electricity_w",
    "cooling": "cooling_electricity_w",
    "electric_heating": "heating_electricity_w",
    "gas": "heating_gas_w",
}
TWIN_USES = {"fan": "fan_kwh", "cooling": "cooling_kwh", "gas": "gas_kwh"}
KWH_PER_W_STEP = 0.25 / 1000.0


def runs_of(site: Site, members: Sequence[Parameters], drivers: Drivers, policy: Policy, seed: int) -> ScenarioRuns:
    """One run of the twin for the best parameters and for each member of the ensemble."""
    merged, sun = site.operation.merge(policy), sun_on(site, drivers)
    results = [simulate(site, parameters, drivers, merged, seed=seed, sun=sun) for parameters in members]
    values = [kpis(result, site) for result in results]
    return ScenarioRuns(
        draws=tuple(Draw(seed=seed, sample=0, member=k) for k in range(len(members))),
        kpis=np.array([[value.get(name, np.nan) for name in KPIS] for value in values]),
        daily=np.stack([daily_sums(result, site) for result in results]),
        findings=(),
    )


def judged(
    trial: Trial,
    site: Site,
    runs: ScenarioRuns,
    baseline: ScenarioRuns,
    structural: Mapping[str, float],
    real: Record,
    real_baseline: Record,
    people: Array,
) -> Document:
    """One row of the table.

    Args:
        trial: the policy.
        site: for the comfort band.
        runs: of the policy in the twin.
        baseline: of the normal operation in the twin, with the same draws.
        structural: relative error of the model by end use.
        real: the EnergyPlus building under the policy.
        real_baseline: the EnergyPlus building under its normal operation.
        people: in each zone, shape (steps, zones).
    """
    hvac = cast("dict[str, dict[str, float]]", delta_block(runs, baseline, structural)["hvac_kwh"])["percent"]
    felt = cast("dict[str, float]", kpi_block(runs, structural)["occupied_discomfort_kh"])
    truly_kh = discomfort_kh(real, site, people)
    predicted, low, high = -hvac["value"], -hvac["high"], -hvac["low"]
    used, before = _kwh(real, "hvac_electricity_w"), _kwh(real_baseline, "hvac_electricity_w")
    realised = 100.0 * (before - used) / before
    return {
        "name": trial.name,
        "kind": trial.kind,
        "set": trial.set,
        "predicted_pct": predicted,
        "low_pct": low,
        "high_pct": high,
        "realised_pct": realised,
        "error_points": abs(predicted - realised),
        "covered": bool(low <= realised <= high),
        "discomfort_predicted_kh": float(_of(runs, "occupied_discomfort_kh")),
        "discomfort_low_kh": felt["low"],
        "discomfort_high_kh": felt["high"],
        "discomfort_realised_kh": truly_kh,
        "discomfort_covered": bool(felt["low"] <= truly_kh <= felt["high"]),
        "end_uses": _end_uses(runs, baseline, real, real_baseline),
    }


def discomfort_kh(real: Record, site: Site, people: Array) -> float:
    """Distance outside the comfort band while a zone has people, summed over zones. [K·h]"""
    temperature = real.zones["temp_c"].to_numpy(np.float64)
    outside = np.maximum(site.comfort.min_c - temperature, 0.0) + np.maximum(temperature - site.comfort.max_c, 0.0)
    return float((outside * (people > 0)).sum() * 0.25)


def _kwh(record: Record, column: str) -> float:
    return float(record.building[column].to_numpy(np.float64).sum()) * KWH_PER_W_STEP


def _of(runs: ScenarioRuns, name: str) -> float:
    """Value of a KPI for the best parameters."""
    return float(runs.kpis[0, list(KPIS).index(name)])


def _end_uses(runs: ScenarioRuns, baseline: ScenarioRuns, real: Record, real_baseline: Record) -> Document:
    """Saving of each end use as a share of its baseline use, predicted and realised. [%]"""
    rows: Document = {}
    for use, column in END_USES.items():
        before, after = _kwh(real_baseline, column), _kwh(real, column)
        if before < 1.0:
            continue
        saved = _twin_use(baseline, use) - _twin_use(runs, use)
        rows[use] = {
            "baseline_kwh": before,
            "predicted_pct": 100.0 * saved / before,
            "realised_pct": 100.0 * (before - after) / before,
        }
    return rows


def _twin_use(runs: ScenarioRuns, use: str) -> float:
    if use == "electric_heating":
        return _of(runs, "heating_kwh") - _of(runs, "gas_kwh")
    return _of(runs, TWIN_USES[use])


def summary(rows: Sequence[Document]) -> Document:
    """Errors and coverage over the report set."""
    report = [row for row in rows if row["set"] == "report"]
    errors = np.array([cast("float", row["error_points"]) for row in report])
    single = np.array([cast("float", row["error_points"]) for row in report if row["kind"] == "single"])
    combined = np.array([cast("float", row["error_points"]) for row in report if row["kind"] == "combined"])
    widths = np.array([cast("float", row["high_pct"]) - cast("float", row["low_pct"]) for row in report])
    return {
        "policies": len(report),
        "mean_abs_error_points": float(errors.mean()) if len(errors) else None,
        "max_abs_error_points": float(errors.max()) if len(errors) else None,
        "max_abs_error_points_single": float(single.max()) if len(single) else None,
        "max_abs_error_points_combined": float(combined.max()) if len(combined) else None,
        "coverage_pct": _percent(report, "covered"),
        "mean_width_points": float(widths.mean()) if len(widths) else None,
        "discomfort_coverage_pct": _percent(report, "discomfort_covered"),
        "end_use_error_points": {use: found for use in END_USES if (found := _use_errors(report, use))},
    }


def _use_errors(rows: Sequence[Document], use: str) -> Document:
    """Errors of an end use's saving, in points of its use under normal operation; empty where there is none."""
    pairs = [cast("dict[str, dict[str, float]]", row["end_uses"]).get(use) for row in rows]
    errors = [abs(pair["predicted_pct"] - pair["realised_pct"]) for pair in pairs if pair]
    return {"mean": float(np.mean(errors)), "max": float(np.max(errors))} if errors else {}


def _percent(rows: Sequence[Document], flag: str) -> float | None:
    """Share of rows with a flag. [%]"""
    return 100.0 * float(np.mean([bool(row[flag]) for row in rows])) if rows else None
