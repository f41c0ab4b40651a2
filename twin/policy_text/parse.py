"""Parses a policy from a tree, and describes policies as JSON schema and as table."""

from __future__ import annotations

from collections.abc import Collection

from twin.errors import BadInputError
from twin.policy import Policy, Precool
from twin.policy_text.keys import POLICY_KEYS
from twin.policy_text.readers import CALLED, CALLED_HELP, HoursReader
from twin.text.readers import EitherReader, Reader, RecordReader, Schema
from twin.text.tree import Fault, Path, dotted


def _built(**read: object) -> Policy:
    """Policy of read keys; a setpoint was read as the general setting and those of single zones."""
    for key in ("heating_setpoint_c", "cooling_setpoint_c"):
        pair = read.get(key)
        if isinstance(pair, tuple):
            read[key], read[f"zone_{key}"] = pair
    return Policy(**read)  # type: ignore[arg-type]


_POLICY = RecordReader(POLICY_KEYS, _built)


def _cross_faults(policy: Policy, path: Path) -> list[Fault]:
    """Faults between values that are each right alone."""
    faults = []
    supply, precool = policy.supply_air_temperature_c, policy.precool
    if supply is not None and supply.min_c > supply.max_c:
        message = f"min {supply.min_c:g} is above max {supply.max_c:g} °C; exchange them"
        faults.append(Fault(path=(*path, "supply_air_temperature_c", "reset"), message=message))
    if isinstance(precool, Precool) and precool.from_h >= precool.to_h:
        message = "`to` is not after `from`; a window lies within one day, from 00:00 to 24:00"
        faults.append(Fault(path=(*path, "precool"), message=message))
    heat, cool = policy.heating_setpoint_c, policy.cooling_setpoint_c
    for mode in ("occupied", "unoccupied"):
        if heat is not None and cool is not None and getattr(cool, mode) < getattr(heat, mode) + 1.0:
            message = (
                f"{getattr(cool, mode):g} °C is closer than 1 K to the heating setpoint {getattr(heat, mode):g} °C; "
                "raise it or lower the heating setpoint"
            )
            faults.append(Fault(path=(*path, "cooling_setpoint_c", mode), message=message))
    return faults


def read_policy(node: object, path: Path, faults: list[Fault]) -> Policy:
    """Policy of a tree; what is wrong is added to ``faults`` and left out of the policy.

    ``baseline``, ``{}`` and an empty node mean: as the site operates.
    """
    if node is None or node == "baseline":
        return Policy()
    policy = _POLICY.read(node, path, faults)
    if not isinstance(policy, Policy):
        return Policy()
    faults.extend(_cross_faults(policy, path))
    return policy


def zone_faults(policy: Policy, zones: Collection[str], path: Path) -> list[Fault]:
    """Faults of settings for zones that the site doesn't have."""
    faults = []
    for key in ("heating_setpoint_c", "cooling_setpoint_c"):
        for zone in getattr(policy, f"zone_{key}") or ():
            if zone not in zones:
                message = f"the site has no such zone; its zones: {', '.join(zones)}"
                faults.append(Fault(path=(*path, key, "zones", zone), message=message, on_key=True))
    return faults


def parse_policy(node: object) -> Policy:
    """Policy of a tree without a file around it.

    Raises:
        BadInputError: with all faults, each with its path.
    """
    faults: list[Fault] = []
    policy = read_policy(node, (), faults)
    if faults:
        raise BadInputError.gather([f"{dotted(fault.path)}: {fault.message}" for fault in faults])
    return policy


def policy_schema() -> Schema:
    """JSON schema of a policy, for editors."""
    return {"anyOf": [{"const": "baseline"}, {"type": "null"}, _POLICY.schema()]}


def policy_rows() -> list[tuple[str, str, str]]:
    """Dotted key, what is accepted and what it means, for every key: the table of the documentation."""
    rows: list[tuple[str, str, str]] = []
    for name, key in POLICY_KEYS.items():
        rows.append((name, key.reader.words(), key.help))
        rows.extend(_rows_below(name, key.reader))
    return rows


def _rows_below(name: str, reader: Reader) -> list[tuple[str, str, str]]:
    """Rows of the keys inside a reader."""
    if isinstance(reader, EitherReader):
        return _rows_below(name, reader.longer)
    if isinstance(reader, HoursReader):
        return [(f"{name}.called_by_occupancy", CALLED.words(), CALLED_HELP)]
    if not isinstance(reader, RecordReader):
        return []
    rows: list[tuple[str, str, str]] = []
    for key, below in reader.keys.items():
        rows.append((f"{name}.{key}", below.reader.words(), below.help))
        rows.extend(_rows_below(f"{name}.{key}", below.reader))
    return rows
