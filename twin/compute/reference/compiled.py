"""Machine code for array kernels; import this module lazily, numba takes a second to load."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., object])


def compiled(kernel: Kernel) -> Kernel:
    """The same function as machine code, kept on disk, in strict floating-point order."""
    return cast("Kernel", numba.njit(cache=True)(kernel))
