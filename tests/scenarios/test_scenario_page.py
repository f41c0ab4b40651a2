"""The page about scenarios says what the schemas say, and its examples run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_twin import SITE

from scenarios.expand import expand
from scenarios.reference import TABLES, with_tables
from scenarios.spec import ScenarioSpec, read_scenario, scenario_files
from twin.kpi import KPIS
from twin.policy_text import POLICY_KEYS

PAGE = Path(__file__).parents[2] / "docs" / "scenario.md"


def test_the_tables_are_those_of_the_schemas() -> None:
    """After a change of a schema: python -c "…with_tables…" as in this test, written back."""
    text = PAGE.read_text(encoding="utf-8")
    assert with_tables(text) == text


def test_every_table_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in TABLES if f"<!-- table: {name} -->" not in text] == []


@pytest.mark.parametrize("name", [*ScenarioSpec.model_fields, *POLICY_KEYS, *KPIS])
def test_every_key_and_kpi_is_described(name: str) -> None:
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


def test_the_examples_of_the_page_are_valid_together(tmp_path: Path) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for number, example in enumerate(examples):
        (tmp_path / f"{number}.yaml").write_text(example, encoding="utf-8")
    scenarios = expand([read_scenario(path) for path in scenario_files([tmp_path])], SITE)
    assert len(scenarios) == 2 + 6 + 1
    assert "grid [cooling_setpoint_c.occupied=25, overrides=heat_wave]" in {one.name for one in scenarios}
