"""Reads a site file: text, tree, document, checks, mapping, site; all faults together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from connectors.settings.build import holiday_dates, site_of, units_of
from connectors.settings.checks import document_faults, meter_faults
from connectors.settings.document import SiteDocument, validated
from connectors.settings.mapping import SourceMapping, Subjects, map_source
from twin.errors import BadInputError
from twin.policy_text import read_policy, zone_faults
from twin.site import Point, Site
from twin.text.tree import Fault, MarkedTree
from twin.text.yaml import read_yaml

Settings = TypeVar("Settings", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorBlock:
    """Settings of one connector; the connector's own model validates them."""

    name: str
    kind: str
    """Its `type` in the site file."""
    options: Mapping[str, Any]
    """All keys but ``type``."""
    tree: MarkedTree

    def validated(self, model: type[Settings]) -> Settings:
        """The settings as the connector's model.

        Raises:
            BadInputError: with every fault as ``site.yaml:LINE:COL: …``.
        """
        faults: list[Fault] = []
        settings = validated(dict(self.options), model, ("connectors", self.name), faults)
        if not isinstance(settings, model):
            raise BadInputError.gather(self.tree.sentences(faults))
        return settings

    def refusal(self, key: str, message: str) -> BadInputError:
        """An error that points at one key of the block."""
        return BadInputError(self.tree.sentence(Fault(path=("connectors", self.name, key), message=message)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """A site file that has been read and checked."""

    path: Path
    site: Site
    sources: Mapping[str, SourceMapping]
    connectors: Mapping[str, ConnectorBlock]
    digest: str
    """SHA-256 of the text."""
    tree: MarkedTree

    @property
    def folder(self) -> Path:
        """The workspace: relative paths in the file start here."""
        return self.path.parent

    @property
    def mapping(self) -> Mapping[str, Point]:
        """Point id → point."""
        return {point.id: point for point in self.site.points}


def load_site(path: Path) -> SiteFile:
    """The site that a file describes.

    Raises:
        BadInputError: with all faults of the file, each as ``site.yaml:LINE:COL: key: value, limit, remedy``.
    """
    if not path.is_file():
        message = f"{path}: no such site file; create one with 'understudy init DIR' or name another workspace"
        raise BadInputError(message)
    return read_site(path.read_bytes(), path)


def read_site(data: bytes, path: Path) -> SiteFile:
    """The site that the bytes of a file describe; see ``load_site``."""
    tree = read_yaml(data, path.name)
    faults: list[Fault] = []
    if tree.root is None:
        raise BadInputError(f"{path.name}:1:1: the file is empty; start from 'understudy init DIR'")
    document = validated(tree.root, SiteDocument, (), faults)
    operation = read_policy(tree.root.get("operation"), ("operation",), faults) if isinstance(tree.root, dict) else None
    if not isinstance(document, SiteDocument) or operation is None:
        raise BadInputError.gather(tree.sentences(faults))
    faults += document_faults(document)
    faults += zone_faults(operation, [zone.id for zone in document.zones], ("operation",))
    holidays = frozenset(_holidays(document, faults))
    sources = _sources(document, faults)
    connectors = dict(_connectors(document, tree, faults))
    if faults:
        raise BadInputError.gather(tree.sentences(faults))
    points: dict[str, Point] = {}
    for source in sources.values():
        for point in source.points:
            points.setdefault(point.id, point)
    return SiteFile(
        path=path,
        site=site_of(document, operation, tuple(points.values()), holidays),
        sources=sources,
        connectors=connectors,
        digest=hashlib.sha256(data).hexdigest(),
        tree=tree,
    )


def _holidays(document: SiteDocument, faults: list[Fault]) -> Iterator[date]:
    try:
        yield from holiday_dates(document.holidays)
    except NotImplementedError as error:
        message = f"{error}; list the dates instead, or check the country and subdivision codes"
        faults.append(Fault(path=("holidays",), message=message))


def _sources(document: SiteDocument, faults: list[Fault]) -> dict[str, SourceMapping]:
    units = tuple(unit.id for unit in units_of(document))
    subjects = Subjects.of(document, units)
    sources = {
        name: map_source(name, block, subjects, document.step_min * 60.0, faults)
        for name, block in document.sources.items()
    }
    faults.extend(meter_faults(document, list(sources.values())))
    kinds: dict[str, tuple[str, Point]] = {}
    for name, source in sources.items():
        for point in source.points:
            first, known = kinds.setdefault(point.id, (name, point))
            if known != point:
                message = f"point {point.id!r} differs from that in source {first!r} (kind, owner or step); rename one"
                faults.append(Fault(path=("sources", name), message=message))
    return sources


def _connectors(document: SiteDocument, tree: MarkedTree, faults: list[Fault]) -> Iterator[tuple[str, ConnectorBlock]]:
    for name, block in document.connectors.items():
        kind = block.get("type")
        if not isinstance(kind, str):
            message = "'type' is missing or not a word; 'understudy connector list' names the types"
            faults.append(Fault(path=("connectors", name), message=message))
            continue
        options = {key: value for key, value in block.items() if key != "type"}
        yield name, ConnectorBlock(name=name, kind=kind, options=options, tree=tree)


@cache
def site_schema() -> dict[str, Any]:
    """JSON schema of a site file, for editors."""
    schema = SiteDocument.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Understudy site file", **schema}
