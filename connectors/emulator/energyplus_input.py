"""Input files of the EnergyPlus engine: objects in, text out, and where the wheel keeps its models and weather."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from twin.errors import BadInputError, OutsideWorldError

Entry = list[str]
"""An object of the input file: its kind and its fields."""


def parse(text: str) -> list[Entry]:
    """Objects of an input file, comments stripped."""
    bare = re.sub(r"!.*", "", text)
    objects = ([part.strip() for part in chunk.split(",")] for chunk in bare.split(";"))
    return [entry for entry in objects if entry[0]]


def render(entries: Sequence[Entry]) -> str:
    """Input file of objects, one a line."""
    return "".join(",".join(entry) + ";\n" for entry in entries)


def of_kind(entries: Sequence[Entry], kind: str) -> Iterator[Entry]:
    """Objects of one kind, in order."""
    return (entry for entry in entries if entry[0].lower() == kind.lower())


def schedule_values(entries: Sequence[Entry], name: str, day: str) -> list[float]:
    """Value of a ``Schedule:Compact`` in each hour of a kind of day, 24 values.

    Args:
        entries: objects of the model.
        name: name of the schedule.
        day: ``Weekdays``, ``Saturday`` or ``AllOtherDays``.
    """
    fields = next(entry for entry in of_kind(entries, "Schedule:Compact") if entry[1].lower() == name.lower())[3:]
    blocks = re.split(r"(?i)for:?\s", ",".join(fields))[1:]
    chosen = next((b for b in blocks if day.lower() in b.split(",")[0].lower()), blocks[-1])
    hours: list[float] = []
    for until, value in re.findall(r"(?i)until:\s*(\d+):00\s*,\s*([-\d.]+)", chosen):
        hours += [float(value)] * (int(until) - len(hours))
    return hours


def source_files(building: str, weather: str) -> tuple[Path, Path]:
    """Files of a reference building and of a weather year in the engine's wheel.

    Raises:
        OutsideWorldError: the engine isn't installed.
        BadInputError: the wheel has no such building or weather.
    """
    try:
        from pyenergyplus.dataset import ref_models, weather_files
    except ImportError as error:
        message = "the EnergyPlus engine is not installed; install it with: pip install 'understudy[emulator]'"
        raise OutsideWorldError(message) from error
    for key, known, what in ((building, ref_models, "building"), (weather, weather_files, "weather")):
        if key not in known:
            message = f"{what} {key!r} is not in the EnergyPlus wheel; use one of {', '.join(sorted(known))}"
            raise BadInputError(message)
    return Path(ref_models[building]), Path(weather_files[weather])
