"""Search for the policy that lowers a goal most while everything else keeps its limits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from optimizer.goals import Goal, Limits
from optimizer.space import Choice, PolicySpace
from twin.policy import Policy

Evaluate = Callable[[Policy], Mapping[str, float]]
"""KPIs of a policy, merged over the site's operation, over the same drivers and seeds each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A policy that was tried, with what it gives in the twin."""

    policy: Policy
    picked: Mapping[str, Choice]
    kpis: Mapping[str, float]
    score: float
    breaches: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Baseline, best candidate and all that were tried, best first."""

    baseline: Mapping[str, float]
    best: Candidate
    tried: tuple[Candidate, ...]

    def saving_percent(self, candidate: Candidate, goal: Goal) -> float:
        """Saving of a candidate on the goal. [%]"""
        before = goal.score(self.baseline)
        return 100.0 * (before - candidate.score) / before if before else 0.0

    def binding(self) -> tuple[str, ...]:
        """KPIs whose limits kept better candidates out."""
        better = [c for c in self.tried if c.breaches and c.score < self.best.score]
        return tuple(sorted({name for c in better for name in c.breaches}))


def search(
    space: PolicySpace,
    evaluate: Evaluate,
    goal: Goal,
    limits: Limits,
    *,
    weeks: float,
    trials: int = 120,
    seed: int = 0,
    progress: Callable[[float, float, str], None] | None = None,
) -> SearchResult:
    """Tries policies with a tree-structured Parzen estimator under constraints, then improves the best step by step.

    The baseline itself is always a candidate, so the answer is never worse than doing nothing.

    Args:
        space: what may be tried.
        evaluate: the twin.
        goal: what to lower.
        limits: what must not get worse.
        weeks: length of the evaluated period. [weeks]
        trials: policies to try at most, repeats not counted.
        seed: of the sampler.
        progress: told (done, total, what) after each trial.
    """
    import optuna

    logging.getLogger("optuna").setLevel(logging.ERROR)
    baseline = dict(evaluate(Policy()))
    seen: dict[tuple[Choice, ...], Candidate] = {}

    def look(picked: Mapping[str, Choice]) -> Candidate:
        key = tuple(picked.values())
        if key not in seen:
            policy = space.build(picked)
            kpis = baseline if policy == Policy() else dict(evaluate(policy))
            breaches = limits.breaches(baseline, kpis, weeks)
            seen[key] = Candidate(
                policy=policy, picked=dict(picked), kpis=kpis, score=goal.score(kpis), breaches=breaches
            )
            if progress is not None:
                progress(min(len(seen), trials), trials, f"{len(seen)} policies tried")
        return seen[key]

    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial({dim.name: dim.steps[0] for dim in space.dimensions()})
    while len(seen) < trials and len(study.trials) < 3 * trials:
        trial = study.ask()
        candidate = look({d.name: trial.suggest_categorical(d.name, list(d.steps)) for d in space.dimensions()})
        trial.set_constraint("limits", sum(candidate.breaches.values()))
        study.tell(trial, candidate.score)
    best = _climb(space, look, _best(seen.values()))
    tried = tuple(sorted(seen.values(), key=_rank))
    return SearchResult(baseline=baseline, best=best, tried=tried)


def _climb(space: PolicySpace, look: Callable[[Mapping[str, Choice]], Candidate], start: Candidate) -> Candidate:
    """The end of steepest descent over single steps of single dimensions, so that no easy gain is left."""
    best = start
    while True:
        neighbours = [
            look({**best.picked, dim.name: step})
            for dim in space.dimensions()
            for step in dim.steps
            if step != best.picked[dim.name]
        ]
        better = min([best, *neighbours], key=_rank)
        if better is best or _rank(better) >= _rank(best):
            return best
        best = better


def _rank(candidate: Candidate) -> tuple[float, float]:
    return (sum(candidate.breaches.values()), candidate.score)


def _best(candidates: Iterable[Candidate]) -> Candidate:
    return min(candidates, key=_rank)
