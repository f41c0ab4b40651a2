"""Forecasts of occupancy, load and VM demand with honest intervals."""
