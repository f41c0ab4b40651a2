"""Predicted against realised savings: the calibrated twin against an EnergyPlus building that runs the policy.

The twin is calibrated on a year of telemetry (with an operator who varies settings) and knows nothing else of the
building. Each policy then runs for the same year in both. The headline error is that of the saving of HVAC electricity
(fans, cooling, electric heating) in percentage points; gas and single end uses stand beside it. Policies of the set
``develop`` were looked at while the model was made, those of ``report`` were not: only they count in ``summary``.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import frame
import numpy as np
import pandas as pd
from fidelity.judge import Document, judged, runs_of, summary
from fidelity.policies import Trial, trials
from fidelity.record import of_operator_year, of_recorded_year
from fidelity.rooms import measured, rooms
from fidelity.truth import Building, medium_office, small_office, telemetry_year, truth

from twin.calibration import calibrate
from twin.policy import Policy
from twin.telemetry import CalibrationData

if TYPE_CHECKING:
    from twin.model import Model

METERS = {
    "hvac": "hvac_electric_power",
    "fan": "fan_power",
    "cooling": "cooling_power",
    "electric_heating": "heating_electric_power",
    "gas": "heating_gas_power",
}
QUICK_DAYS = (98, 21)
"""First day of the year and number of days of the quick look: three weeks from the ninth of April."""
QUICK_TRIALS = 2


def measure(chosen: argparse.Namespace) -> Document:
    """Both buildings."""
    shared = frame.shared_folder()
    cache = Path(os.environ.get("UNDERSTUDY_FIDELITY_CACHE") or frame.ROOT / "var" / "fidelity")
    medium, year = medium_office(shared)
    small = small_office(seed=chosen.seed + 1)
    if chosen.quick:
        first, days = QUICK_DAYS
        start = pd.Timestamp(medium.days.start) + pd.Timedelta(days=first)
        year = year.between(start, start + pd.Timedelta(days=days))
        medium, small = medium.part(first, days), small.part(first, days)
    record, given = telemetry_year(small, cache)
    return {
        "medium_office": of_building(medium, of_recorded_year(medium, year), cache, chosen),
        "small_office": of_building(small, of_operator_year(small, record, given), cache, chosen),
        "rooms": [
            measured(room, chosen.seed)
            for number, room in enumerate(rooms(shared / "telemetry"))
            if not chosen.quick or number % 2 == 0
        ],
        "rooms_note": "nothing of their heating is metered; design flows, glass and some lights and plugs are assumed",
    }


def of_building(building: Building, data: CalibrationData, cache: Path, chosen: argparse.Namespace) -> Document:
    """Calibration and all policies of one building."""
    model = calibrate(building.site, data, seed=chosen.seed, quick=chosen.quick)
    frame.note(f"{building.name}: calibrated, accepted {model.accepted} {'; '.join(model.reasons)}")
    rows = policy_rows(building, data, model, _trials(building, chosen.quick), cache, chosen.seed)
    return {
        "calibration": calibration_block(model),
        "policies": rows,
        "summary": summary(rows),
    }


def _trials(building: Building, quick: bool) -> Sequence[Trial]:
    every = trials(vav=building.is_vav)
    return [trial for trial in every if trial.set == "report"][::7][:QUICK_TRIALS] if quick else every


def policy_rows(
    building: Building, data: CalibrationData, model: Model, chosen: Sequence[Trial], cache: Path, seed: int
) -> list[Document]:
    """Every policy predicted and carried out."""
    members = (model.parameters, *model.ensemble)
    normal = truth(building, Policy(), cache)
    baseline = runs_of(building.site, members, data.drivers, Policy(), seed)
    rows = []
    for trial in chosen:
        runs = runs_of(building.site, members, data.drivers, trial.policy, seed)
        real = truth(building, trial.policy, cache)
        row = judged(trial, building.site, runs, baseline, model.structural, real, normal, building.days.people)
        frame.note(
            f"{building.name} {trial.set} {trial.name}: predicted {row['predicted_pct']:.1f} "
            f"[{row['low_pct']:.1f}, {row['high_pct']:.1f}], realised {row['realised_pct']:.1f} %"
        )
        rows.append(row)
    return rows


def calibration_block(model: Model) -> Document:
    """Errors on hold-out weeks."""
    fits = {fit.meter: fit for fit in model.meters}
    block: Document = {"accepted": model.accepted, "zone_rmse_k": float(model.metrics["zone_rmse_k"])}
    for name, meter in METERS.items():
        if meter in fits:
            fit = fits[meter]
            block[name] = {"cvrmse_pct": 100.0 * float(fit.hourly_cvrmse), "nmbe_pct": 100.0 * float(fit.nmbe)}
    zones = [v for k, v in model.metrics.items() if k.startswith("zone_rmse_k/") and np.isfinite(v)]
    block["zone_rmse_k_worst"] = float(max(zones)) if zones else None
    return block


if __name__ == "__main__":
    frame.run(__doc__, measure)
