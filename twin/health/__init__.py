"""Data health: what is wrong with telemetry, as records. Nothing is repaired here."""

from twin.health.finding import Finding, FindingKind, finding_from_json

__all__ = ["Finding", "FindingKind", "finding_from_json"]
