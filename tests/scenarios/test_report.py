"""The report of a batch: electricity and gas, units and per cent, intervals of the baseline too, currency by code."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from fake_twin import drivers_for

from scenarios.expand import expand
from scenarios.report import end_uses_figure, kpi_table
from scenarios.runner import BatchResult, Twin, run_scenarios
from scenarios.spec import read_scenarios

HEAD = "schema_version: 1\nperiod: {from: 2023-07-03, to: 2023-07-05}\n"
POLICY = "policy: {{cooling_setpoint_c: {{occupied: {}, unoccupied: 28}}{}}}\n"


@pytest.fixture
def batch(tmp_path: Path, twin: Twin) -> BatchResult:
    (tmp_path / "a.yaml").write_text(HEAD + "name: base\n" + POLICY.format(24, ""))
    warm = HEAD + "name: warm\nbaseline: base\n" + POLICY.format(26, ", economizer: differential_dry_bulb")
    (tmp_path / "b.yaml").write_text(warm)
    euro = replace(twin, site=replace(twin.site, tariff=replace(twin.site.tariff, currency="EUR")))
    return run_scenarios(expand(read_scenarios([tmp_path]), euro.site), euro, drivers_for, tmp_path / "results")


def test_the_table_has_intervals_shares_and_the_currency(batch: BatchResult) -> None:
    entries = cast("list[dict[str, Any]]", batch.summary["scenarios"])
    base, warm = kpi_table(entries, "EUR").split("<tr>")[2:]
    assert re.search(r"\(\d[\d.,]* … \d[\d.,]*\)", base)
    assert "Δ" not in base
    share = entries[1]["delta_vs_baseline"]["hvac_kwh"]["percent"]["value"]
    assert f"Δ {share:+,.1f} (" in warm
    assert "%" in warm
    page = (batch.folder / "report.html").read_text(encoding="utf-8")
    assert "<th>cost<br><small>EUR</small></th>" in page
    assert "<small>currency</small>" not in page


def test_a_key_that_the_site_cannot_follow_is_named_in_summary_and_report(batch: BatchResult) -> None:
    entries = cast("list[dict[str, Any]]", batch.summary["scenarios"])
    assert not entries[0]["findings"]
    assert "policy key 'economizer' changes nothing here" in entries[1]["findings"][0]
    assert "no unit has an economizer" in (batch.folder / "report.html").read_text(encoding="utf-8")


def test_gas_and_electric_heating_are_bars_of_their_own(batch: BatchResult) -> None:
    entries = cast("list[dict[str, Any]]", batch.summary["scenarios"])
    for entry in entries:
        entry["kpis"] |= {"heating_kwh": {"value": 50.0}, "gas_kwh": {"value": 30.0}}
    bars = {bar.name: list(bar.x) for bar in end_uses_figure(entries).data}
    assert bars["heating by gas"] == [30.0, 30.0]
    assert bars["heating by electricity"] == [20.0, 20.0]
