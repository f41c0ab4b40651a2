"""What a drawing of tiles consists of: plain dicts that the browser lays out in shares of its own size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboard.figures.theme import Stops, readable_on

Drawing = dict[str, Any]


def tile(
    name: str,
    corner: tuple[float, float],
    size: tuple[float, float],
    fill: str | None,
    texts: tuple[list[str], list[str]],
) -> Drawing:
    """A tile.

    Args:
        name: id of what it stands for.
        corner: left and upper edge as shares 0..1 of the drawing.
        size: width and height as shares.
        fill: colour; None: hatched, nothing is known.
        texts: lines inside, the last one its number; and the lines of its hover text, which screen readers say too.
    """
    lines, tip = texts
    at = [round(100 * share, 3) for share in (*corner, *size)]
    colours = {} if fill is None else {"fill": fill, "ink": readable_on(fill)}
    return {"id": name, "at": at, "lines": lines, "tip": tip, **colours}


def title(text: str, left: float, bottom: float) -> Drawing:
    """A heading of some tiles whose lower left corner is at these shares of the drawing."""
    return {"text": text, "at": [round(100 * left, 3), round(100 * bottom, 3)]}


def legend(stops: Stops, unit: str, marks: Sequence[tuple[float, str]]) -> Drawing:
    """The colour scale, with the values at some shares of it."""
    colours = ", ".join(f"{colour} {100 * share:.1f}%" for share, colour in stops)
    return {
        "unit": unit,
        "colours": f"linear-gradient(90deg, {colours})",
        "marks": [{"at": round(100 * share, 1), "text": text} for share, text in marks],
    }


def drawn(
    tiles: Sequence[Drawing],
    height_px: int,
    *,
    titles: Sequence[Drawing] = (),
    scale: Drawing | None = None,
    chosen: str | None = None,
    picks: bool = False,
    small: bool = False,
) -> Drawing:
    """A whole drawing.

    Args:
        tiles: its tiles.
        height_px: how tall it is on a screen.
        titles: headings.
        scale: the legend.
        chosen: the tile with a thick frame.
        picks: whether a tile can be picked.
        small: whether its texts are small.
    """
    return {
        "tiles": list(tiles),
        "height": height_px,
        "titles": list(titles),
        "legend": scale,
        "chosen": chosen,
        "picks": picks,
        "small": small,
    }


def nothing(sentence: str) -> Drawing:
    """A drawing that says why there is nothing to see."""
    return drawn([], 120) | {"note": sentence}
