"""The Dash dashboard: pure figures, thin callbacks, services passed in."""
