"""The EnergyPlus building as an independent world, and the bundled site that is made with it."""
