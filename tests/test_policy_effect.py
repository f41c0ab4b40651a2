"""Policy keys that a site's systems cannot follow are named; those that they can are not."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from twin.policy import Consolidation, OutdoorAir, Policy, Setpoint, SupplyAirReset
from twin.policy_effect import without_effect
from twin.site import AirHandler, Host, Location, Site, Zone
from twin.vocab import SystemType

PACKAGED = AirHandler(id="unit", system=SystemType.PACKAGED_SINGLE_ZONE, zones=("hall",))
SITE = Site(
    name="hall",
    time_zone=ZoneInfo("Europe/Berlin"),
    location=Location(latitude_deg=52.0, longitude_deg=13.0),
    zones=(Zone(id="hall", floor=0, floor_area_m2=100, volume_m3=300, air_handler="unit", design_people=10),),
    air_handlers=(PACKAGED,),
)
FULL = Policy(
    cooling_setpoint_c=Setpoint(occupied=25, unoccupied=28),
    supply_air_temperature_c=SupplyAirReset(min_c=14, max_c=18),
    outdoor_air=OutdoorAir(start_delay_h=1),
    economizer="differential_dry_bulb",
    consolidation=Consolidation(),
    power_down_idle_hosts=True,
)


def named(site: Site) -> list[str]:
    return [sentence.split("'")[1] for sentence in without_effect(FULL, site)]


def test_packaged_units_follow_neither_supply_air_nor_an_economizer_that_is_not_there() -> None:
    assert named(SITE) == ["supply_air_temperature_c", "economizer", "consolidation", "power_down_idle_hosts"]


def test_what_is_installed_can_be_ruled() -> None:
    unit = replace(PACKAGED, system=SystemType.VAV_REHEAT, economizer=True)
    equipped = replace(SITE, air_handlers=(unit,), hosts=(Host(id="h", type="plain"),))
    assert named(equipped) == []


def test_one_unit_that_follows_is_enough() -> None:
    other = AirHandler(id="other", system=SystemType.VAV_REHEAT, zones=("hall",), economizer=True)
    assert named(replace(SITE, air_handlers=(PACKAGED, other))) == ["consolidation", "power_down_idle_hosts"]


def test_a_policy_that_names_nothing_is_not_complained_of() -> None:
    assert without_effect(Policy(), SITE) == ()
