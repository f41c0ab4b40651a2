"""Colours and the common layout of all figures, light and dark; series colours stay apart for colour-blind readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Figure = dict[str, Any]
Stops = Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours of one look."""

    name: str
    text: str
    muted: str
    grid: str
    surface: str
    neutral: str
    """Inside the band: nothing to see."""
    cold: tuple[str, str]
    """A little and far too cold."""
    hot: tuple[str, str]
    sequence: tuple[str, str]
    """From none to much."""
    good: str
    bad: str
    warn: str
    series: tuple[str, ...]
    band: str


LIGHT = Theme(
    name="light",
    text="#1f2933",
    muted="#5b6875",
    grid="#e3e8ee",
    surface="#ffffff",
    neutral="#dcebe2",
    cold=("#b9d7f0", "#1c5fa8"),
    hot=("#fbd9a8", "#b3261e"),
    sequence=("#eef3f8", "#155e75"),
    good="#1b7f4b",
    bad="#b3261e",
    warn="#9a6700",
    series=("#1f6feb", "#d97706", "#0f8a6a", "#a23b9d", "#6b7280", "#b3261e", "#4f46e5", "#7c5e10"),
    band="rgba(31,111,235,0.18)",
)
DARK = Theme(
    name="dark",
    text="#e6eaf0",
    muted="#a3adba",
    grid="#39414d",
    surface="#1b2027",
    neutral="#2c4438",
    cold=("#2c4a68", "#6cb2f5"),
    hot=("#6e4a1b", "#ff7b6b"),
    sequence=("#262d36", "#5cc8dc"),
    good="#5fd39a",
    bad="#ff8a80",
    warn="#f0b849",
    series=("#6ea8fe", "#f5a742", "#4fd1a5", "#d58ad0", "#9aa4b2", "#ff8a80", "#a5a0ff", "#d3b45c"),
    band="rgba(110,168,254,0.22)",
)


def theme_of(name: str | None) -> Theme:
    """The look of that name; light when there is none."""
    return DARK if name == "dark" else LIGHT


def layout(theme: Theme, *, height: int | None = None, **over: Any) -> dict[str, Any]:
    """The layout that all figures share, with what a figure adds."""
    base: dict[str, Any] = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": theme.text, "size": 13, "family": "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"},
        "margin": {"l": 64, "r": 24, "t": 28, "b": 52},
        "hoverlabel": {"bgcolor": theme.surface, "font": {"color": theme.text}, "bordercolor": theme.muted},
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "font": {"color": theme.text}},
        "xaxis": axis(theme),
        "yaxis": axis(theme),
        "colorway": list(theme.series),
        "autosize": True,
    }
    return base | ({} if height is None else {"height": height}) | over


def axis(theme: Theme, title: str = "", **over: Any) -> dict[str, Any]:
    """An axis with its title (quantity and unit)."""
    base: dict[str, Any] = {
        "gridcolor": theme.grid,
        "zerolinecolor": theme.muted,
        "linecolor": theme.muted,
        "tickcolor": theme.muted,
        "automargin": True,
        "title": {"text": title, "font": {"color": theme.muted, "size": 12}},
    }
    return base | over


def hidden_axis(**over: Any) -> dict[str, Any]:
    """An axis of a drawing that has no scale."""
    return {"visible": False, "fixedrange": True, "showgrid": False, "zeroline": False} | over


def empty(theme: Theme, sentence: str, height: int = 220) -> Figure:
    """A figure that says why there is nothing to see."""
    note = {
        "text": sentence,
        "x": 0.5,
        "y": 0.5,
        "xref": "paper",
        "yref": "paper",
        "showarrow": False,
        "font": {"color": theme.muted, "size": 14},
    }
    return {
        "data": [],
        "layout": layout(theme, height=height, xaxis=hidden_axis(), yaxis=hidden_axis(), annotations=[note]),
    }


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def between(stops: Stops, share: float) -> str:
    """The colour at a share 0..1 of a scale."""
    share = min(max(share, 0.0), 1.0)
    for (low, first), (high, second) in pairwise(stops):
        if share <= high:
            weight = 0.0 if high == low else (share - low) / (high - low)
            mixed = (round(a + (b - a) * weight) for a, b in zip(_channels(first), _channels(second), strict=True))
            return "#{:02x}{:02x}{:02x}".format(*mixed)
    return stops[-1][1]


def readable_on(colour: str) -> str:
    """Black or white, whichever stands out more against a colour (WCAG contrast)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _channels(colour))]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else "#ffffff"
