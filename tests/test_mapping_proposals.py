"""Points are proposed from names, units and models of building automation; the fragment is valid as it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from connectors.brick_model import read_brick
from connectors.mapping_proposals import Described, Discovery, fragment, propose
from connectors.protocols.prometheus_series import described
from connectors.registry import build
from connectors.settings import SiteFile, read_site
from connectors.settings.edit import with_blocks
from connectors.settings.template import TEMPLATE
from twin.clock import SimClock
from twin.errors import BadInputError
from twin.vocab import PointKind

BMS = """
connectors:
  bms:
    type: bacnet
    bind: 127.0.0.1/8:47809
    devices: {ahu: {instance: 7, address: "10.1.2.3"}}
    points: {mine: {device: ahu, object: "analog-value,9"}}
  prom: {type: prometheus, server: {url: "http://127.0.0.1:9090"}, points: {}}
"""
BRICK = """
@prefix brick: <https://brickschema.org/schema/Brick#> .
@prefix ref: <https://brickschema.org/schema/Brick/ref#> .
@prefix bacnet: <http://data.ashrae.org/bacnet/2020#> .
@prefix unit: <http://qudt.org/vocab/unit/> .
@prefix : <urn:office#> .
:ahu-controller a bacnet:BACnetDevice ; bacnet:device-instance 7 .
:vav-controller a bacnet:BACnetDevice ; bacnet:device-instance 12 .
:VAV-1 a brick:VAV ; brick:feeds :core ; brick:hasPoint :t1 .
:core a brick:HVAC_Zone .
:t1 a brick:Zone_Air_Temperature_Sensor ; brick:hasUnit unit:DEG_F ;
    ref:hasExternalReference [ a ref:BACnetReference ;
        bacnet:object-identifier "analog-input,3" ; bacnet:objectOf :vav-controller ] .
:oat a brick:Outside_Air_Temperature_Sensor ; brick:hasUnit unit:DEG_C ;
    ref:hasExternalReference [ a ref:BACnetReference ;
        bacnet:object-identifier "analog-input,1" ; bacnet:objectOf :ahu-controller ] .
