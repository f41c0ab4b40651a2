"""Machine code for array kernels; import this module lazily, numba takes a second to load."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., object])


def compiled(kernel: Kernel) -> Kernel:
    """The same function as machine code, kept on disk, in strict floating-point order."""
    return cast("Kernel", numba.njit(cache=True)(kernel))


def inlined(kernel: Kernel) -> Kernel:
    """As ``compiled``, for small functions of inner loops: put into their callers.

    A call that is not inlined copies every array of its named tuples and counts references, which costs more than the
    work of a small function.
    """
    return cast("Kernel", numba.njit(cache=True, forceinline=True)(kernel))
