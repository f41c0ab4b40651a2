"""Points are proposed from names and units that building automation uses."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from connectors.mapping_proposals import fragment, propose
from twin.vocab import PointKind


class Found:
    def __init__(self, name: str, unit: str = "degrees-celsius", description: str = "") -> None:
        self.device, self.object, self.name, self.unit, self.description = 7, "analog-input,1", name, unit, description


@pytest.mark.parametrize(
    ("name", "unit", "kind"),
    [
        ("VAV-2-3_ZoneTemp", "degrees-fahrenheit", PointKind.ZONE_AIR_TEMPERATURE),
        ("Room 12 Air Temperature", "degrees-celsius", PointKind.ZONE_AIR_TEMPERATURE),
        ("zone 1 cooling setpoint", "degrees-celsius", PointKind.ZONE_COOLING_SETPOINT),
        ("R12.HTG_STPT", "degrees-celsius", PointKind.ZONE_HEATING_SETPOINT),
        ("AHU1/SAT", "degrees-celsius", PointKind.AHU_SUPPLY_AIR_TEMPERATURE),
        ("AHU1/SAT_SP", "degrees-celsius", PointKind.AHU_SUPPLY_AIR_TEMPERATURE_SETPOINT),
        ("OutsideAirTemp", "degrees-fahrenheit", PointKind.OUTDOOR_AIR_TEMPERATURE),
        ("Room 12 CO2", "parts-per-million", PointKind.ZONE_CO2),
        ("Main electrical demand", "kilowatts", PointKind.ELECTRIC_POWER),
        ("Room 12 CO2", "percent", None),
        ("Elevator position", "no-units", None),
    ],
)
def test_name_and_unit_together_propose_a_kind(name: str, unit: str, kind: PointKind | None) -> None:
    assert propose([Found(name, unit)])[0].kind is kind


def test_the_fragment_is_yaml_and_foreign_names_cannot_break_it() -> None:
    text = fragment(propose([Found("Room 1 temp\nhosts: {x: y}"), Found("\x1b[31mfan\n- z", "no-units")]), "bms")
    points = YAML(typ="safe").load(text)["connectors"]["bms"]["points"]
    assert [point["kind"] for point in points.values()] == ["zone_air_temperature"]
    assert "\x1b" not in text
