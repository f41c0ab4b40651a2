"""Splits a scenario's change into parts that results already hold: by measure where each ran alone, or by end use."""

from __future__ import annotations

from dashboard.views import BatchView, ScenarioView, kpi_label

END_USES = ("fan_kwh", "cooling_kwh", "heating_kwh", "it_kwh")
TOTAL = "electricity_kwh"


def by_measure(batch: BatchView, scenario: ScenarioView) -> list[tuple[str, float]] | None:
    """Change of all electricity by policy key, with what they do together; None unless each key ran alone too.

    A measure ran alone when the batch has a scenario with the same baseline and that key with the same value only.
    """
    if len(scenario.policy) < 2 or TOTAL not in scenario.delta:
        return None
    parts: list[tuple[str, float]] = []
    for key, value in scenario.policy.items():
        alone = next(
            (one for one in batch.scenarios if one.baseline == scenario.baseline and one.policy == {key: value}), None
        )
        if alone is None or TOTAL not in alone.delta:
            return None
        parts.append((key.removesuffix("_c").replace("_", " "), alone.delta[TOTAL].value))
    together = scenario.delta[TOTAL].value - sum(value for _, value in parts)
    return [*parts, ("together", together)]


def by_end_use(scenario: ScenarioView) -> list[tuple[str, float]]:
    """Change of energy by end use that moved. [kWh]"""
    parts = [(kpi_label(name), scenario.delta[name].value) for name in END_USES if name in scenario.delta]
    return [(name, value) for name, value in parts if value]
