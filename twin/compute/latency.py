"""Response time of what runs in a VM, by the load of its host."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SERVICE_MS = 20.0
"""Response time on an idle host, our assumption for an office service. [ms]"""
CEILING_MS = 2000.0
"""What an overloaded host is charged with; its queue would grow without end. [ms]"""


def response_ms(utilization: Array, cores: Array, service_ms: float = SERVICE_MS) -> Array:
    """Mean response time on each host. [ms]

    M/M/c queue: service·(1 + ρ^(√(2(c+1)) − 1) / (c (1 − ρ))), capped by ``CEILING_MS``; exact for one core.
    Source: Sakasegawa, An approximation formula, Ann. Inst. Stat. Math. 29, 1977.

    Args:
        utilization: demand over capacity; 1 and above gives the ceiling, shape (hosts,).
        cores: cores of each host, shape (hosts,).
        service_ms: response time without waiting. [ms]
    """
    busy = np.clip(utilization, 0.0, 1.0)
    idle = np.maximum(1.0 - busy, 1e-9)
    waiting = busy ** (np.sqrt(2.0 * (cores + 1.0)) - 1.0) / (cores * idle)
    return np.minimum(service_ms * (1.0 + waiting), CEILING_MS)


def weighted_percentile(values: Array, weights: Array, share: float) -> float:
    """Smallest value below which at least ``share`` of the weight lies; 0 where there is no weight."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    if not len(reached) or reached[-1] <= 0.0:
        return 0.0
    return float(values[order][np.searchsorted(reached, share * reached[-1])])
