"""Secrets: read from the environment or from a file that only its owner may read, and never shown."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

from twin.errors import BadInputError

MASK = "***"


class Secret:
    """A text that prints as ``***`` wherever it is shown; only ``reveal`` gives it away."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; hand it straight to the peer, never to a message."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        message = "a secret is not written to disk or sent to another process"
        raise BadInputError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSource:
    """Where a secret is kept: exactly one of an environment variable and a file of mode 600."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    env: str | None = None
    file: Path | None = None

    def load(self, what: str, environment: Mapping[str, str] | None = None) -> Secret:
        """The secret.

        Args:
            what: the setting that asks for it, for messages.
            environment: variables to look in; the process's own when None.

        Raises:
            BadInputError: both or neither source is named, the variable or file is missing or empty, or others may
                read the file.
        """
        if (self.env is None) == (self.file is None):
            message = f"{what}: name either 'env: VARIABLE' or 'file: PATH' for the secret, exactly one of them"
            raise BadInputError(message)
        text = self._from_file(what, self.file) if self.file else _from_env(what, self.env or "", environment)
        if not text:
            message = f"{what}: the secret in {self.env or self.file} is empty"
            raise BadInputError(message)
        return Secret(text)

    @staticmethod
    def _from_file(what: str, path: Path) -> str:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                message = f"{what}: {path} has mode {mode:03o}, so others can read it; run: chmod 600 {path}"
                raise BadInputError(message)
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            message = f"{what}: secret file {path} cannot be read: {reason}"
            raise BadInputError(message) from None


def _from_env(what: str, variable: str, environment: Mapping[str, str] | None) -> str:
    variables = os.environ if environment is None else environment
    if variable not in variables:
        message = f"{what}: environment variable {variable} is not set; export it before the command"
        raise BadInputError(message)
    return variables[variable]


def basic_login(user: str, password: Secret) -> Secret:
    """User and password as a login by HTTP Basic sends them: readable by anybody who knows the encoding."""
    return Secret(base64.b64encode(f"{user}:{password.reveal()}".encode()).decode())


def scrub(text: str, secrets: Iterable[Secret | None]) -> str:
    """The text with every secret replaced by ``***``, also as an address or a JSON text writes it.

    For messages of foreign libraries and of services, which may say back what they were sent.
    """
    for secret in secrets:
        if secret is not None:
            plain = secret.reveal()
            for form in {plain, quote(plain, safe=""), quote_plus(plain), json.dumps(plain)[1:-1]}:
                text = text.replace(form, MASK)
    return text
