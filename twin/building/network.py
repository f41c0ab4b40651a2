"""The heat network of a site: four nodes per zone, advanced exactly; plenums and neighbours between them.

Nodes of a zone: room air, light mass (surfaces, furniture), deep mass (slabs), outer wall. Within a step all heat
inputs are constant, so that the zone's own linear network has a closed form; heat between zones and through ceilings
is taken at the begin of the step and counted on both sides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.building.parameters import Parameters
from twin.site import Site, Wall, Zone
from twin.units import AIR_DENSITY_KG_M3, AIR_HEAT_CAPACITY_J_KG_K

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

AIR, SURFACE, MASS, WALL = range(4)
NODES = 4
_PLENUM_J_M2K = 8e3
"""A metre of air and mineral-fibre tiles."""


class Network(NamedTuple):
    """Numbers of the heat network; Z zones, U units (each with a plenum where it has one)."""

    keep: Array
    """End temperatures from those at the begin, shape (Z, 4, 4)."""
    gain: Array
    """End temperatures from heat inputs, shape (Z, 4, 4). [K/W]"""
    mean_keep: Array
    """Mean temperatures over the step from those at the begin, shape (Z, 4, 4)."""
    mean_gain: Array
    """Mean temperatures over the step from heat inputs, shape (Z, 4, 4). [K/W]"""
    capacity: Array
    """Shape (Z, 4). [J/K]"""
    boundary: Array
    """Conductance of each node to its boundary (windows, ground, outdoors), shape (Z, 4). [W/K]"""
    infiltration: Array
    """Heat capacity flow through the envelope in still air, fans off, shape (Z,). [W/K]"""
    volume_m3: Array
    window: Array
    """Effective solar aperture by facing and horizontal, shape (Z, 5). [m²]"""
    wall_share: Array
    """Share of each facing in the outer opaque surface, shape (Z, 5)."""
    ceiling: Array
    """Conductance of the ceiling to the plenum of the zone's unit, shape (Z,). [W/K]"""
    floor_plenum: Indices
    """Unit whose plenum lies below the zone, -1 where none, shape (Z,)."""
    floor: Array
    """Conductance from that plenum's slab to the zone's deep mass, shape (Z,). [W/K]"""
    pairs: Indices
    """Zones that share a surface, shape (P, 2)."""
    pair_w_k: Array
    """Shape (P,). [W/K]"""
    has_plenum: NDArray[np.bool_]
    """Shape (U,)."""
    plenum_out: Array
    """Plenum air to outdoors through walls and roof, shape (U,). [W/K]"""
    plenum_infiltration: Array
    """Shape (U,). [W/K]"""
    plenum_capacity: Array
    """Plenum air and ceiling tiles, shape (U,). [J/K]"""
    plenum_slab: Array
    """Plenum air to slab, shape (U,). [W/K]"""
    slab_capacity: Array
    """Shape (U,). [J/K]"""
    plenum_roof: Array
    """Share of the roof in ``plenum_out``, shape (U,)."""


def network(site: Site, parameters: Parameters, step_s: float) -> Network:
    """The heat network of a site with exact steps of ``step_s`` seconds."""
    matrices, capacity, boundary = [], [], []
    for zone in site.zones:
        rates, heat = _zone_rates(zone, parameters)
        matrices.append(rates)
        capacity.append(heat)
        boundary.append(_boundary(zone, parameters))
    heat = np.array(capacity)
    outer = np.array(boundary)
    exact = _exact(np.array(matrices), heat, outer, step_s)
    pairs, conductance = _pairs(site, parameters)
    return Network(
        *exact,
        capacity=heat,
        boundary=outer,
        infiltration=np.array([_leakage(zone.id, _outer_m2(zone), parameters) for zone in site.zones]),
        volume_m3=np.array([zone.volume_m3 for zone in site.zones]),
        window=np.array([window_m2(zone, parameters) for zone in site.zones]),
        wall_share=np.array([_wall_share(zone, parameters) for zone in site.zones]),
        pairs=pairs,
        pair_w_k=conductance,
        **_plenums(site, parameters),
    )


