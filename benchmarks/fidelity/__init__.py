"""What the fidelity benchmark stands on: sites, policies, people, and runs of the EnergyPlus building."""