:lost a brick:Zone_CO2_Level_Sensor .
:fan a brick:Fan_Status .
"""


def found(name: str, unit: str = "degC", description: str = "") -> Described:
    return Described(name=name, unit=unit, description=description, place={"device": "ahu", "object": "analog-input,1"})


@pytest.fixture
def site_file() -> SiteFile:
    return read_site((TEMPLATE + BMS).encode(), Path("site.yaml"))


def pasted(site_file: SiteFile, text: str) -> SiteFile:
    """The site file with a fragment put where it belongs, and its connectors built."""
    blocks: dict[str, Any] = YAML(typ="safe").load(text)
    made = read_site(with_blocks(TEMPLATE + BMS, blocks).encode(), site_file.path)
    for block in made.connectors.values():
        build(block, SimClock)  # type: ignore[arg-type]  # no connector asks for the time before it is used
    return made


@pytest.mark.parametrize(
    ("name", "unit", "kind"),
    [
        ("VAV-2-3_ZoneTemp", "degF", PointKind.ZONE_AIR_TEMPERATURE),
        ("Room 12 Air Temperature", "degC", PointKind.ZONE_AIR_TEMPERATURE),
        ("zone 1 cooling setpoint", "degC", PointKind.ZONE_COOLING_SETPOINT),
        ("R12.HTG_STPT", "degC", PointKind.ZONE_HEATING_SETPOINT),
        ("AHU1/SAT", "degC", PointKind.AHU_SUPPLY_AIR_TEMPERATURE),
        ("AHU1/SAT_SP", "degC", PointKind.AHU_SUPPLY_AIR_TEMPERATURE_SETPOINT),
        ("OutsideAirTemp", "degF", PointKind.OUTDOOR_AIR_TEMPERATURE),
        ("Room 12 CO2", "ppm", PointKind.ZONE_CO2),
        ("Main electrical demand", "kW", PointKind.ELECTRIC_POWER),
        ("Room 12 CO2", "percent", None),
        ("Elevator position", "", None),
    ],
)
def test_name_and_unit_together_propose_a_kind(
    name: str, unit: str, kind: PointKind | None, site_file: SiteFile
) -> None:
    assert propose([found(name, unit)], site_file.site)[0].kind is kind


@pytest.mark.parametrize(
    ("name", "of"), [("Core room temp", "core"), ("SOUTH_ZoneTemp", "south"), ("corridor room temp", None)]
)
def test_a_point_belongs_to_what_its_name_names(name: str, of: str | None, site_file: SiteFile) -> None:
    assert propose([found(name)], site_file.site)[0].of == of


def test_a_fragment_is_valid_as_it_stands_and_keeps_what_was_there(site_file: SiteFile) -> None:
    points = [found("core room temp", "degF"), found("OAT"), found("corridor room temp"), found("core zone temp 2")]
    text = fragment(Discovery(points=points), site_file.connectors["bms"], site_file.site)
    made = pasted(site_file, text)
    assert list(made.connectors["bms"].options["points"]) == [
        "mine", "core/zone_air_temperature", "outdoor_air_temperature", "corridor-room-temp/zone_air_temperature",
        "core/zone_air_temperature-2",
    ]  # fmt: skip
    assert {point.id for point in made.sources["bms_live"].points} == {
        "core/zone_air_temperature", "outdoor_air_temperature", "core/zone_air_temperature-2",
    }  # fmt: skip
    assert "of what? corridor-room-temp/zone_air_temperature" in text


def test_foreign_names_cannot_break_a_fragment(site_file: SiteFile) -> None:
    hostile = [found("Room 1 temp\nhosts: {x: y}"), found("\x1b[31mfan\n- z", "")]
    text = fragment(Discovery(points=hostile), site_file.connectors["bms"], site_file.site)
    made = pasted(site_file, text)
    assert len(made.connectors["bms"].options["points"]) == 2
    assert made.site.hosts == ()
    assert "\x1b" not in text


def test_a_brick_model_gives_points_with_their_places_and_unknown_devices(site_file: SiteFile, tmp_path: Path) -> None:
    pytest.importorskip("rdflib")
    (tmp_path / "office.ttl").write_text(BRICK)
    discovery = read_brick(tmp_path / "office.ttl", {7: "ahu"})
    by_kind = {one.kind: one for one in propose(discovery.points, site_file.site)}
    zone, outdoor = by_kind[PointKind.ZONE_AIR_TEMPERATURE], by_kind[PointKind.OUTDOOR_AIR_TEMPERATURE]
    assert (zone.of, zone.unit, zone.place) == ("core", "degF", {"device": "d12", "object": "analog-input,3"})
    assert (outdoor.unit, outdoor.place) == ("degC", {"device": "ahu", "object": "analog-input,1"})
    assert len(by_kind) == 2
    made = pasted(site_file, fragment(discovery, site_file.connectors["bms"], site_file.site))
    assert set(made.connectors["bms"].options["devices"]) == {"ahu", "d12"}


def test_what_is_no_model_is_bad_input(tmp_path: Path) -> None:
    pytest.importorskip("rdflib")
    (tmp_path / "x.ttl").write_text("this is no turtle")
    with pytest.raises(BadInputError, match="cannot be read as a Brick model"):
        read_brick(tmp_path / "x.ttl", {})


def test_metrics_become_points_of_hosts_and_rooms(site_file: SiteFile) -> None:
    series = {
        "node_cpu_seconds_total": [{"instance": "h1:9100", "cpu": "0"}, {"instance": "h1:9100", "cpu": "1"}],
        "room_temperature_celsius": [{"room": "core", "job": "iot"}, {"room": "south", "job": "iot"}],
        "node_hwmon_temp_celsius": [{"instance": "h1:9100"}],
        "some_counter_total": [{}],
    }
    points = list(described(list(series), series.__getitem__))
    assert [one.place["query"] for one in points] == [
        '1 - avg(rate(node_cpu_seconds_total{mode="idle",instance="h1:9100"}[5m]))',
        'room_temperature_celsius{job="iot",room="core"}',
        'room_temperature_celsius{job="iot",room="south"}',
    ]
    kinds = [(one.kind, one.of) for one in propose(points, site_file.site)]
    room = PointKind.ZONE_AIR_TEMPERATURE
    assert kinds == [(PointKind.HOST_CPU_UTILIZATION, None), (room, "core"), (room, "south")]
    pasted(site_file, fragment(Discovery(points=points), site_file.connectors["prom"], site_file.site))
