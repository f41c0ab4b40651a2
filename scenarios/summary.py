"""KPIs with intervals and deltas against the baseline, from paired runs: the content of ``summary.json``.

A delta is always scenario − baseline, so that a negative ``hvac_kwh`` is a saving. Runs are paired by seed, sample and
member of the ensemble; what the structure of the model leaves open comes on top: errors per end use, taken of the
energy that the two runs use differently, day by day. A policy equal to its baseline therefore saves exactly 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.batch import USES, WEIGHTS, Draw
from scenarios.expand import Scenario, Tree
from scenarios.intervals import Interval, mixture_interval
from twin.kpi import KPIS
from twin.policy_effect import without_effect
from twin.site import Site
from twin.vocab import EndUse

Array = NDArray[np.float64]
_ELECTRIC = tuple(use for use in USES if use is not EndUse.HEATING_GAS)
_HVAC = (EndUse.FAN, EndUse.COOLING, EndUse.HEATING_ELECTRIC)
SUMS: Mapping[str, tuple[str, tuple[EndUse, ...]]] = {
    "electricity_kwh": ("kwh", _ELECTRIC),
    "gas_kwh": ("kwh", (EndUse.HEATING_GAS,)),
    "hvac_kwh": ("kwh", _HVAC),
    "fan_kwh": ("kwh", (EndUse.FAN,)),
    "cooling_kwh": ("kwh", (EndUse.COOLING,)),
    "heating_kwh": ("kwh", (EndUse.HEATING_ELECTRIC, EndUse.HEATING_GAS)),
    "it_kwh": ("kwh", (EndUse.IT,)),
    "cost": ("cost", USES),
    "co2_kg": ("co2_kg", USES),
}
"""KPIs that are sums over end uses: what is summed, and over which."""
WEEK, DISCOMFORT = "week", "occupied_discomfort_kh"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioRuns:
    """All runs of one scenario as arrays."""

    draws: tuple[Draw, ...]
    kpis: Array
    """Shape (runs, KPIs of the table)."""
    daily: Array
    """Shape (runs, weights, uses, days)."""
    findings: tuple[str, ...]

    def at(self, draws: Sequence[Draw]) -> ScenarioRuns:
        """The runs of these draws, in their order."""
        place = {draw: i for i, draw in enumerate(self.draws)}
        rows = [place[draw] for draw in draws]
        return ScenarioRuns(draws=tuple(draws), kpis=self.kpis[rows], daily=self.daily[rows], findings=self.findings)


def structural_spread(moved: Array, level: Array, structural: Mapping[str, float]) -> dict[str, Array]:
    """Standard deviation of each summed KPI from the structure of the model, shape (runs,) each.

    An error of the model depends on the conditions that the building is in. A share of it goes with the energy that a
    policy moves; what differs from week to week of unseen days decorrelates as the policy leads away from the
    operation that was recorded: its variance grows with the share that is moved, up to all of it. So a small change
    keeps an error that does not vanish with it in proportion, and no change has none.

    Args:
        moved: absolute sums that the model may have wrong, shape (runs, weights, uses).
        level: sums of the whole, the larger of two runs where two are compared, shape (runs, weights, uses).
        structural: by end use the relative error, and under ``<use>/week`` that of a week as a share of a mean week;
            errors of different end uses are independent.
    """
    relative = np.array([float(structural.get(use.value, 0.0)) for use in USES])
    weekly = np.array([float(structural.get(f"{use.value}/{WEEK}", 0.0)) for use in USES])
    variance = (moved * relative) ** 2 + weekly**2 * np.minimum(moved, level) * level
    spread = {}
    for name, (weight, uses) in SUMS.items():
        columns = [USES.index(use) for use in uses]
        spread[name] = np.sqrt(variance[:, WEIGHTS.index(weight), columns].sum(axis=1))
    return spread


def discomfort_spread(moved_kh: Array, structural: Mapping[str, float]) -> Array:
    """Standard deviation of discomfort that is moved, shape (runs,). [K·h]

    A share of it, and the error of one unseen week for a change of its own size.
    """
    relative, week_kh = structural.get("discomfort", 0.0), structural.get(f"discomfort/{WEEK}", 0.0)
    return np.asarray(np.sqrt((relative * moved_kh) ** 2 + week_kh * moved_kh))


def kpi_block(runs: ScenarioRuns, structural: Mapping[str, float]) -> Tree:
    """Every KPI with its interval and unit."""
    sums = np.abs(runs.daily.sum(axis=3))
    spread = structural_spread(sums, sums, structural)
    spread[DISCOMFORT] = discomfort_spread(_of(runs, DISCOMFORT), structural)
    _add_peak(spread, runs.kpis[:, _column("electricity_kwh")], runs.kpis[:, _column("peak_kw")])
    block: Tree = {}
    for name, kpi in KPIS.items():
        values = runs.kpis[:, _column(name)]
        if not np.isnan(values).any():
            interval = mixture_interval(values, spread.get(name, np.zeros(len(values))))
            block[name] = {**_within(interval, name).rounded(), "unit": kpi.unit}
    return block


def delta_block(runs: ScenarioRuns, baseline: ScenarioRuns, structural: Mapping[str, float]) -> Tree:
    """Every KPI's difference to the baseline, scenario − baseline, from paired runs."""
    base = baseline.at(runs.draws)
    moved = np.abs(runs.daily - base.daily).sum(axis=3)
    whole, before = np.abs(runs.daily.sum(axis=3)), np.abs(base.daily.sum(axis=3))
    spread = structural_spread(moved, np.maximum(whole, before), structural)
    spread[DISCOMFORT] = discomfort_spread(np.abs(_of(runs, DISCOMFORT) - _of(base, DISCOMFORT)), structural)
    peaks = runs.kpis[:, _column("peak_kw")] - base.kpis[:, _column("peak_kw")]
    level = structural_spread(before, before, structural)["electricity_kwh"]
    spread["peak_kw"] = _share(level, base.kpis[:, _column("electricity_kwh")]) * np.abs(peaks)
    block: Tree = {}
    for name in KPIS:
        column = _column(name)
        differences = runs.kpis[:, column] - base.kpis[:, column]
        if not np.isnan(differences).any():
            block[name] = _difference(differences, base.kpis[:, column], spread.get(name), name)
    return block


