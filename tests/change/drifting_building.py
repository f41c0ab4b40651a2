"""A workspace whose telemetry comes from its own twin with measuring errors, and a building that then changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from twin.building.parameters import Parameters
from twin.building.program import Recorded
from twin.cli.workspace import Workspace
from twin.model import CODE_VERSION, Model
from twin.policy import OperatingHours, Policy
from twin.run import simulate
from twin.site import Site
from twin.site_match import topology_digest, units_digest
from twin.streams import stream
from twin.telemetry import CalibrationData, calibration_data
from twin.text.canonical import digest
from twin.vocab import EndUse, PointKind

START = datetime(2023, 5, 1, 5, tzinfo=UTC)
CALIBRATED_DAYS, DAYS = 28, 42
TRUTH = Parameters({"wall_u": 1.1, "shgc": 0.55, "cop": 2.6})
OTHER_FAN = TRUTH.replacing({f"rtu_{zone}/fan_w_kg_s": 2400.0 for zone in ("core", "south")})
AS_IS = Policy()
ALL_NIGHT = Policy(
    operating_hours=OperatingHours(windows=dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), (1.0, 23.0)))
)
NOISE_K, NOISE_SHARE = 0.3, 0.08


def conditions(site: Site) -> pd.DataFrame:
    """Rows of weather and people over six weeks."""
    steps = DAYS * 96
    hour, day = np.arange(steps) / 4 % 24, np.arange(steps) // 96
    rng = stream(11, "drifting building")
    outdoor_c = 18.0 + rng.normal(0, 3, DAYS)[day] + 7.0 * np.sin((hour - 9 - 6) / 24 * 2 * np.pi)
    sun = 700.0 * np.maximum(np.sin((hour - 6 - 5) / 24 * 2 * np.pi), 0.0) * rng.uniform(0.2, 1.0, DAYS)[day]
    present = ((hour >= 14) & (hour < 22) & (day % 7 < 5)) * rng.uniform(0.4, 1.0, DAYS)[day]
    series = {"outdoor_air_temperature": outdoor_c, "global_horizontal_irradiance": sun}
    series |= {f"{zone.id}/zone_occupancy": np.round(present * zone.design_people) for zone in site.zones}
    return pd.concat([long_rows(point, values) for point, values in series.items()], ignore_index=True)


def known_conditions(site: Site) -> CalibrationData:
    """The same as calibration reads them; the temperatures are still to come."""
    yet = [long_rows(f"{zone.id}/zone_air_temperature", np.full(DAYS * 96, 22.0)) for zone in site.zones]
    return calibration_data(site, pd.concat([conditions(site), *yet]), START, START + timedelta(days=DAYS))


def long_rows(point: str, values: np.ndarray) -> pd.DataFrame:
    """Rows of a point from the first step on."""
    stamps = pd.date_range(START, periods=len(values), freq="15min")
    return pd.DataFrame({"timestamp": stamps, "point": point, "value": values})


def errors(name: str, steps: int) -> np.ndarray:
    """Measuring errors of unit spread that forget within an hour or two."""
    rng = stream(5, "errors", name)
    found, shocks = np.zeros(steps), rng.normal(size=steps) * np.sqrt(1 - 0.8**2)
    for i in range(1, steps):
        found[i] = 0.8 * found[i - 1] + shocks[i]
    return found


def measured(site: Site, data: CalibrationData, parameters: Parameters, policy: Policy) -> CalibrationData:
    """The record of a building with these parameters that is run by this policy."""
    run = simulate(site, parameters, data.drivers, site.operation.merge(policy)).building
    steps = data.drivers.steps
    watts = {PointKind.FAN_POWER: EndUse.FAN, PointKind.COOLING_POWER: EndUse.COOLING}
    noise_k = NOISE_K * np.stack([errors(zone.id, steps) for zone in site.zones], axis=1)
    return replace(
        data,
        recorded=Recorded(),
        zone_temperature_c=run.zone_temperature_c + noise_k,
        meters_w={
            kind: np.maximum(run.power_w[use] * (1.0 + NOISE_SHARE * errors(kind, steps)), 0.0)
            for kind, use in watts.items()
        },
    )


def spliced(before: CalibrationData, after: CalibrationData, days: int) -> CalibrationData:
    """One record until a day, another from then on."""
    first = days * 96
    return replace(
        before,
        zone_temperature_c=np.concatenate([before.zone_temperature_c[:first], after.zone_temperature_c[first:]]),
        meters_w={k: np.concatenate([v[:first], after.meters_w[k][first:]]) for k, v in before.meters_w.items()},
    )


def changed(site: Site, parameters: Parameters = TRUTH, policy: Policy = AS_IS, days: int = 31) -> CalibrationData:
    """Six weeks of a building that changes on a day, by default three days after calibration."""
    data = known_conditions(site)
    return spliced(measured(site, data, TRUTH, AS_IS), measured(site, data, parameters, policy), days)


def fill(folder: Path, record: CalibrationData) -> Workspace:
    """The workspace with this telemetry and an accepted model of its first four weeks."""
    here = Workspace.at(folder)
    series = {f"{z.id}/zone_air_temperature": record.zone_temperature_c[:, i] for i, z in enumerate(here.site.zones)}
    series |= {kind.value: values for kind, values in record.meters_w.items()}
    here.telemetry.append(pd.concat([conditions(here.site), *(long_rows(p, values) for p, values in series.items())]))
    here.models.save(model_of(here.site))
    return here


def model_of(site: Site) -> Model:
    """An accepted model with the true parameters."""
    return Model(
        site=site.name,
        site_digest=digest(site),
        data_digest="d" * 64,
        code_version=CODE_VERSION,
        start=START,
        end=START + timedelta(days=CALIBRATED_DAYS),
        seed=0,
        accepted=True,
        reasons=(),
        metrics={"zone_rmse_k": NOISE_K},
        parameters=TRUTH,
        ensemble=(TRUTH, TRUTH),
        structural={},
        topology_digest=topology_digest(site),
        units_digest=units_digest(site),
    )
