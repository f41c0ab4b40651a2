"""Receipts as JSON and back, so that what was done can be undone after a restart."""

from __future__ import annotations

import json
from dataclasses import asdict

from twin.errors import BadInputError
from twin.plan import ActionKind, Receipt


def receipt_to_json(receipt: Receipt) -> str:
    """One line of JSON with sorted keys."""
    return json.dumps(asdict(receipt), sort_keys=True, allow_nan=False)


def receipt_from_json(text: str) -> Receipt:
    """The receipt that ``receipt_to_json`` wrote.

    Raises:
        BadInputError: the text is no receipt.
    """
    try:
        fields = json.loads(text)
        return Receipt(**{**fields, "kind": ActionKind(fields["kind"])})
    except (ValueError, TypeError, KeyError) as error:
        message = f"not a receipt of an action: {error}"
        raise BadInputError(message) from None
