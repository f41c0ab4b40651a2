"""Blocks put into a site file, everything else in it left as it stands, comments too."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from connectors.settings.load import read_site


def put_blocks(path: Path, blocks: Mapping[str, Mapping[str, object]]) -> None:
    """Replaces or adds blocks of a site file, which is checked before it is written.

    Args:
        path: the site file.
        blocks: section → name → block, as in ``{"connectors": {"bms": {...}}}``.

    Raises:
        BadInputError: the site file would not be valid.
    """
    text = with_blocks(path.read_text(encoding="utf-8"), blocks)
    read_site(text.encode(), path)
    fresh = path.with_suffix(".writing")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def with_blocks(text: str, blocks: Mapping[str, Mapping[str, object]]) -> str:
    """The text of a site file with blocks in it."""
    document = _yaml().load(text)
    for section, named in blocks.items():
        document.setdefault(section, {})
        for name, block in named.items():
            document[section][name] = _compact(block)
    return _dumped(document)


def blocks_text(blocks: Mapping[str, object]) -> str:
    """Sections as text for a site file: what is deepest stands on one line."""
    return _dumped(_compact(blocks))


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 160
    yaml.preserve_quotes = True
    return yaml


def _dumped(document: object) -> str:
    out = StringIO()
    _yaml().dump(document, out)
    return out.getvalue()


def _compact(node: object) -> object:
    """The node with its innermost mappings in one line each."""
    if isinstance(node, Mapping):
        made = CommentedMap({key: _compact(value) for key, value in node.items()})
        if not any(isinstance(value, CommentedMap | CommentedSeq) for value in made.values()):
            made.fa.set_flow_style()
        return made
    if isinstance(node, list | tuple):
        return CommentedSeq([_compact(item) for item in node])
    return node