def _zone_rates(zone: Zone, parameters: Parameters) -> tuple[Array, Array]:
    """Conductances between the nodes of a zone as a Laplacian [W/K] and capacities [J/K]."""
    of, area = parameters.of, zone.floor_area_m2
    links = {
        (AIR, SURFACE): of("surface_h") * area,
        (SURFACE, MASS): of("mass_h") * area,
        (SURFACE, WALL): of("wall_u") * sum(wall.area_m2 - wall.window_m2 for wall in zone.walls)
        + of("roof_u") * zone.roof_m2,
    }
    links[SURFACE, WALL] = max(links[SURFACE, WALL] * of("envelope", zone.id), 1e-3)
    laplacian = np.zeros((NODES, NODES))
    for (a, b), w_k in links.items():
        laplacian[a, a] += w_k
        laplacian[b, b] += w_k
        laplacian[a, b] -= w_k
        laplacian[b, a] -= w_k
    air = AIR_DENSITY_KG_M3 * AIR_HEAT_CAPACITY_J_KG_K * zone.volume_m3 * of("air_capacity")
    surface = of("surface_capacity") * area
    mass = of("mass_capacity") * area * of("mass", zone.id)
    wall = of("wall_capacity") * max(_opaque_m2(zone), 0.1)
    return laplacian, np.array([air, surface, mass, wall])


def _opaque_m2(zone: Zone) -> float:
    return sum(wall.area_m2 - wall.window_m2 for wall in zone.walls) + zone.roof_m2


def _outer_m2(zone: Zone) -> float:
    return sum(wall.area_m2 for wall in zone.walls) + zone.roof_m2


def _boundary(zone: Zone, parameters: Parameters) -> Array:
    of = parameters.of
    windows = of("window_u") * sum(wall.window_m2 for wall in zone.walls) * of("envelope", zone.id)
    ground = of("ground_u") * zone.ground_m2
    outdoors = of("wall_outside") * max(_opaque_m2(zone), 0.1)
    return np.array([windows, 0.0, ground, outdoors])


def _leakage(zone: str, outer_m2: float, parameters: Parameters) -> float:
    flow = parameters.of("infiltration") * outer_m2 * parameters.of("envelope", zone)
    return flow * AIR_DENSITY_KG_M3 * AIR_HEAT_CAPACITY_J_KG_K


def _by_facing(walls: tuple[Wall, ...], horizontal: float, windows: bool) -> Array:
    from twin.building.solar import FACINGS

    areas = np.zeros(len(FACINGS) + 1)
    for wall in walls:
        areas[FACINGS.index(wall.facing)] += wall.window_m2 if windows else wall.area_m2 - wall.window_m2
    areas[-1] = horizontal
    return areas


def window_m2(zone: Zone, parameters: Parameters) -> Array:
    """Effective solar aperture of a zone by facing and horizontal, shape (5,). [m²]"""
    return _by_facing(zone.walls, 0.0, windows=True) * parameters.of("shgc") * parameters.of("solar", zone.id)


def _wall_share(zone: Zone, parameters: Parameters) -> Array:
    """Each facing's part in the heat through the opaque envelope, so that walls and roof count by conductance."""
    roof = zone.roof_m2 * parameters.of("roof_u") / parameters.of("wall_u")
    areas = _by_facing(zone.walls, roof, windows=False)
    total = areas.sum()
    return areas / total if total > 0 else areas


