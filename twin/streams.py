"""Random streams that belong to a name."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *name: str) -> np.random.Generator:
    """Random numbers that depend on the seed and the name only, not on call order.

    Two policies that draw from the same names meet the same arrivals (common random numbers).
    """
    key = tuple(zlib.crc32(part.encode()) for part in name)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
