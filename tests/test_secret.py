"""Secrets come from the environment or an own file, and are never shown."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from connectors.secret import Secret, SecretSource, scrub
from twin.errors import BadInputError


def test_a_secret_prints_as_stars() -> None:
    secret = Secret("hunter2")
    assert f"{secret} {secret!r} {[secret]}" == "*** *** [***]"
    assert secret.reveal() == "hunter2"


def test_a_secret_is_not_pickled() -> None:
    with pytest.raises(BadInputError):
        pickle.dumps(Secret("hunter2"))


def test_a_secret_is_read_from_the_environment() -> None:
    assert SecretSource(env="TOKEN").load("ha.token", {"TOKEN": "abc"}).reveal() == "abc"


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(BadInputError, match=r"ha.token: environment variable TOKEN is not set"):
        SecretSource(env="TOKEN").load("ha.token", {})


def test_a_file_is_read_only_when_others_cannot(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc\n")
    file.chmod(0o644)
    with pytest.raises(BadInputError, match="chmod 600"):
        SecretSource(file=file).load("ha.token")
    file.chmod(0o600)
    assert SecretSource(file=file).load("ha.token").reveal() == "abc"


@pytest.mark.parametrize("source", [SecretSource(), SecretSource(env="A", file=Path("b"))], ids=["none", "both"])
def test_exactly_one_source_is_named(source: SecretSource) -> None:
    with pytest.raises(BadInputError, match="exactly one"):
        source.load("x")


def test_an_empty_secret_is_a_mistake() -> None:
    with pytest.raises(BadInputError, match="is empty"):
        SecretSource(env="T").load("x", {"T": ""})


def test_foreign_messages_are_scrubbed() -> None:
    assert scrub("bad password 'pw1' for u", [Secret("pw1"), None]) == "bad password '***' for u"
