"""Proves an exported audit log without Understudy: Python and 'cryptography' are all it needs.

    python verify_audit.py log.jsonl --public-key audit.pub --checkpoints checkpoints.jsonl

Take key and checkpoints from where they were kept apart from the machine that wrote the log; those inside the export
show only that it is consistent in itself. Leaves with 0 when everything holds, with 3 and the rows when it does not.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

GENESIS = "0" * 64
FIELDS = ("seq", "at", "actor", "event", "subject", "payload", "previous")


def canonical(thing: object) -> bytes:
    """Canonical JSON (RFC 8785) of texts, whole numbers, lists and maps with plain keys."""
    return json.dumps(thing, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def lines(path: Path) -> list[dict[str, Any]]:
    """JSON objects of a file, one a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def chain_faults(rows: Iterable[dict[str, Any]]) -> list[str]:
    """What is wrong with the chain of rows."""
    found, expected, previous = [], 1, GENESIS
    for row in rows:
        if row["seq"] != expected:
            found.append(f"audit row {row['seq']}: row {expected} is missing before it")
        digest = hashlib.sha256(canonical([row[name] for name in FIELDS])).hexdigest()
        if digest != row["digest"]:
            found.append(f"audit row {row['seq']}: its content does not match its digest")
        elif row["previous"] != previous:
            found.append(f"audit row {row['seq']}: it does not follow the row before it")
        expected, previous = row["seq"] + 1, row["digest"]
    return found


def checkpoint_faults(
    points: list[dict[str, Any]], rows: list[dict[str, Any]], instance: str, key: Ed25519PublicKey
) -> list[str]:
    """What the signed checkpoints say against the rows."""
    digests = {row["seq"]: row["digest"] for row in rows}
    last = max(digests, default=0)
    found = [] if points else ["checkpoints: there is none, so a cut tail or a full rewrite cannot be seen"]
    for number, point in enumerate(points, start=1):
        body = {name: value for name, value in point.items() if name not in {"signature", "kind"}}
        try:
            key.verify(bytes.fromhex(point["signature"]), canonical(body))
        except (InvalidSignature, ValueError, KeyError):
            found.append(f"checkpoint {number}: its signature or form is wrong")
            continue
        if point["instance"] != instance:
            found.append(f"checkpoint {number}: it belongs to instance {point['instance']}")
        elif point["seq"] > last:
            found.append(
                f"audit row {last + 1}: {point['seq'] - last} rows are gone; checkpoint {number} saw {point['seq']}"
            )
        elif digests.get(point["seq"]) != point["digest"]:
            found.append(f"audit row {point['seq']}: it was written anew; checkpoint {number} signed another digest")
    return found


def main(arguments: list[str]) -> int:
    """0 when the export holds, 3 when it does not."""
    parser = argparse.ArgumentParser(description="Proves an exported audit log of Understudy.")
    parser.add_argument("export", type=Path)
    parser.add_argument("--public-key", type=Path, help="kept apart from the machine that wrote the log")
    parser.add_argument("--checkpoints", type=Path, help="copy kept apart from the machine that wrote the log")
    asked = parser.parse_args(arguments)
    export = lines(asked.export)
    rows = [line for line in export if line["kind"] == "row"]
    points = lines(asked.checkpoints) if asked.checkpoints else [one for one in export if one["kind"] == "checkpoint"]
    pem = asked.public_key.read_bytes() if asked.public_key else export[0]["public_key"].encode()
    key = load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        sys.exit("the public key is no Ed25519 key")
    found = chain_faults(rows) + checkpoint_faults(points, rows, export[0]["instance"], key)
    said = found or [f"{len(rows)} rows hold, {len(points)} checkpoints agree"]
    if not (asked.public_key and asked.checkpoints):
        said.append("note: key or checkpoints came with the export; take both from where they were kept apart")
    sys.stdout.write("\n".join(said) + "\n")
    return 3 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
