"""The demo's table of scenarios: per cent where there is something to take it of, the change itself where not."""

from __future__ import annotations

from typing import Any

from twin.cli.demonstration.report import _scenario_rows


def entry(base_kh: float, delta_kh: float) -> dict[str, Any]:
    def change(value: float, of: float, unit: str) -> dict[str, Any]:
        interval = {"value": value, "low": value - 1, "high": value + 1}
        share = 100 * value / of
        return {**interval, "unit": unit, "percent": {"value": share, "low": share - 1, "high": share + 1}}

    return {
        "name": "warm",
        "kpis": {
            "hvac_kwh": {"value": 900.0, "unit": "kWh"},
            "it_kwh": {"value": 500.0, "unit": "kWh"},
            "occupied_discomfort_kh": {"value": base_kh + delta_kh, "unit": "K·h"},
        },
        "delta_vs_baseline": {
            "hvac_kwh": change(-100.0, 1000.0, "kWh"),
            "occupied_discomfort_kh": change(delta_kh, base_kh, "K·h"),
        },
    }


def test_discomfort_is_told_in_kelvin_hours_where_there_was_next_to_none() -> None:
    (row,) = _scenario_rows([entry(base_kh=1.2, delta_kh=6.0)])
    assert row[1] == "-10.0 (-11.0 … -9.0) %"
    assert row[3] == "+6.0 (+5.0 … +7.0) K·h"


def test_discomfort_is_told_in_per_cent_where_there_was_some() -> None:
    (row,) = _scenario_rows([entry(base_kh=200.0, delta_kh=20.0)])
    assert row[3] == "+10 (+9 … +11) %"
