"""Calibration: fit a twin to telemetry, test it on weeks it has not seen, say how sure it is."""

from twin.calibration.calibrate import calibrate

__all__ = ["calibrate"]
