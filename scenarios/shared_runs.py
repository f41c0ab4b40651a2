"""The twin's run, with what neighbouring runs have in common done once: sun on the facades, and the hosts.

The hosts do not depend on the building's parameters, so all members of an ensemble share one run of them; a policy
that leaves the hosts alone shares it with its baseline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from twin.building.model import Sun, sun_on
from twin.building.parameters import Parameters
from twin.drivers import Drivers
from twin.policy import Policy
from twin.result import ComputeResult, RunResult
from twin.run import hosts_of, simulate
from twin.site import Site

T = TypeVar("T")


class Latest:
    """The value made last, for one key; keys are compared by identity of their objects, which stay alive here."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._value: object = None

    def get(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        """The value of a key, made when it is another key than last time."""
        same = len(key) == len(self._key) and all(
            one is other or (not isinstance(one, Site | Drivers) and one == other)
            for one, other in zip(key, self._key, strict=True)
        )
        if not same:
            self._value, self._key = make(), key
        return cast("T", self._value)


_SUN, _HOSTS = Latest(), Latest()


def simulate_sharing(site: Site, parameters: object, drivers: Drivers, policy: Policy, *, seed: int) -> RunResult:
    """As ``twin.run.simulate``, and bit for bit the same whatever ran before."""
    sun: Sun = _SUN.get((site, drivers), lambda: sun_on(site, drivers))
    of_hosts = (policy.consolidation, policy.power_down_idle_hosts, policy.headroom)
    hosts: ComputeResult | None = _HOSTS.get(
        (site, drivers, of_hosts, seed), lambda: hosts_of(site, drivers, policy, seed=seed)
    )
    return simulate(site, cast("Parameters", parameters), drivers, policy, seed=seed, sun=sun, hosts=hosts)
