"""Simulated systems behind the connector contract: the demos and tests run the real push path on them."""

from connectors.simulated.building import SimulatedBuilding
from connectors.simulated.faults import Fault, FaultyConnector
from connectors.simulated.hosts import SimulatedHosts

__all__ = ["Fault", "FaultyConnector", "SimulatedBuilding", "SimulatedHosts"]
