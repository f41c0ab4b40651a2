"""What-ifs that most buildings try first; a person changes them before they run."""

from __future__ import annotations

from collections.abc import Mapping

PRESETS: Mapping[str, Mapping[str, object]] = {
    "Wider setback at night": {
        "heating_setpoint_c": {"occupied": 21, "unoccupied": 15},
        "cooling_setpoint_c": {"occupied": 24, "unoccupied": 28},
    },
    "Shorter hours, called by people": {
        "operating_hours": {"mon-fri": ["06:00", "20:00"], "sat": "off", "sun": "off", "called_by_occupancy": 3}
    },
    "Warmer supply air when nobody needs it cold": {
        "supply_air_temperature_c": {"reset": {"min": 12.8, "max": 18, "rise_k": 0.25, "fall_k": 0.5}}
    },
    "Outdoor air by people": {"outdoor_air": {"start_delay_h": 1, "demand_controlled": {"min_fraction": 0.2}}},
    "Empty rooms set back": {"empty_zone_setback": {"delta_k": 2, "after_min": 30}},
    "Start as late as possible": {"optimal_start": {"latest": "07:00", "warm_up_k_per_h": 3}},
    "Fewer hosts": {
        "consolidation": {"overload": "lr", "selection": "mmt", "placement": "pabfd"},
        "power_down_idle_hosts": True,
        "headroom": 0.2,
    },
}
