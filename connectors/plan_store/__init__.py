"""The plan store with its audit log: one SQLite file, one transaction per transition, a proof from outside."""

from connectors.plan_store.folder import StoreFolder
from connectors.plan_store.lease_table import LeaseRow
from connectors.plan_store.store import PlanStore
from connectors.plan_store.transitions import FencedError, StaleVersionError

__all__ = ["FencedError", "LeaseRow", "PlanStore", "StaleVersionError", "StoreFolder"]
