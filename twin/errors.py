"""The tree of errors: one base, few leaves, each with the exit code of the command line.

UnderstudyError
├── BadInputError        exit 2  a file, argument or value that a person must mend
├── RefusedError         exit 3  policy, guard, state or acceptance says no
│   └── IllegalTransitionError   the plan's table of states lacks this move
├── OutsideWorldError    exit 4  a device, server or file system failed
└── StoppedError         exit 3  someone pressed stop
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class UnderstudyError(Exception):
    """Base of all errors that the product raises on purpose."""

    exit_code: ClassVar[int] = 1


class BadInputError(UnderstudyError):
    """Input that a person must mend: the message names thing, value, limit and remedy."""

    exit_code = 2
    faults: tuple[str, ...] = ()
    """The single faults of an error that gathers several."""

    @classmethod
    def gather(cls, faults: Sequence[str]) -> BadInputError:
        """One error that lists all faults once each, as bullets when there are several."""
        faults = tuple(dict.fromkeys(faults))
        several = "\n".join([f"{len(faults)} faults:", *(f"  - {fault}" for fault in faults)])
        error = cls(faults[0] if len(faults) == 1 else several)
        error.faults = faults
        return error


class RefusedError(UnderstudyError):
    """The request is well formed, but a policy, guard or state forbids it."""

    exit_code = 3


class IllegalTransitionError(RefusedError):
    """The table of plan states has no such move."""


class StoppedError(RefusedError):
    """Work ended early because somebody asked for it."""


class OutsideWorldError(UnderstudyError):
    """Something outside the process failed: a device, a server, a disk."""

    exit_code = 4
