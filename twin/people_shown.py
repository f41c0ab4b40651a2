"""How counts of people are shown: never so small that one person is seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST_SHOWN = 3
"""A count between none and this is shown as this."""


def shown_counts(counts: NDArray[np.floating]) -> NDArray[np.floating]:
    """Counts as people may see them: none, or at least three; NaN stays NaN."""
    few = (counts > 0) & (counts < LEAST_SHOWN)
    result: NDArray[np.floating] = np.where(few, np.asarray(LEAST_SHOWN, dtype=counts.dtype), counts)
    return result
