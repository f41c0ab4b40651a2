"""Services kept in memory: for a first look without stores, for tests, and for measuring the pages alone."""

from dashboard.memory.clock import EPOCH, FixedClock
from dashboard.memory.jobs import MemoryJobs
from dashboard.memory.plans import MemoryIdentity, MemoryPlans
from dashboard.memory.records import MemoryAudit, MemoryModels, MemoryResults, MemorySettings
from dashboard.memory.telemetry import MemoryTelemetry

__all__ = [
    "EPOCH",
    "FixedClock",
    "MemoryAudit",
    "MemoryIdentity",
    "MemoryJobs",
    "MemoryModels",
    "MemoryPlans",
    "MemoryResults",
    "MemorySettings",
    "MemoryTelemetry",
]
