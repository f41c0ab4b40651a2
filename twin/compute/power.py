"""Electric power of hosts: curves through eleven points, as SPECpower tables give them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SEGMENTS = 10


def power_w(curve_w: Array, utilization: Array) -> Array:
    """Power of each host at its utilisation, linear between the ten-percent points. [W]

    Args:
        curve_w: watts at 0, 10, … 100 %, shape (hosts, 11). [W]
        utilization: share of capacity in use, clipped to 0..1, shape (hosts,).
    """
    place = np.clip(utilization, 0.0, 1.0) * SEGMENTS
    left = np.minimum(place.astype(np.int64), SEGMENTS - 1)
    rows = np.arange(len(curve_w))
    low = curve_w[rows, left]
    lifted: Array = low + (place - left) * (curve_w[rows, left + 1] - low)
    return lifted
