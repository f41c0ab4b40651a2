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


KEPT = 4


class Latest:
    """The values made last, by key; keys are compared by identity of their objects, which stay alive here."""

    def __init__(self) -> None:
        self._kept: list[tuple[tuple[object, ...], object]] = []

    def get(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        """The value of a key, made when it is none of the last few."""
        for known, value in self._kept:
            if _same(known, key):
                return cast("T", value)
        made = make()
        self._kept = [(key, made), *self._kept[: KEPT - 1]]
        return made


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(
        a is b or (not isinstance(a, Site | Drivers) and a == b) for a, b in zip(one, other, strict=True)
    )


_SUN, _HOSTS = Latest(), Latest()


def simulate_sharing(site: Site, parameters: object, drivers: Drivers, policy: Policy, *, seed: int) -> RunResult:
    """As ``twin.run.simulate``, and bit for bit the same whatever ran before."""
    sun: Sun = _SUN.get((site, drivers), lambda: sun_on(site, drivers))
    of_hosts = (policy.consolidation, policy.power_down_idle_hosts, policy.headroom)
    hosts: ComputeResult | None = _HOSTS.get(
        (site, drivers, of_hosts, seed), lambda: hosts_of(site, drivers, policy, seed=seed)
    )
    return simulate(site, cast("Parameters", parameters), drivers, policy, seed=seed, sun=sun, hosts=hosts)
