"""Whether a calibrated twin belongs to a site: same name, same building, same points in the same units."""

from __future__ import annotations

from twin.model import Model
from twin.site import Site
from twin.text.canonical import digest
from twin.vocab import KIND_FACTS


def topology_digest(site: Site) -> str:
    """Name of the building as calibration sees it: where it stands, its zones, walls, neighbours and air handlers."""
    return digest([site.location, site.time_zone, site.zones, site.air_handlers, site.step_s])


def units_digest(site: Site) -> str:
    """Name of what is measured: every point with what it belongs to, its kind and the unit of that kind."""
    return digest(sorted([point.id, point.of, point.kind, KIND_FACTS[point.kind].unit] for point in site.points))


def mismatches(model: Model, site: Site) -> tuple[str, ...]:
    """Why a model is not of this site; empty when it is."""
    checks = (
        (model.site, site.name, "the site's name"),
        (model.topology_digest, topology_digest(site), "zones, walls and air handlers"),
        (model.units_digest, units_digest(site), "points and their kinds and units"),
    )
    return tuple(
        f"{what}: the model has {_short(of_model)}, the site file {_short(of_site)}"
        for of_model, of_site, what in checks
        if of_model != of_site
    )


def _short(text: str) -> str:
    return text[:12] if len(text) == 64 else repr(text)
