"""Scenarios of several results side by side, with deltas from paired runs wherever they met the same draws."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from scenarios.expand import Tree
from scenarios.intervals import mixture_interval
from scenarios.results import read_runs, read_summary
from scenarios.summary import ScenarioRuns, delta_block
from twin.errors import BadInputError
from twin.kpi import KPIS


def compared(folders: Sequence[Path], baseline: str | None) -> Tree:
    """All scenarios of the results; deltas as run, or against one baseline that is named.

    Raises:
        BadInputError: a result that is not finished, or a baseline that is in none of them.
    """
    entries: list[Tree] = []
    places: dict[int, tuple[Path, int]] = {}
    for folder in folders:
        summary = read_summary(folder)
        for index, entry in enumerate(cast("list[Tree]", summary["scenarios"])):
            places[len(entries)] = (folder, index)
            entries.append({"result": str(summary["id"]), **entry})
    notes: list[str] = []
    if baseline is not None:
        row = _row_of(entries, baseline)
        for number, entry in enumerate(entries):
            if number != row:
                entry["baseline"] = baseline
                entry["delta_vs_baseline"] = _delta(places[number], places[row], notes)
    return {"baseline": baseline, "scenarios": entries, "notes": list(dict.fromkeys(notes))}


def _row_of(entries: Sequence[Tree], baseline: str) -> int:
    for number, entry in enumerate(entries):
        if entry["name"] == baseline:
            return number
    known = ", ".join(str(entry["name"]) for entry in entries)
    raise BadInputError(f"baseline {baseline!r} is in none of the results; their scenarios: {known}")


def _delta(place: tuple[Path, int], base: tuple[Path, int], notes: list[str]) -> Tree:
    """Delta of two scenarios: paired when both met the same drivers and model, else of their medians."""
    ours, theirs = _runs(place), _runs(base)
    if _world(place) == _world(base) and set(ours.draws) <= set(theirs.draws):
        return delta_block(ours, theirs, _structural(place[0]))
    days, base_days = ours.daily.shape[-1], theirs.daily.shape[-1]
    if days != base_days:
        message = (
            f"{place[0].name} covers {days} days and {base[0].name} {base_days}: sums over them cannot be compared"
        )
        raise BadInputError(f"{message}; run both over the same period")
    notes.append(f"{place[0].name} and {base[0].name} met other days, draws or models: their deltas are not paired")
    return _unpaired(ours, theirs)


def _runs(place: tuple[Path, int]) -> ScenarioRuns:
    runs = read_runs(place[0] / "parts" / f"{place[1]:04d}.npz")
    if runs is None:
        raise BadInputError(f"{place[0]}: the runs of scenario {place[1]} cannot be read; run it again with --resume")
    return runs


def _manifest(folder: Path) -> Tree:
    return cast("Tree", json.loads((folder / "manifest.json").read_text(encoding="utf-8")))


def _world(place: tuple[Path, int]) -> tuple[object, ...]:
    """What must be equal for runs to be pairs: model, drivers, period."""
    manifest = _manifest(place[0])
    scenario = cast("list[Tree]", manifest["scenarios"])[place[1]]
    digests = cast("dict[str, str]", manifest["drivers"])
    return (
        json.dumps(manifest["model"], sort_keys=True),
        digests[str(place[1])],
        json.dumps([scenario.get("period"), scenario["drivers"]], sort_keys=True),
    )


def _structural(folder: Path) -> dict[str, float]:
    return cast("dict[str, float]", _manifest(folder)["structural"])


def _unpaired(ours: ScenarioRuns, theirs: ScenarioRuns) -> Tree:
    """Differences of every run with every other: wider than paired ones, as they should be."""
    block: Tree = {}
    for column, (name, kpi) in enumerate(KPIS.items()):
        differences = np.subtract.outer(ours.kpis[:, column], theirs.kpis[:, column]).ravel()
        if not np.isnan(differences).any():
            interval = mixture_interval(differences, np.zeros(len(differences)))
            block[name] = {**interval.rounded(), "unit": kpi.unit}
    return block
