"""The site file: what it accepts, what it refuses and where it points."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from connectors.settings import Block, SiteFile, load_site, read_site, site_schema
from connectors.settings.template import TEMPLATE
from twin.errors import BadInputError
from twin.policy import Setpoint
from twin.vocab import EndUse, PointKind, SystemType


def site_from(text: str) -> SiteFile:
    return read_site(text.encode(), Path("site.yaml"))


def refusal(text: str) -> str:
    with pytest.raises(BadInputError) as caught:
        site_from(text)
    return str(caught.value)


def changed(old: str, new: str) -> str:
    assert old in TEMPLATE
    return TEMPLATE.replace(old, new, 1)


def place(text: str, part: str) -> str:
    """``site.yaml:LINE:COL`` of the first occurrence of a part of the text."""
    before = text[: text.index(part)]
    return f"site.yaml:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}:"


def test_the_template_describes_a_building_with_one_packaged_unit_per_zone() -> None:
    site = site_from(TEMPLATE).site
    assert [unit.id for unit in site.air_handlers] == ["rtu_core", "rtu_south"]
    assert {unit.system for unit in site.air_handlers} == {SystemType.PACKAGED_SINGLE_ZONE}
    assert [zone.air_handler for zone in site.zones] == ["rtu_core", "rtu_south"]
    assert site.operation.heating_setpoint_c == Setpoint(occupied=21.0, unoccupied=15.6)
    assert site.air_handlers[0].rated_cop is None


def test_a_pattern_column_becomes_one_point_per_zone() -> None:
    site_file = site_from(TEMPLATE)
    points = site_file.site.points_of(PointKind.ZONE_AIR_TEMPERATURE)
    assert [point.id for point in points] == ["core/zone_air_temperature", "south/zone_air_temperature"]
    columns = {column.column: column.points for column in site_file.sources["building"].columns}
    assert columns["core.temp_f"] == {"": "core/zone_air_temperature"}


def test_meters_of_one_end_use_need_no_declaration() -> None:
    covers = {meter.kind: meter.covers for meter in site_from(TEMPLATE).site.meters}
    assert covers[PointKind.FAN_POWER] == (EndUse.FAN,)
    assert EndUse.HEATING_GAS not in covers[PointKind.ELECTRIC_POWER]


def test_a_key_column_maps_one_column_to_a_point_per_zone() -> None:
    text = changed(
        '      - {column: "{zone}.people", kind: zone_occupancy, unit: people}',
        '      - {column: "{zone}.people", kind: zone_occupancy, unit: people}\n'
        "  zones:\n    files: [zones.parquet]\n    key: {column: zone, of: zone}\n    names: {Core_ZN: core}\n"
        "    columns:\n      - {column: co2, kind: zone_co2, unit: ppm}\n",
    )
    (column,) = site_from(text).sources["zones"].columns
    assert column.points == {"Core_ZN": "core/zone_co2", "south": "south/zone_co2"}


def test_holidays_come_from_dates_or_a_country() -> None:
    country = site_from(TEMPLATE).site.holidays
    assert date(2023, 7, 4) in country
    listed = site_from(changed("holidays: US", "holidays: [2023-07-03]")).site.holidays
    assert listed == frozenset({date(2023, 7, 3)})
    mixed = changed("holidays: US", "holidays: {country: US, dates: [2023-07-03], without: [2023-07-04]}")
    assert date(2023, 7, 3) in site_from(mixed).site.holidays
    assert date(2023, 7, 4) not in site_from(mixed).site.holidays


@pytest.mark.parametrize(
    ("old", "new", "at", "part"),
    [
        ("floor_area_m2: 150", "floor_aera_m2: 150", "floor_aera_m2", "did you mean 'floor_area_m2'"),
        ("floor_area_m2: 150", 'floor_area_m2: "150"', '"150"', "without quotes"),
        ("floor_area_m2: 150", "floor_area_m2: -1", "-1", "greater than 0"),
        ("floor_area_m2: 150", "floor_area_m2: .nan", ".nan", "finite"),
        ("    floor_area_m2: 150\n", "", "id: core", "'floor_area_m2' is missing"),
        ("latitude_deg: 41.98", "latitude_deg: 141.98", "141.98", "less than or equal to 90"),
        ("time_zone: America/Chicago          #", "time_zone: Chicago #", "Chicago #", "IANA"),
        ("zone: south, area_m2: 84", "zone: sooth, area_m2: 84", "sooth", "not a zone of this site"),
        ("window_m2: 20.6", "window_m2: 200", "200", "do not fit"),
        ("each_zone: [core, south]", "each_zone: [core]", "south\n    floor: 0", "no air handler serves this zone"),
        ("each_zone: [core, south]", "zones: [core, south]", '"rtu_{zone}"', "exactly when each_zone"),
        ("unit: degF}\n      - {column: ghi", "unit: F}\n      - {column: ghi", "F}\n", "use one of degC, degF, K"),
        (", unit: W/m2", "", "{column: ghi", "'unit' is missing"),
        ("kind: zone_occupancy", "kind: zone_ocupancy", "zone_ocupancy", "zone_occupancy"),
        (
            "kind: zone_occupancy, unit: people",
            "kind: fan_power, unit: persons",
            "persons",
            "is not a unit of fan_power",
        ),
        ("unit: therm}", "unit: therm, reading: mean}", "mean}", "does not fit"),
        ("electricity_kwh, kind: electric_power", "fans, kind: gas_power", "gas_power", "covers is not declared"),
        ("occupied: 21,", "occupied: hot,", "hot", "from 0 to 35"),
        ("heating_setpoint_c:", "heat_setpoint_c:", "heat_setpoint_c", "did you mean"),
        ("step_min: 15", "step_min: 7", "7 ", "does not divide an hour"),
        ("min_c: 20, max_c: 26", "min_c: 27, max_c: 26", "{min_c", "not below"),
        ('files: ["telemetry/building*.csv"]', "connector: bms", "bms", "not a connector"),
        ("schema_version: 1", "schema_version: 2", "2\n", "it should be 1"),
        ("holidays: US", "holidays: QQ", "QQ", "list the dates instead"),
        ("holidays: US", "holidays: [2023-13-01]", "[2023", "2023-13-01"),
        ("economizer: false", "economizer: nope", "nope", "boolean"),
        ("name: my-building", "name: ../etc", "../etc", "pattern"),
    ],
)
def test_a_fault_names_line_column_value_and_remedy(old: str, new: str, at: str, part: str) -> None:
    text = changed(old, new)
    message = refusal(text)
    assert part in message
    assert place(text, at) in message


def test_all_faults_of_a_file_are_reported_at_once_in_their_order() -> None:
    text = changed("floor_area_m2: 150", "floor_area_m2: x").replace("occupied: 21,", "occupied: y,")
    lines = refusal(text).splitlines()
    assert lines[0] == "2 faults:"
    assert "floor_area_m2" in lines[1]
    assert "operation.heating_setpoint_c.occupied" in lines[2]


def test_the_same_zone_in_two_units_is_refused() -> None:
    text = changed("each_zone: [core, south]", "each_zone: [core, south, core]")
    assert "already served" in refusal(text)


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b\n"])
def test_a_file_that_is_no_mapping_is_refused(text: str) -> None:
    assert refusal(text).startswith("site.yaml:1:1:")


def test_a_missing_file_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="understudy init"):
        load_site(tmp_path / "site.yaml")


class _Settings(Block):
    port: int = Field(ge=1, le=65_535, description="UDP port")


def test_a_connector_validates_its_own_block_with_line_and_column() -> None:
    text = TEMPLATE + "connectors:\n  bms: {type: bacnet, port: 99999}\n"
    block = site_from(text).connectors["bms"]
    assert (block.kind, block.options) == ("bacnet", {"port": 99999})
    with pytest.raises(BadInputError) as caught:
        block.validated(_Settings)
    assert place(text, "99999") in str(caught.value)


def test_a_connector_without_type_is_refused() -> None:
    assert "'type' is missing" in refusal(TEMPLATE + "connectors:\n  bms: {port: 1}\n")


def test_hosts_and_vms_refer_to_what_exists() -> None:
    machines = (
        "host_types:\n  - {name: g1, cores: 8, core_mips: 2000, ram_mb: 65536, "
        "power_w: [50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150]}\n"
        "hosts:\n  - {id: h1, type: g1, zone: core}\n  - {id: h2, type: g9}\n"
        "vms:\n  - {id: v1, vcpus: 2, mips: 4000, ram_mb: 4096, host: h7}\n"
    )
    message = refusal(TEMPLATE + machines)
    assert "'g9' is not a host type" in message
    assert "'h7' is not a host" in message
    site = site_from(TEMPLATE + machines.replace("g9", "g1").replace("h7", "h2")).site
    assert (site.hosts[0].zone, site.vms[0].host) == ("core", "h2")


def _unexplained(schema: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}.{key}"
        for name, model in schema["$defs"].items()
        if "properties" in model
        for key, value in model["properties"].items()
        if "description" not in value
    ]


def test_the_schema_explains_every_key() -> None:
    schema = json.loads(json.dumps(site_schema()))
    assert "operation" in schema["properties"]
    assert _unexplained(schema) == []