def _exact(laplacian: Array, capacity: Array, boundary: Array, step_s: float) -> tuple[Array, Array, Array, Array]:
    """End and mean temperatures from begin temperatures and constant heat inputs.

    Closed form of C dT/dt = −K T + q by the eigenvalues of C^-½ K C^-½, which is symmetric.
    """
    root = 1.0 / np.sqrt(capacity)
    stiffness = laplacian + boundary[:, :, None] * np.eye(NODES)
    rates, modes = np.linalg.eigh(stiffness * root[:, :, None] * root[:, None, :])
    x = np.maximum(rates, 1e-12) * step_s
    decay = np.exp(-x)
    rise = -np.expm1(-x) / x
    late = np.where(x > 1e-4, (x + np.expm1(-x)) / np.maximum(x, 1e-4) ** 2, 0.5 - x / 6.0)
    into, out = root[:, :, None] * modes, modes.transpose(0, 2, 1)
    from_temps, from_heat = out / root[:, None, :], out * root[:, None, :]

    def joined(of_mode: Array, right: Array) -> Array:
        return np.ascontiguousarray((into * of_mode[:, None, :]) @ right)

    return (
        joined(decay, from_temps),
        joined(rise * step_s, from_heat),
        joined(rise, from_temps),
        joined(late * step_s, from_heat),
    )


def _pairs(site: Site, parameters: Parameters) -> tuple[Indices, Array]:
    index = site.zone_index()
    areas: dict[tuple[int, int], float] = {}
    for zone in site.zones:
        for other in zone.adjacent:
            if other.zone in index:
                a, b = sorted((index[zone.id], index[other.zone]))
                areas[a, b] = max(areas.get((a, b), 0.0), other.area_m2)
    pairs = np.array(sorted(areas), dtype=np.int64).reshape(-1, 2)
    return pairs, np.array([areas[a, b] for a, b in sorted(areas)]) * parameters.of("interior_u")


def _plenums(site: Site, parameters: Parameters) -> dict[str, Any]:
    """Ceilings, slabs and outer surfaces of return plenums; a plenum lies above the zones of its unit."""
    of, units = parameters.of, site.air_handlers
    index = site.air_handler_index()
    unit_of = [-1 if zone.air_handler is None else index[zone.air_handler] for zone in site.zones]
    below = [-1 if zone.ground_m2 >= zone.floor_area_m2 else _plenum_below(site, zone) for zone in site.zones]
    area, wall, roof = np.zeros(len(units)), np.zeros(len(units)), np.zeros(len(units))
    for zone, u in zip(site.zones, unit_of, strict=True):
        if u >= 0:
            area[u] += zone.floor_area_m2
            wall[u] += sum(side.area_m2 for side in zone.walls)
            top = not any(other.floor > zone.floor for other in site.zones) and zone.roof_m2 == 0
            roof[u] += zone.floor_area_m2 if top else 0.0
    has = np.array([unit.return_plenum for unit in units], dtype=np.bool_)
    walls = of("plenum_wall") * of("wall_u") * wall
    roofs = of("roof_u") * roof
    leak = of("infiltration") * (of("plenum_wall") * wall + roof) * AIR_DENSITY_KG_M3 * AIR_HEAT_CAPACITY_J_KG_K
    ceiling = [
        of("ceiling_u") * zone.floor_area_m2 if u >= 0 and has[u] else 0.0
        for zone, u in zip(site.zones, unit_of, strict=True)
    ]
    slab = np.maximum(area - roof, 0.0)
    return {
        "ceiling": np.array(ceiling),
        "floor_plenum": np.array(below, dtype=np.int64),
        "floor": np.array([of("floor_u") * z.floor_area_m2 * (u >= 0) for z, u in zip(site.zones, below, strict=True)]),
        "has_plenum": has,
        "plenum_out": walls + roofs,
        "plenum_infiltration": leak,
        "plenum_capacity": _PLENUM_J_M2K * np.maximum(area, 1.0),
        "plenum_slab": of("slab_u") * slab,
        "slab_capacity": np.maximum(of("slab_capacity") * slab, 1e3),
        "plenum_roof": roofs / np.maximum(walls + roofs, 1e-9),
    }


def _plenum_below(site: Site, zone: Zone) -> int:
    """The unit with a return plenum that serves the floor below with most area, -1 where none."""
    index = site.air_handler_index()
    area: dict[int, float] = {}
    for other in site.zones:
        if other.floor == zone.floor - 1 and other.air_handler is not None:
            u = index[other.air_handler]
            if site.air_handlers[u].return_plenum:
                area[u] = area.get(u, 0.0) + other.floor_area_m2
    return max(area, key=lambda u: area[u]) if area else -1
