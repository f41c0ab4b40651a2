"""The text form of policies."""

from __future__ import annotations

import json

import pytest

from twin.errors import BadInputError
from twin.policy import (
    Consolidation,
    EmptyZoneSetback,
    NightCycle,
    OperatingHours,
    OptimalStart,
    OutdoorAir,
    Policy,
    Precool,
    Setpoint,
    SupplyAirReset,
)
from twin.policy_text import POLICY_KEYS, days_of, parse_policy, policy_rows, policy_schema, read_policy, zone_faults
from twin.text.tree import Fault


def test_every_key_of_the_reference_page_becomes_a_policy() -> None:
    policy = parse_policy(
        {
            "heating_setpoint_c": {"occupied": 21, "unoccupied": 15.6},
            "cooling_setpoint_c": {"occupied": 24, "unoccupied": 26.7, "zones": {"core": {"occupied": 23}}},
            "operating_hours": {
                "mon-fri": ["06:00", "22:00"],
                "sat": ["06:00", "18:00"],
                "sun": "off",
                "holidays": "off",
                "called_by_occupancy": 3,
            },
            "optimal_start": {"latest": "06:30", "warm_up_k_per_h": 4},
            "empty_zone_setback": {"delta_k": 2, "after_min": 30, "from": "17:00"},
            "supply_air_temperature_c": {"reset": {"min": 12.8, "max": 18, "rise_k": 0.25, "fall_k": 0.5}},
            "outdoor_air": {"start_delay_h": 1, "demand_controlled": {"min_fraction": 0.2}},
            "economizer": "differential_dry_bulb",
            "night_cycle": {"tolerance_k": 1, "run_min": 30},
            "precool": {"from": "13:00", "to": "16:00", "setpoint_c": 22},
            "consolidation": {"overload": "iqr", "selection": "rs"},
            "power_down_idle_hosts": True,
            "headroom": 0.2,
        }
    )
    week = dict.fromkeys(["mon", "tue", "wed", "thu", "fri"], (6.0, 22.0))
    assert policy == Policy(
        heating_setpoint_c=Setpoint(occupied=21.0, unoccupied=15.6),
        cooling_setpoint_c=Setpoint(occupied=24.0, unoccupied=26.7),
        zone_heating_setpoint_c={},
        zone_cooling_setpoint_c={"core": Setpoint(occupied=23.0, unoccupied=26.7)},
        operating_hours=OperatingHours(
            windows={**week, "sat": (6.0, 18.0), "sun": None, "holidays": None}, called_by_occupancy=3
        ),
        optimal_start=OptimalStart(latest_h=6.5, warm_up_k_per_h=4.0),
        empty_zone_setback=EmptyZoneSetback(delta_k=2.0, after_min=30.0, from_h=17.0),
        supply_air_temperature_c=SupplyAirReset(min_c=12.8, max_c=18.0, rise_k=0.25, fall_k=0.5),
        outdoor_air=OutdoorAir(start_delay_h=1.0, demand_controlled_min_fraction=0.2),
        economizer="differential_dry_bulb",
        night_cycle=NightCycle(tolerance_k=1.0, run_min=30.0),
        precool=Precool(from_h=13.0, to_h=16.0, setpoint_c=22.0),
        consolidation=Consolidation(overload="iqr", selection="rs"),
        power_down_idle_hosts=True,
        headroom=0.2,
    )


@pytest.mark.parametrize("node", [None, {}, "baseline"])
def test_an_empty_policy_means_as_operated(node: object) -> None:
    assert parse_policy(node) == Policy()


def test_off_switches_a_block_off() -> None:
    policy = parse_policy({"night_cycle": "off", "optimal_start": False, "outdoor_air": {"demand_controlled": "off"}})
    assert (policy.night_cycle, policy.optimal_start) == ("off", "off")
    assert policy.outdoor_air == OutdoorAir(demand_controlled_min_fraction=1.0)


def test_a_plain_number_is_a_fixed_supply_air_temperature() -> None:
    assert parse_policy({"supply_air_temperature_c": 12.8}).supply_air_temperature_c == SupplyAirReset(
        min_c=12.8, max_c=12.8
    )


