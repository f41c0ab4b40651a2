"""Hosts as a heat map of racks, with the VMs on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboard.figures.theme import Figure, Theme, axis, layout
from dashboard.formats import escaped, number
from twin.site import Host

SHOWN_VMS = 12


def rack_figure(
    hosts: Sequence[Host],
    values: Mapping[str, float],
    vms: Mapping[str, Sequence[str]],
    theme: Theme,
    *,
    label: str,
    unit: str,
    top: float | None = None,
) -> Figure:
    """Racks as columns, hosts as cells with the value and the number of VMs.

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
    columns = {rack: [host for host in hosts if (host.rack or "hosts") == rack] for rack in racks}
    columns = _broken(columns)
    depth = max((len(column) for column in columns.values()), default=0)
    cells = [[column[row] if row < len(column) else None for column in columns.values()] for row in range(depth)]
    grid = [[None if host is None else values.get(host.id) for host in row] for row in cells]
    trace = {
        "type": "heatmap",
        "x": [escaped(rack) for rack in columns],
        "y": list(range(1, depth + 1)),
        "z": grid,
        "zmin": 0,
        "zmax": top or max((v for v in values.values()), default=1.0) or 1.0,
        "colorscale": [[0, theme.sequence[0]], [1, theme.sequence[1]]],
        "colorbar": {"title": {"text": unit, "side": "top"}, "thickness": 12, "outlinewidth": 0},
        "xgap": 3,
        "ygap": 3,
        "text": [[_cell(host, values, vms, unit) for host in row] for row in cells],
        "texttemplate": "%{text}",
        "textfont": {"size": 12},
        "customdata": [["" if host is None else host.id for host in row] for row in cells],
        "hovertext": [[_hover(host, values, vms, label, unit) for host in row] for row in cells],
        "hoverinfo": "text",
        "hoverongaps": False,
    }
    return {
        "data": [trace],
        "layout": layout(
            theme,
            height=max(260, min(900, 80 + 34 * depth)),
            xaxis=axis(theme, "rack", type="category", showgrid=False, side="bottom"),
            yaxis=axis(theme, "position in the rack", autorange="reversed", showgrid=False, dtick=max(1, depth // 12)),
            margin={"l": 56, "r": 8, "t": 8, "b": 48},
        ),
    }


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


def _cell(host: Host | None, values: Mapping[str, float], vms: Mapping[str, Sequence[str]], unit: str) -> str:
    if host is None:
        return ""
    value = f"{number(values[host.id], 2)} {unit}" if host.id in values else "no data"
    return f"{escaped(host.id)}: {value}, {len(vms.get(host.id, ()))} VM"


def _hover(
    host: Host | None, values: Mapping[str, float], vms: Mapping[str, Sequence[str]], label: str, unit: str
) -> str:
    if host is None:
        return ""
    own = list(vms.get(host.id, ()))
    more = f"<br>and {len(own) - SHOWN_VMS} more" if len(own) > SHOWN_VMS else ""
    names = "<br>".join(escaped(vm) for vm in own[:SHOWN_VMS]) or "no VM"
    value = f"{number(values[host.id])} {unit}" if host.id in values else "no data"
    return f"<b>{escaped(host.id)}</b> ({escaped(host.type)})<br>{label}: {value}<br>{names}{more}"
