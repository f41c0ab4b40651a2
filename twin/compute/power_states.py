"""Which hosts are on, asleep or waking."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.compute.fleet import Array, Fleet
from twin.compute.rules import Rules

Flags = NDArray[np.bool_]


class PowerStates:
    """Sleep and wake of hosts; at the start all are on."""

    def __init__(self, fleet: Fleet, rules: Rules) -> None:
        hosts = len(fleet.host_ids)
        self._fleet, self._rules = fleet, rules
        self.awake: Flags = np.ones(hosts, dtype=bool)
        self._wake_end_s = np.full(hosts, np.inf)
        self._on_since_s = np.full(hosts, -np.inf)
        self._used_s = np.zeros(hosts)

    @property
    def waking(self) -> Flags:
        """Hosts that are on their way up."""
        waking: Flags = np.isfinite(self._wake_end_s)
        return waking

    def wake(self, host: int, now_s: float) -> None:
        """Start a sleeping host; it serves after its wake time."""
        if not self.awake[host] and not self.waking[host]:
            self._wake_end_s[host] = now_s + self._fleet.wake_s[host]

    def settle(self, now_s: float) -> None:
        """Hosts whose wake time is over are on."""
        up = self._wake_end_s <= now_s
        if up.any():
            self.awake[up] = True
            self._on_since_s[up] = self._used_s[up] = now_s
            self._wake_end_s[up] = np.inf

    def sleep_idle(self, used: Flags, now_s: float) -> None:
        """Put empty hosts to sleep that were long enough empty and on, those with the highest idle power first."""
        self._used_s[used] = now_s
        rested = now_s - self._used_s >= self._rules.idle_s
        rested &= now_s - self._on_since_s >= self._rules.awake_s
        candidates = np.flatnonzero(self.awake & ~used & rested)
        if len(candidates):
            empty = int((self.awake & ~used).sum())
            order = candidates[np.argsort(-self._fleet.curve_w[candidates, 0], kind="stable")]
            self.awake[order[: max(0, empty - self._rules.spare_hosts)]] = False

    def times(self) -> Array:
        """Moments at which a host comes up."""
        return self._wake_end_s[self.waking]
