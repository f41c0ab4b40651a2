"""Governance: who people are, what they approved, and which rules stand between a plan and the world."""

from connectors.governance.approvals import Approvals, propose
from connectors.governance.gate import GovernedGate
from connectors.governance.identity import Identity
from connectors.governance.people import Principal, Role
from connectors.governance.policy import PolicyBundle, PolicyFolder, write_defaults
from connectors.governance.rulebook import Rulebook
from connectors.governance.standing import Standing, StandingApproval

__all__ = [
    "Approvals",
    "GovernedGate",
    "Identity",
    "PolicyBundle",
    "PolicyFolder",
    "Principal",
    "Role",
    "Rulebook",
    "Standing",
    "StandingApproval",
    "propose",
    "write_defaults",
]
