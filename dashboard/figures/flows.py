"""Where the site's energy goes, as a Sankey diagram whose branches add up to what was bought."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.figures.theme import Figure, Theme, empty, layout
from dashboard.formats import number
from twin.vocab import EndUse

LABELS: Mapping[EndUse, str] = {
    EndUse.FAN: "Fans",
    EndUse.COOLING: "Cooling",
    EndUse.HEATING_ELECTRIC: "Electric heating",
    EndUse.HEATING_GAS: "Gas heating",
    EndUse.LIGHTS: "Lights",
    EndUse.PLUGS: "Plugs",
    EndUse.IT: "IT",
    EndUse.OTHER: "Unmetered remainder",
}
_HVAC = (EndUse.FAN, EndUse.COOLING, EndUse.HEATING_ELECTRIC, EndUse.HEATING_GAS)
_NODES = ("Electricity", "Gas", "HVAC", *LABELS.values())


def sankey_figure(energy_kwh: Mapping[EndUse, float], theme: Theme) -> Figure:
    """Electricity and gas, through HVAC, to the end uses. [kWh]

    Args:
        energy_kwh: energy by end use; what is not given counts as nothing.
        theme: colours.
    """
    positive = {use: value for use, value in energy_kwh.items() if value > 0}
    if not positive:
        return empty(theme, "No energy series was kept for this scenario.")
    links = _links(positive)
    place = {name: i for i, name in enumerate(_NODES)}
    used = {name for source, target, _ in links for name in (source, target)}
    trace = {
        "type": "sankey",
        "arrangement": "snap",
        "valueformat": ",.0f",
        "valuesuffix": " kWh",
        "node": {
            "label": [_label(name, links) if name in used else "" for name in _NODES],
            "color": [theme.series[i % len(theme.series)] for i in range(len(_NODES))],
            "pad": 18,
            "thickness": 18,
            "line": {"width": 0},
        },
        "link": {
            "source": [place[source] for source, _, _ in links],
            "target": [place[target] for _, target, _ in links],
            "value": [value for _, _, value in links],
            "color": theme.band,
        },
        "textfont": {"color": theme.text, "size": 13, "shadow": "none"},
    }
    return {"data": [trace], "layout": layout(theme, height=380, margin={"l": 8, "r": 8, "t": 12, "b": 12})}


def _links(energy: Mapping[EndUse, float]) -> list[tuple[str, str, float]]:
    links: list[tuple[str, str, float]] = []
    gas = energy.get(EndUse.HEATING_GAS, 0.0)
    hvac = sum(energy.get(use, 0.0) for use in _HVAC) - gas
    links += [("Electricity", "HVAC", hvac)] if hvac > 0 else []
    links += [("Gas", "HVAC", gas)] if gas > 0 else []
    for use, value in energy.items():
        links.append(("HVAC" if use in _HVAC else "Electricity", LABELS[use], value))
    return links


def _label(name: str, links: list[tuple[str, str, float]]) -> str:
    """Name and energy; in the middle on two lines, as the labels at the right begin close to it."""
    between = "<br>" if name == "HVAC" else " "
    return f"{name}{between}{number(_through(name, links))} kWh"


def _through(name: str, links: list[tuple[str, str, float]]) -> float:
    """Energy that flows through a node. [kWh]"""
    into = sum(value for _, target, value in links if target == name)
    return into or sum(value for source, _, value in links if source == name)
