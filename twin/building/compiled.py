"""How the step loop is compiled: cached, without reference counts (nothing in it allocates), as one function."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import config, njit

F = TypeVar("F", bound=Callable[..., Any])

_FOLDER = Path(__file__).parent


def _cache_folder() -> str:
    """A folder for machine code, named after the sources of this package.

    numba renews a cached function when its own file changes, not when a function that it calls does; with a name of all
    sources nothing stale is ever run. Empty (numba's own choice) where the package cannot be written to.
    """
    parts = [path.read_bytes() for path in sorted(_FOLDER.glob("*.py"))]
    folder = _FOLDER / "__pycache__" / f"machine-{hashlib.sha256(b''.join(parts)).hexdigest()[:12]}"
    return str(folder) if os.access(_FOLDER, os.W_OK) else ""


_CACHE = _cache_folder()


def compiled(function: F) -> F:
    """The function as machine code, with products and sums fused where the machine can.

    Arrays in named tuples would otherwise be counted in and out at every call, and calls that are not part of the
    caller hand them over one by one; both cost more than the physics.
    """
    return _machine_code(function, {"contract"})


def exact(function: F) -> F:
    """As ``compiled``, with every operation rounded for itself: for what is done in two ways that must agree."""
    return _machine_code(function, set())


def _machine_code(function: F, maths: set[str]) -> F:
    options: dict[str, Any] = {
        "cache": True,
        "error_model": "numpy",
        "fastmath": maths,
        "_nrt": False,
        "forceinline": True,
    }
    settings: Any = config
    before = settings.CACHE_DIR
    settings.CACHE_DIR = _CACHE or before
    try:
        return cast(F, njit(**options)(function))
    finally:
        settings.CACHE_DIR = before
