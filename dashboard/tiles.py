"""The component that draws floors and racks: coloured tiles with a text in each, without the charts' library."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component


class Tiles(Component):  # type: ignore[misc]  # Dash has no types
    """Tiles that people read, hover, reach by arrow keys and pick; drawn by ``assets/tiles.js``.

    Args:
        id: its id.
        drawing: what ``figures.tile_drawing.drawn`` gives.
        picked: the tile that was picked last, as ``{"tile": id, "count": clicks so far}``; set by the browser.
    """

    _children_props: tuple[str, ...] = ()
    _base_nodes = ("children",)
    _namespace = "understudy_parts"
    _type = "Tiles"

    def __init__(self, **props: Any) -> None:
        self._prop_names = ["id", "drawing", "picked"]
        self._valid_wildcard_attributes: list[str] = []
        self.available_properties = self._prop_names
        self.available_wildcard_properties: list[str] = []
        super().__init__(**props)
