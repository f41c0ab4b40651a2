"""How the step loop is compiled: cached, without reference counts (nothing in it allocates), with fused sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """The function as machine code.

    Arrays in named tuples would otherwise be counted in and out at every call, which costs more than the physics.
    """
    maths = {"contract", "reassoc", "nsz", "arcp"}
    options: dict[str, Any] = {"cache": True, "error_model": "numpy", "fastmath": maths, "_nrt": False}
    return cast(F, njit(**options)(function))
