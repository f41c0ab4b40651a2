"""Forecasts of people, load and machines: candidates, automatic choice, calibrated intervals, samples, drift."""
