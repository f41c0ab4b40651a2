"""Certificates of services: whom to trust, and what to say when one is not trusted."""

from __future__ import annotations

import ssl
from pathlib import Path

from twin.errors import BadInputError


def trust(ca_file: Path | str | None, what: str) -> ssl.SSLContext:
    """A context that checks certificates and host names, against a private authority where one is named.

    Args:
        ca_file: certificates to trust instead of the system's.
        what: the setting that names the file, for messages.

    Raises:
        BadInputError: the file cannot be read or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        reason = "no certificates in it" if isinstance(error, ssl.SSLError) else str(error.strerror)
        message = f"{what}: {ca_file} cannot be used: {reason}; name a file of PEM certificates"
        raise BadInputError(message) from None


def distrusted(error: BaseException | None, setting: str) -> str | None:
    """What to say when a certificate was refused somewhere beneath an error; None for any other error.

    Args:
        error: what a client raised.
        setting: the setting that names a private authority.
    """
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted ({error.verify_message}); if the service is yours, name the "
                f"certificate of its authority with '{setting}: FILE'"
            )
        error = error.__cause__ or error.__context__
    return None
