"""Hosts as a heat map of racks, with the VMs on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboard.figures.theme import Theme, between
from dashboard.figures.tile_drawing import Drawing, drawn, legend, tile, title
from dashboard.formats import number
from twin.site import Host

SHOWN_VMS = 12
"""VMs that a host's hover text names."""
ROW_PX = 38
"""Height of a host."""
HEAD_PX = 22
"""Height of the racks' names."""
WIDE_RACKS = 8
"""Beyond so many racks side by side the letters are small."""


def rack_drawing(
    hosts: Sequence[Host],
    values: Mapping[str, float],
    vms: Mapping[str, Sequence[str]],
    theme: Theme,
    *,
    label: str,
    unit: str,
    top: float | None = None,
) -> Drawing:
    """Racks as columns, hosts as tiles with the value and the number of VMs.

    Args:
        hosts: hosts in the order of the site file.
        values: value by host in ``unit``.
        vms: VMs by host.
        theme: colours.
        label: quantity.
        unit: its unit.
        top: value of the full colour; None: the greatest.
    """
    racks = list(dict.fromkeys(host.rack or "hosts" for host in hosts))
    columns = _broken({rack: [host for host in hosts if (host.rack or "hosts") == rack] for rack in racks})
    depth = max((len(column) for column in columns.values()), default=0)
    most = top or max(values.values(), default=1.0) or 1.0
    stops = [(0.0, theme.sequence[0]), (1.0, theme.sequence[1])]
    height_px = max(180, min(820, ROW_PX * depth)) + HEAD_PX
    head = HEAD_PX / height_px
    size = 1 / max(len(columns), 1), (1 - head) / max(depth, 1)
    tiles = [
        tile(
            host.id,
            (column * size[0], head + row * size[1]),
            size,
            between(stops, values[host.id] / most) if host.id in values else None,
            (_lines(host, values, vms, unit), _tip(host, values, vms, f"{rack}, position {row + 1}", label, unit)),
        )
        for column, (rack, inside) in enumerate(columns.items())
        for row, host in enumerate(inside)
    ]
    return drawn(
        tiles,
        height_px,
        titles=[title(rack, column * size[0], head) for column, rack in enumerate(columns)],
        scale=legend(stops, unit, [(0.0, "0"), (1.0, number(most))]),
        small=len(columns) > WIDE_RACKS,
    )


def _broken(columns: Mapping[str, list[Host]]) -> dict[str, list[Host]]:
    """A single long list of hosts without racks, broken into columns of at most 20."""
    if len(columns) != 1:
        return dict(columns)
    (name, hosts), size = next(iter(columns.items())), 20
    if len(hosts) <= size:
        return dict(columns)
    return {
        f"{name} {start + 1}–{min(start + size, len(hosts))}": hosts[start : start + size]
        for start in range(0, len(hosts), size)
    }


def _lines(host: Host, values: Mapping[str, float], vms: Mapping[str, Sequence[str]], unit: str) -> list[str]:
    value = f"{number(values[host.id], 2)} {unit}" if host.id in values else "no data"
    return [host.id, f"{value}, {len(vms.get(host.id, ()))} VM"]


def _tip(
    host: Host, values: Mapping[str, float], vms: Mapping[str, Sequence[str]], place: str, label: str, unit: str
) -> list[str]:
    own = list(vms.get(host.id, ()))
    value = f"{number(values[host.id])} {unit}" if host.id in values else "no data"
    more = [f"and {len(own) - SHOWN_VMS} more"] if len(own) > SHOWN_VMS else []
    return [f"{host.id} ({host.type})", place, f"{label}: {value}", *(own[:SHOWN_VMS] or ["no VM"]), *more]
