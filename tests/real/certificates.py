"""Certificates of an authority that a test makes for itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

from peers import require_program


def openssl(*argv: object) -> None:
    program = require_program("openssl", "openssl")
    subprocess.run([program, *map(str, argv)], check=True, capture_output=True)


def authority(folder: Path) -> Path:
    folder.mkdir()
    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=test authority",
        "-keyout", folder / "cakey.pem", "-out", folder / "cacert.pem",
    )  # fmt: skip
    return folder


def issue(ca: Path, folder: Path, kind: str, name: str) -> Path:
    """A key and a certificate for the address or name, beside the authority's own certificate."""
    folder.mkdir(exist_ok=True)
    request, extra = folder / "request.pem", folder / "extra.cnf"
    extra.write_text(f"subjectAltName=IP:{name}\n" if kind == "server" else "extendedKeyUsage=clientAuth\n")
    openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
        "-keyout", folder / f"{kind}key.pem", "-out", request,
    )  # fmt: skip
    openssl(
        "x509", "-req", "-in", request, "-days", 2, "-CA", ca / "cacert.pem", "-CAkey", ca / "cakey.pem",
        "-CAcreateserial", "-extfile", extra, "-out", folder / f"{kind}cert.pem",
    )  # fmt: skip
    (folder / "cacert.pem").write_bytes((ca / "cacert.pem").read_bytes())
    (folder / f"{kind}key.pem").chmod(0o600)
    return folder
