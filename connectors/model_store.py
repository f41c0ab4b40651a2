"""Calibrated models on disk: one JSON file per model, named by its digest, and which one is in use.

A model is immutable: a file is written once and checked against its name when it is read (faults D10, E6).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from twin.errors import OutsideWorldError, RefusedError

_ID = re.compile(r"^[0-9a-f]{8,64}$")
CURRENT = "current"


class StoredModel(Protocol):
    """What the store needs of a model."""

    @property
    def model_id(self) -> str:
        """Digest of the model's content."""
        ...

    def to_json(self) -> str:
        """The whole model as JSON."""
        ...


M = TypeVar("M", bound=StoredModel)


@dataclass(frozen=True, slots=True)
class ModelStore(Generic[M]):
    """Models below ``var/models``."""

    folder: Path
    read: Callable[[str], M]
    """Makes a model of its JSON."""

    def save(self, model: M, *, use: bool = True) -> Path:
        """Keeps a model and, unless told otherwise, makes it the one in use."""
        place = self.folder / f"{model.model_id}.json"
        self._write(place, model.to_json())
        if use:
            self._write(self.folder / CURRENT, model.model_id + "\n")
        return place

    def current(self) -> M:
        """The model in use.

        Raises:
            RefusedError: nothing has been calibrated here.
        """
        return self.load(self.current_id())

    def current_id(self) -> str:
        """Id of the model in use, whose content is not looked at.

        Raises:
            RefusedError: nothing has been calibrated here.
        """
        try:
            return (self.folder / CURRENT).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            message = "this workspace has no calibrated model; run 'understudy calibrate' first"
            raise RefusedError(message) from None

    def load(self, model_id: str) -> M:
        """A model by its id.

        Raises:
            RefusedError: there is no such model, or its content no longer fits its name.
        """
        place = self.folder / f"{model_id}.json"
        if not _ID.match(model_id) or not place.is_file():
            raise RefusedError(f"there is no model {model_id!r} in {self.folder}; run 'understudy calibrate'")
        try:
            model = self.read(place.read_text(encoding="utf-8"))
        except (ValueError, KeyError, TypeError) as error:
            raise RefusedError(f"{place}: not a readable model ({error}); run 'understudy calibrate' again") from error
        if model.model_id != model_id:
            message = f"{place}: content has the digest {model.model_id}, not that of its name; it was changed by hand"
            raise RefusedError(f"{message}; run 'understudy calibrate' again")
        return model

    def _write(self, place: Path, text: str) -> None:
        beside = place.with_name(f"{place.name}.{os.getpid()}.tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with beside.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(place)
        except OSError as error:
            raise OutsideWorldError(
                f"{place}: cannot be written: {error.strerror}; free space or mend rights"
            ) from error
        finally:
            beside.unlink(missing_ok=True)
