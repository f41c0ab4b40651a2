"""A workspace as commands use it: its site file, its stores, its model; everything is read when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from twin.cli.output import require_workspace

if TYPE_CHECKING:
    import pandas as pd

    from connectors.model_store import ModelStore
    from connectors.settings import SiteFile
    from connectors.telemetry_store import ParquetTelemetryStore
    from twin.model import Model
    from twin.site import Site


@dataclass(frozen=True)
class Workspace:
    """A folder with ``site.yaml`` and ``var/``."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> Workspace:
        """The workspace in a folder.

        Raises:
            BadInputError: it has no ``site.yaml``.
        """
        return cls(require_workspace(folder))

    @cached_property
    def site_file(self) -> SiteFile:
        """The site file, read and checked."""
        from connectors.settings import load_site

        return load_site(self.folder / "site.yaml")

    @property
    def site(self) -> Site:
        """The site that the file describes."""
        return self.site_file.site

    @property
    def telemetry(self) -> ParquetTelemetryStore:
        """The telemetry store."""
        from connectors.telemetry_store import ParquetTelemetryStore

        return ParquetTelemetryStore(self.var("telemetry"))

    @property
    def models(self) -> ModelStore[Model]:
        """The store of calibrated models."""
        from connectors.model_store import ModelStore
        from twin.model import Model

        return ModelStore(self.var("models"), Model.from_json)

    def var(self, *parts: str) -> Path:
        """A path below ``var/``; its parent exists afterwards."""
        path = self.folder.joinpath("var", *parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def rows(self, since: datetime | None = None, until: datetime | None = None) -> pd.DataFrame:
        """Telemetry of a period.

        Raises:
            BadInputError: there is none.
        """
        from twin.errors import BadInputError

        frame = self.telemetry.read(since=since, until=until)
        if frame.empty:
            held = self.telemetry.period()
            has = "is empty" if held is None else f"holds {held[0]:%Y-%m-%d %H:%M} to {held[1]:%Y-%m-%d %H:%M} UTC"
            asked = f"from {since or 'its begin'} to {until or 'its end'}"
            message = f"no telemetry {asked}: the store of {self.folder} {has}"
            raise BadInputError(f"{message}; run 'understudy ingest', or choose another period")
        return frame
