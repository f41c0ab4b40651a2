"""Live migration by pre-copy: rounds, duration, downtime, and the cases that never converge."""

from __future__ import annotations

from dataclasses import dataclass

MAX_DOWNTIME_S = 0.3
"""Longest pause that ends the rounds; libvirt's and QEMU's default. [s]"""
MAX_ROUNDS = 30
SWITCH_S = 0.05
"""Pause for device state and network announcement, beyond the last copy. [s]"""
DEADLINE_S_PER_GIB = 800.0
"""Time after which a migration is given up; OpenStack Nova's default completion timeout. [s/GiB]"""
MIN_DEADLINE_GIB = 2.0
MB_PER_GIB = 1024.0
PERFORMANCE_LOSS = 0.1
"""CPU that a VM loses while it is copied. Source: Beloglazov and Buyya, CCPE 24(13), 2012, after Voorsluys 2009."""
CORES_BUSY_COPYING = 0.3
"""Cores that sending or receiving keeps busy at each end, our assumption for a 1 Gbit/s link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreCopy:
    """What one live migration costs."""

    rounds: int
    duration_s: float
    downtime_s: float
    sent_mb: float
    converged: bool


def deadline_s(ram_mb: float) -> float:
    """Time after which a migration of this size is aborted. [s]"""
    return DEADLINE_S_PER_GIB * max(ram_mb / MB_PER_GIB, MIN_DEADLINE_GIB)


def pre_copy(ram_mb: float, dirty_mb_s: float, link_mb_s: float, limit_s: float | None = None) -> PreCopy:
    """Rounds of copying: each sends what was rewritten during the one before, until the rest fits the allowed pause.

    With r = dirty rate / link < 1 round n sends ram·rⁿ, so n rounds take ram/link·(1 − rⁿ)/(1 − r). It aborts at the
    deadline or when the rounds are used up.
    Source: Clark et al., Live migration of virtual machines, NSDI 2005.

    Args:
        ram_mb: memory of the VM. [MB]
        dirty_mb_s: memory rewritten per second. [MB/s]
        link_mb_s: bandwidth that the copy gets. [MB/s]
        limit_s: deadline; None: by ``deadline_s``. [s]
    """
    limit = deadline_s(ram_mb) if limit_s is None else limit_s
    rest, spent, sent = ram_mb, 0.0, 0.0
    for done in range(1, MAX_ROUNDS + 1):
        spent += rest / link_mb_s
        sent += rest
        if spent > limit:
            break
        rest = min(ram_mb, dirty_mb_s * rest / link_mb_s)
        if rest / link_mb_s <= MAX_DOWNTIME_S:
            pause = rest / link_mb_s + SWITCH_S
            return PreCopy(
                rounds=done + 1, duration_s=spent + pause, downtime_s=pause, sent_mb=sent + rest, converged=True
            )
    late = min(spent, limit)
    return PreCopy(rounds=done, duration_s=late, downtime_s=0.0, sent_mb=min(sent, late * link_mb_s), converged=False)