@pytest.mark.parametrize(
    ("node", "path", "part"),
    [
        ({"heating_setpont_c": {}}, "heating_setpont_c", "did you mean 'heating_setpoint_c'"),
        ({"heating_setpoint_c": {"occupied": 21}}, "heating_setpoint_c", "'unoccupied' is missing"),
        ({"heating_setpoint_c": {"occupied": "21", "unoccupied": 15}}, "heating_setpoint_c.occupied", "without quotes"),
        ({"heating_setpoint_c": {"occupied": 70, "unoccupied": 15}}, "heating_setpoint_c.occupied", "from 0 to 35 °C"),
        ({"heating_setpoint_c": {"occupied": float("nan"), "unoccupied": 15}}, "heating_setpoint_c.occupied", "nan"),
        ({"operating_hours": {"mon-fri": 1320}}, "operating_hours.mon-fri", "1320"),
        ({"operating_hours": {"mon-fri": ["22:00", "06:00"]}}, "operating_hours.mon-fri", "not after start"),
        ({"operating_hours": {"mon-fri": ["6:00", "22:00"]}}, "operating_hours.mon-fri[0]", "HH:MM"),
        ({"operating_hours": {"mon-fri": "off", "tue": "off"}}, "operating_hours.tue", "name each day once"),
        ({"operating_hours": {"monday": "off"}}, "operating_hours.monday", "unknown day"),
        ({"outdoor_air": {"demand_controlled": {"min_fraction": 2}}}, "demand_controlled.min_fraction", "from 0 to 1"),
        ({"supply_air_temperature_c": {"reset": {"min": 18, "max": 12}}}, "supply_air_temperature_c.reset", "exchange"),
        ({"supply_air_temperature_c": 128}, "supply_air_temperature_c", "from 5 to 35 °C"),
        ({"precool": {"from": "16:00", "to": "13:00", "setpoint_c": 22}}, "precool", "not after"),
        ({"power_down_idle_hosts": "maybe"}, "power_down_idle_hosts", "true or false"),
        ({"economizer": "enthalpy"}, "economizer", "differential_dry_bulb"),
        ([1], "the file", "is not a mapping"),
    ],
)
def test_a_fault_names_path_and_remedy(node: object, path: str, part: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse_policy(node)
    assert path in str(caught.value)
    assert part in str(caught.value)


def test_all_faults_are_gathered() -> None:
    faults: list[Fault] = []
    read_policy({"headroom": 3, "economizer": 1}, ("policy",), faults)
    assert [fault.path for fault in faults] == [("policy", "economizer"), ("policy", "headroom")]


def test_setpoints_closer_than_one_kelvin_are_a_fault() -> None:
    with pytest.raises(BadInputError, match="closer than 1 K"):
        parse_policy(
            {
                "heating_setpoint_c": {"occupied": 23.5, "unoccupied": 15},
                "cooling_setpoint_c": {"occupied": 24, "unoccupied": 27},
            }
        )


def test_a_setting_of_a_zone_that_the_site_lacks_is_a_fault() -> None:
    policy = parse_policy({"heating_setpoint_c": {"zones": {"attic": {"occupied": 20, "unoccupied": 15}}}})
    assert policy.heating_setpoint_c is None
    (fault,) = zone_faults(policy, ["core"], ("operation",))
    assert fault.path == ("operation", "heating_setpoint_c", "zones", "attic")


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-wed", ("mon", "tue", "wed")),
        ("sat, sun", ("sat", "sun")),
        ("Daily", ("mon", "tue", "wed", "thu", "fri", "sat", "sun")),
        ("holidays", ("holidays",)),
        ("fri-mon", ()),
    ],
)
def test_days_are_named_alone_in_ranges_and_lists(text: str, days: tuple[str, ...]) -> None:
    assert days_of(text) == days


def test_days_and_outdoor_air_keys_that_a_scenario_leaves_out_stay_as_operated() -> None:
    operated = parse_policy(
        {"operating_hours": {"mon": ["06:00", "22:00"], "sun": "off"}, "outdoor_air": {"start_delay_h": 1}}
    )
    scenario = parse_policy({"operating_hours": {"mon": ["07:00", "20:00"]}, "outdoor_air": {"demand_controlled": {}}})
    merged = operated.merge(scenario)
    assert merged.operating_hours == OperatingHours(windows={"mon": (7.0, 20.0), "sun": None})
    assert merged.outdoor_air == OutdoorAir(start_delay_h=1.0, demand_controlled_min_fraction=0.2)


def test_a_new_setpoint_for_all_zones_replaces_those_of_single_zones() -> None:
    operated = parse_policy(
        {"heating_setpoint_c": {"occupied": 21, "unoccupied": 15, "zones": {"core": {"occupied": 22}}}}
    )
    merged = operated.merge(parse_policy({"heating_setpoint_c": {"occupied": 20, "unoccupied": 15}}))
    assert merged.zone_heating_setpoint_c == {}


def test_schema_and_table_cover_every_key_of_a_policy() -> None:
    schema = json.loads(json.dumps(policy_schema()))
    assert set(schema["anyOf"][2]["properties"]) == set(POLICY_KEYS)
    rows = {name for name, _, _ in policy_rows()}
    assert set(POLICY_KEYS) <= rows
    assert "supply_air_temperature_c.reset.rise_k" in rows
