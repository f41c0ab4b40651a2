"""Which VM leaves an over-utilised host first.

Source: Beloglazov and Buyya, CCPE 24(13), 2012: minimum migration
time, minimum utilisation, random, maximum correlation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def multiple_correlation(history: Array, subject: int) -> float:
    """R² of one VM's demand regressed on that of the others.

    Args:
        history: demand, shape (steps, VMs).
        subject: column to explain.
    """
    y = history[:, subject]
    others = np.delete(history, subject, axis=1)
    design = np.column_stack([np.ones(len(y)), others])
    fit, *_ = np.linalg.lstsq(design, y, rcond=None)
    total = float(((y - y.mean()) ** 2).sum())
    return 1.0 - float(((y - design @ fit) ** 2).sum()) / total if total > 0.0 else 0.0


def select(kind: str, ram_mb: Array, demand: Array, history: Array, rng: np.random.Generator) -> int:
    """Position of the VM to move among those given.

    Args:
        kind: ``mmt``, ``mu``, ``rs`` or ``mc``.
        ram_mb: memory of each, which decides the time of its migration, shape (VMs,). [MB]
        demand: CPU demand now, shape (VMs,).
        history: CPU demand of the steps before, shape (steps, VMs).
        rng: for ``rs``.
    """
    if kind == "rs":
        return int(rng.integers(len(ram_mb)))
    if kind == "mu":
        return int(np.argmin(demand))
    if kind == "mc" and len(history) > len(ram_mb) > 1:
        return int(np.argmax([multiple_correlation(history, vm) for vm in range(len(ram_mb))]))
    return int(np.argmin(ram_mb))
