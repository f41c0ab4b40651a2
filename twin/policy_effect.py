"""Which keys of a policy nothing at a site can follow: they would quietly save nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twin.policy import Policy
from twin.site import Site
from twin.vocab import SystemType

_NO_HOSTS = "the site has no hosts"
_RULES: Mapping[str, tuple[Callable[[Site], bool], str]] = {
    "supply_air_temperature_c": (
        lambda site: any(unit.system is SystemType.VAV_REHEAT for unit in site.air_handlers),
        "no unit sets a supply air temperature; packaged units and fan coils blow as warm as their zone asks",
    ),
    "economizer": (
        lambda site: any(unit.economizer for unit in site.air_handlers),
        "no unit has an economizer; where one is installed, say `economizer: true` for that unit in site.yaml",
    ),
    "consolidation": (lambda site: bool(site.hosts), _NO_HOSTS),
    "power_down_idle_hosts": (lambda site: bool(site.hosts), _NO_HOSTS),
    "headroom": (lambda site: bool(site.hosts), _NO_HOSTS),
}


def without_effect(policy: Policy, site: Site) -> tuple[str, ...]:
    """A sentence per key that the policy names and the site's systems cannot follow."""
    return tuple(
        f"policy key {key!r} changes nothing here: {why}"
        for key, (follows, why) in _RULES.items()
        if getattr(policy, key) is not None and not follows(site)
    )
