"""Hosts and VMs: demand, contention, power, live migration, consolidation."""

from twin.compute.demand import DEFAULT_PROFILE, Habit, LocalTime, Profile, generate_demand, local_time
from twin.compute.fleet import Fleet, fleet
from twin.compute.model import ComputeModel, ComputeStep, simulate_compute
from twin.compute.rules import Rules, rules_of

__all__ = [
    "DEFAULT_PROFILE",
    "ComputeModel",
    "ComputeStep",
    "Fleet",
    "Habit",
    "LocalTime",
    "Profile",
    "Rules",
    "fleet",
    "generate_demand",
    "local_time",
    "rules_of",
    "simulate_compute",
]
