"""From long-form telemetry to arrays: the regular grid, drivers, and the record that calibration fits."""

from twin.telemetry.grid import COLUMNS, HELD_STEPS, Grid, regular_grid, series_of
from twin.telemetry.record import CalibrationData, calibration_data, drivers_from

__all__ = [
    "COLUMNS",
    "HELD_STEPS",
    "CalibrationData",
    "Grid",
    "calibration_data",
    "drivers_from",
    "regular_grid",
    "series_of",
]
