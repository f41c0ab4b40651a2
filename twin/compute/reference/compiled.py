"""Machine code for array kernels; import this module lazily, numba takes a second to load."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from types import FunctionType
from typing import TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., object])
_PARTS: list[FunctionType] = []


def inner(kernel: Kernel) -> Kernel:
    """Machine code in strict floating-point order, for functions that only other kernels call.

    There is no door for Python, which takes longer to build than the rest.
    """
    return _part(kernel, forceinline=False)


def inlined(kernel: Kernel) -> Kernel:
    """As ``inner``, for small functions of inner loops: put into their callers.

    A call that is not inlined copies every array of its named tuples and counts references, which costs more than the
    work of a small function.
    """
    return _part(kernel, forceinline=True)


def compiled(kernel: Kernel) -> Kernel:
    """Machine code that Python calls, kept on disk.

    The name on disk carries a checksum of the byte code and constants of all parts: numba itself looks only at the
    file of the outermost kernel and would go on using old code when a part changes.
    """
    door = cast("FunctionType", kernel)
    checksum = 0
    for part in [*_PARTS, door]:
        code = part.__code__
        numbers = [part.__globals__.get(name) for name in code.co_names]
        frozen = [number for number in numbers if isinstance(number, int | float)]
        checksum = zlib.crc32(repr((code.co_code, code.co_consts, code.co_names, frozen)).encode(), checksum)
    door.__qualname__ = f"{door.__qualname__}_{checksum:08x}"
    return cast("Kernel", numba.njit(cache=True, error_model="numpy")(kernel))


def _part(kernel: Kernel, *, forceinline: bool) -> Kernel:
    _PARTS.append(cast("FunctionType", kernel))
    build = numba.njit(  # type: ignore[call-overload]  # the stubs lack the two wrappers
        error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=forceinline
    )
    return cast("Kernel", build(kernel))