def _difference(differences: Array, base: Array, spread: Array | None, name: str) -> Tree:
    """A difference with its interval; it cannot take more away than there is."""
    spread = np.zeros(len(differences)) if spread is None else spread
    interval = _within(mixture_interval(differences, spread), name, -float(np.abs(base).max()))
    entry: Tree = {**interval.rounded(), "unit": KPIS[name].unit}
    if (np.abs(base) > 1e-9).all():
        share = mixture_interval(100.0 * differences / np.abs(base), 100.0 * spread / np.abs(base))
        entry["percent"] = _within(share, name, -100.0).rounded()
    return entry


def _of(runs: ScenarioRuns, name: str) -> Array:
    return np.asarray(runs.kpis[:, _column(name)])


def _column(name: str) -> int:
    return list(KPIS).index(name)


def _share(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=np.abs(whole) > 1e-9)


def _add_peak(spread: dict[str, Array], electricity: Array, peak: Array) -> None:
    """The peak is as uncertain, relatively, as all electricity."""
    spread["peak_kw"] = _share(spread["electricity_kwh"], electricity) * peak


def _within(interval: Interval, name: str, least: float = 0.0) -> Interval:
    """Interval of a measure that cannot fall below ``least``; cost and carbon may, where prices are negative."""
    if name in {"cost", "co2_kg"}:
        return interval
    return Interval(value=interval.value, low=max(interval.low, least), high=max(interval.high, least))


def summary_document(
    run_id: str,
    about: Mapping[str, object],
    scenarios: Sequence[Scenario],
    runs: Mapping[str, ScenarioRuns],
    structural: Mapping[str, float],
    site: Site,
) -> Tree:
    """The document of ``summary.json``."""
    return {
        "schema_version": 1,
        "id": run_id,
        **about,
        "sign": "delta_vs_baseline is scenario - baseline: negative energy is a saving",
        "interval": "80 %",
        "scenarios": [_entry(scenario, runs, structural, site) for scenario in scenarios],
    }


def _entry(scenario: Scenario, runs: Mapping[str, ScenarioRuns], structural: Mapping[str, float], site: Site) -> Tree:
    own = runs[scenario.name]
    request = scenario.request
    entry: Tree = {
        "name": scenario.name,
        "description": scenario.description,
        "policy": scenario.policy_text,
        "drivers": request.kind,
        "period": {
            "from": None if request.start is None else request.start.isoformat(),
            "to": None if request.end is None else request.end.isoformat(),
        },
        "axes": dict(scenario.axes),
        "seeds": list(scenario.seeds),
        "runs": len(own.draws),
        "kpis": kpi_block(own, structural),
        "findings": [*without_effect(scenario.policy, site), *own.findings],
    }
    if scenario.baseline is not None:
        wanted = {draw.seed for draw in own.draws} & set(scenario.seeds)
        paired = own.at([draw for draw in own.draws if draw.seed in wanted])
        entry["baseline"] = scenario.baseline
        entry["delta_vs_baseline"] = delta_block(paired, runs[scenario.baseline], structural)
    return entry
