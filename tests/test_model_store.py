"""Models on disk: found again, never silently changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.model_store import ModelStore
from twin.errors import RefusedError


@dataclass(frozen=True)
class Text:
    text: str

    @property
    def model_id(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def to_json(self) -> str:
        return self.text


def store(folder: Path) -> ModelStore[Text]:
    return ModelStore(folder / "models", Text)


def test_the_model_saved_last_is_in_use(tmp_path: Path) -> None:
    models = store(tmp_path)
    models.save(Text("old"))
    models.save(Text("new"))
    assert models.current() == Text("new")
    assert models.load(Text("old").model_id) == Text("old")


def test_a_model_that_is_only_kept_leaves_the_one_in_use(tmp_path: Path) -> None:
    models = store(tmp_path)
    models.save(Text("old"))
    models.save(Text("new"), use=False)
    assert models.current() == Text("old")
    assert models.load(Text("new").model_id) == Text("new")


def test_without_a_model_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="run 'understudy calibrate' first"):
        store(tmp_path).current()


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    store(tmp_path).save(Text("as calibrated")).write_text("as somebody likes it")
    with pytest.raises(RefusedError, match="changed by hand"):
        store(tmp_path).current()


@pytest.mark.parametrize("name", ["../secret", "", "abc", "0" * 64])
def test_an_unknown_or_odd_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RefusedError, match="there is no model"):
        store(tmp_path).load(name)
