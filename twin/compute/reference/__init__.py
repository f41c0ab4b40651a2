"""The field's reference experiment, reproduced step by step so that figures can be compared."""

from twin.compute.reference.day import ReferenceDay, least_energy_kwh, reference_facts, run_reference_day
from twin.compute.reference.profile import AS_CLOUDSIM, PLAUSIBLE, Quirks, ReferencePolicy

__all__ = [
    "AS_CLOUDSIM",
    "PLAUSIBLE",
    "Quirks",
    "ReferenceDay",
    "ReferencePolicy",
    "least_energy_kwh",
    "reference_facts",
    "run_reference_day",
]
