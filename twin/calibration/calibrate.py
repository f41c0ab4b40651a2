"""From site and record to a model: stages, hold-out, verdict. Bounded by work, not by the clock, so repeatable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from twin.building.parameters import SPECS, Parameters, keys_of, site_parameters
from twin.calibration.air_side import air_side
from twin.calibration.bench import Bench
from twin.calibration.certainty import Certainty, ensemble, held_groups, of_next_stage, of_one_stage, parameter_reports
from twin.calibration.fit import Fit, fit, scanned, told_at
from twin.calibration.influence import influences, too_heavy, unchecked
from twin.calibration.information import Knob, Residuals
from twin.calibration.metrics import Quality, discomfort_error, flat, quality, residual_series, verdict
from twin.calibration.stages import FIRM, TIGHT, Evidence, odd_weeks, room_knobs, unit_knobs
from twin.calibration.targets import Targets, hold_out_weeks, hourly, season, targets
from twin.model import CODE_VERSION, Model, ParameterReport
from twin.site import Site
from twin.site_match import topology_digest, units_digest
from twin.telemetry import CalibrationData
from twin.text.canonical import digest

Flags = NDArray[np.bool_]
Progress = Callable[[str, float], None]
"""Told the stage and the share of the work done."""

FULL_WORK, QUICK_WORK = 1.2e9, 3.2e8
"""Zone-steps that a calibration may simulate: some minutes, and under one, on one core."""
NIGHT_TOLERANCES = (0.35, 0.5, 0.65, 0.8, 1.0, 1.25)
"""Where the night cycle may trigger, over the commanded tolerance: thermostats differ in what their band means."""
ROUNDS = 20
"""Most steps of a stage; it ends sooner by itself, or when its share of the work is done."""
LOOK = 4
"""Steps after which weeks that agree with no other are looked for."""
MEMBERS, QUICK_MEMBERS = 16, 8


@dataclass(slots=True)
class _Budget:
    """Shares of the allowed work by stage, and the progress report."""

    bench: Bench
    runs: float
    progress: Progress | None

    def until(self, stage: str, share: float) -> Callable[[], bool]:
        """A check whether the work of a stage may go on; tells progress."""

        def within() -> bool:
            done = self.bench.runs / self.runs
            if self.progress is not None:
                self.progress(stage, min(done, 1.0))
            return done < share

        return within


def calibrate(
    site: Site, data: CalibrationData, *, seed: int = 0, quick: bool = False, progress: Progress | None = None
) -> Model:
    """Fit the twin of a site to its record and judge it on weeks that no fit saw.

    Args:
        site: the building, with what is known of it.
        data: drivers, commands and measurements, NaN where unknown or excluded.
        seed: of the ensemble.
        quick: a rough fit within a minute for ten weeks of fifteen zones.
        progress: told stage and share of the work done.

    Raises:
        BadInputError: the record has no two days in a row with weather.
    """
    bench = Bench(site, data)
    goal = targets(site, bench)
    start = data.drivers.start
    first_day = start.timetuple().tm_yday
    held_out = hold_out_weeks(goal, first_day)
    fitted = ~np.isin(goal.week, list(held_out))
    evidence = Evidence(bench, goal, fitted)
    work = (QUICK_WORK if quick else FULL_WORK) / max(len(bench.rows) * len(site.zones), 1)
    budget = _Budget(bench, max(work, 60.0), progress)
    measured = air_side(site, data, bench.rows[np.repeat(fitted, goal.per_hour)])
    known, odd = _fit_stages(site, evidence, budget, measured)
    known = replace(known, parameters=_with_outdoor_co2(bench, known.parameters, fitted, goal.per_hour))
    run = bench.run(known.parameters)
    judged = (~fitted if held_out else fitted) & ~np.isin(goal.week, list(odd))
    seen = quality(goal, run, judged)
    occupied = hourly(data.drivers.people[bench.rows], goal.per_hour) > 0
    reports = parameter_reports(known)
    weights = influences(
        known,
        lambda parameters: float(bench.run(parameters).power_w.sum()) * data.drivers.step_s,
        lambda week: season(week, first_day),
    )
    reasons = verdict(seen) + too_heavy(weights, start)
    if not held_out:
        reasons += ("the record is too short to hold out a week of any season: two weeks of one season are needed",)
    if progress is not None:
        progress("done", 1.0)
    return Model(
        site=site.name,
        site_digest=digest(site),
        data_digest=data.digest,
        code_version=CODE_VERSION,
        start=start,
        end=start + timedelta(seconds=data.drivers.steps * data.drivers.step_s),
        seed=seed,
        accepted=not reasons,
        reasons=reasons,
        metrics=flat(seen, [zone.id for zone in site.zones]),
        parameters=known.parameters,
        ensemble=ensemble(known, QUICK_MEMBERS if quick else MEMBERS, seed),
        structural={**seen.structural, **discomfort_error(goal, run, judged, occupied, site.comfort)},
        hold_out_weeks=tuple(sorted(held_out)),
        meters=seen.meters,
        reports=reports,
        residuals=residual_series(goal, run, held_out),
        findings=_odd_findings(odd, start) + unchecked(weights, start) + _findings(site, goal, seen, reports, data),
        topology_digest=topology_digest(site),
        units_digest=units_digest(site),
        influence=weights,
    )


def _fit_stages(
    site: Site, evidence: Evidence, budget: _Budget, known: dict[str, float]
) -> tuple[Certainty, frozenset[int]]:
    start = site_parameters(site).replacing(known)
    drivers = evidence.bench.data.drivers
    rooms = room_knobs(site, radiators=drivers.radiator_valve is not None, blinds=drivers.blind_open is not None)
    of_building = [knob for knob in rooms if not knob.per_zone]
    flows = [key for key in known if key.endswith("/design_flow")]
    units = unit_knobs(site, [], frozenset(known))
    if flows:
        units.append(Knob(keys_of(site, SPECS["design_flow"]), TIGHT, per_zone=True))
    else:
        units.append(Knob(("design_flow",), FIRM))
    if evidence.bench.has_supply:
        residuals: Residuals = evidence.flows_too
        first, odd = _first(evidence, evidence.rooms, start, rooms, budget)
        before = of_one_stage(first)
        if not evidence.goal.meters:
            return before, odd
        begin = scanned(residuals, first.parameters, _night_keys(site), NIGHT_TOLERANCES)
        last = [*(replace(knob, spread=min(knob.spread, 0.3)) for knob in of_building), *units]
    else:
        residuals = evidence.flows_too if flows else evidence.whole
        first, odd = _first(evidence, residuals, start, [*of_building, *units], budget)
        begin = scanned(residuals, first.parameters, _night_keys(site), NIGHT_TOLERANCES)
        rooms_fit = fit(residuals, begin, _firmer(rooms), rounds=ROUNDS, within=budget.until("rooms", 0.7))
        before = _known_after(of_one_stage(first), rooms_fit, residuals, [*_firmer(rooms), *units])
        begin, last = rooms_fit.parameters, [*_firmer(of_building), *_firmer(units)]
    found = fit(residuals, begin, last, rounds=ROUNDS, within=budget.until("plant", 1.0))
    return _known_after(before, found, residuals, [*last, *rooms]), odd


def _known_after(before: Certainty, found: Fit, residuals: Residuals, knobs: list[Knob]) -> Certainty:
    """Certainty after a stage; knobs are those of the stage and, after them, all that it may hold from before."""
    groups = (*found.groups, *held_groups(before, found))
    moved = {group: knob for knob in reversed(knobs) for group in knob.groups}
    wanted = list(dict.fromkeys(moved[group] for group in groups))
    return of_next_stage(before, found, told_at(residuals, found.parameters, wanted))


def _first(
    evidence: Evidence, residuals: Residuals, start: Parameters, knobs: list[Knob], budget: _Budget
) -> tuple[Fit, frozenset[int]]:
    """The first stage; odd weeks that its first steps show are left out, and it begins anew without them."""
    within = budget.until("rooms", 0.5)
    look = fit(residuals, start, knobs, rounds=LOOK, within=within)
    odd = odd_weeks(evidence.goal, evidence.bench.run(look.parameters))
    evidence.drop(odd)
    return fit(residuals, start, knobs, rounds=ROUNDS, within=within, begin=None if odd else look.parameters), odd


def _with_outdoor_co2(bench: Bench, parameters: Parameters, fitted: Flags, per_hour: int) -> Parameters:
    """Parameters with the outdoor level of carbon dioxide, as the rooms' sensors read it, moved by the median error.

    The balance is linear in that level, so that one run tells it.
    """
    measured = bench.data.zone_co2_ppm[bench.rows]
    usable = np.repeat(fitted, per_hour)[:, None] & bench.settled[:, None] & ~np.isnan(measured)
    if not usable.any():
        return parameters
    run = bench.run(parameters, supply_given=bench.has_supply)
    level = parameters.of("outdoor_co2_ppm") + float(np.median((measured - run.co2_ppm)[usable]))
    spec = SPECS["outdoor_co2_ppm"]
    return parameters.replacing({spec.name: min(max(level, spec.low), spec.high)})


def _night_keys(site: Site) -> tuple[str, ...]:
    return tuple(f"{unit.id}/night_tolerance" for unit in site.air_handlers)


def _firmer(knobs: list[Knob]) -> list[Knob]:
    return [replace(knob, spread=min(knob.spread, FIRM)) for knob in knobs]


def _odd_findings(odd: frozenset[int], start: datetime) -> tuple[str, ...]:
    return tuple(
        f"the week from {(start + timedelta(weeks=week)).date()} agrees with no other week: left out of fit and "
        "verdict; look at meters and sensors of those days"
        for week in sorted(odd)
    )


def _findings(
    site: Site, goal: Targets, seen: Quality, reports: tuple[ParameterReport, ...], data: CalibrationData
) -> tuple[str, ...]:
    """What the data could not tell and what looks odd, in sentences."""
    found = [finding.sentence for finding in data.findings]
    found += [
        f"{report.name}: {report.value:.3g} {report.unit} is at the bound of what is physical; "
        "check areas and stated facts in site.yaml"
        for report in reports
        if report.at_bound and report.identified
    ]
    vague = sorted({report.name.rsplit("/", 1)[-1] for report in reports if not report.identified})
    if vague:
        found.append(f"the data say little about {', '.join(vague)}: the first guess stands")
    metered = {column for target in goal.meters for column in target.columns if len(target.columns) == 1}
    if len(metered) < 4:
        found.append("not every end use has a meter of its own: how a saving splits over end uses is uncertain")
    for zone, rmse in zip(site.zones, seen.zone_rmse_k, strict=True):
        if np.isnan(rmse):
            found.append(f"{zone.id}: no air temperature on unseen weeks; the zone is simulated, not checked")
    return tuple(found)


__all__ = ["Parameters", "calibrate"]
