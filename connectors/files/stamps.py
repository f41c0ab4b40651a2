"""Time stamps of files to UTC: offsets honoured, wall clocks resolved, naive stamps without a zone refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.settings.sources import StampBlock
from twin.errors import BadInputError

_OFFSET = r"(?:[Zz]|[+-]\d\d:?\d\d)$"
_END_OF_DAY = r"(?<=[ T])24:00"
"""Midnight at the end of a day, as some loggers write it."""
Micros = NDArray[np.int64]
NO_TIME = np.iinfo(np.int64).min
"""The mark of a stamp that could not be read or does not exist."""


@dataclass(slots=True)
class Parsed:
    """Stamps in µs since 1970 UTC, ``NO_TIME`` where there is none."""

    utc: Micros
    bad: NDArray[np.bool_]
    """Stamps that cannot be read."""
    skipped: NDArray[np.bool_]
    """Stamps that the wall clock never showed (spring switch)."""
    repeated: NDArray[np.bool_]
    """Stamps in the hour that the wall clock showed twice, told apart by their order."""


@dataclass(slots=True)
class StampReader:
    """Reads the stamps of one file, batch by batch; remembers where each series stands in a repeated hour."""

    block: StampBlock
    file: str
    step_us: int
    _passes: dict[object, tuple[int, bool]] = field(default_factory=dict)
    """Series → last wall time in the repeated hour, and whether it is in its second pass."""

    def read(self, column: pd.Series, keys: NDArray[np.object_] | None, first_row: int) -> Parsed:
        """Stamps of a batch.

        Args:
            column: texts, numbers or datetimes.
            keys: series of each row where a file holds several series below each other, else None.
            first_row: row number of the first one, for messages.

        Raises:
            BadInputError: naive stamps, and the source declares no time zone.
        """
        if self.block.format in {"epoch_s", "epoch_ms"}:
            parsed = self._epochs(column)
        elif isinstance(column.dtype, pd.DatetimeTZDtype):
            parsed = _aware(pd.DatetimeIndex(column), column.isna().to_numpy())
        elif pd.api.types.is_datetime64_dtype(column.dtype):
            parsed = self._wall(pd.DatetimeIndex(column), column.isna().to_numpy(), keys, first_row, column)
        else:
            parsed = self._texts(column.astype("str"), keys, first_row)
        if self.block.label == "right":
            parsed.utc = np.where(parsed.utc == NO_TIME, NO_TIME, parsed.utc - self.step_us)
        return parsed

    def _epochs(self, column: pd.Series) -> Parsed:
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
        factor = 1e6 if self.block.format == "epoch_s" else 1e3
        bad = ~np.isfinite(numbers) | (np.abs(numbers) * factor > 4e18)
        utc = np.where(bad, NO_TIME, (np.where(bad, 0.0, numbers) * factor).round().astype(np.int64))
        none = np.zeros(len(utc), dtype=np.bool_)
        return Parsed(utc, bad, none, none)

    def _texts(self, texts: pd.Series, keys: NDArray[np.object_] | None, first_row: int) -> Parsed:
        """Texts with an offset are aware, others are wall clock."""
        form = self.block.format if self.block.format not in {None, "iso"} else "ISO8601"
        codes, unique = pd.factorize(texts.str.strip())
        labels = pd.Series(unique, dtype="str")
        offset = np.array(labels.str.contains(_OFFSET, regex=True), dtype=np.bool_)
        offset &= "%" not in str(form) or "%z" in str(form)
        if offset.any():
            aware = pd.to_datetime(labels.where(offset), format=form, utc=True, errors="coerce")
            known = _aware(pd.DatetimeIndex(aware), aware.isna().to_numpy())
        if offset.all():
            return Parsed(known.utc[codes], known.bad[codes], known.skipped[codes], known.repeated[codes])
        midnight = np.array(labels.str.contains(_END_OF_DAY, regex=True), dtype=np.bool_)
        labels = labels.str.replace(_END_OF_DAY, "00:00", regex=True)
        wall = pd.to_datetime(labels.mask(offset), format=form, errors="coerce") + pd.to_timedelta(
            midnight.astype(np.int64), unit="D"
        )
        index = pd.DatetimeIndex(wall)[codes]
        at = offset[codes]
        parsed = self._wall(index, np.asarray(index.isna()), keys, first_row, texts, at)
        if offset.any():
            parsed.utc[at] = known.utc[codes][at]
            parsed.bad[at] = known.bad[codes][at]
        return parsed

    def _wall(
        self,
        index: pd.DatetimeIndex,
        bad: NDArray[np.bool_],
        keys: NDArray[np.object_] | None,
        first_row: int,
        shown: pd.Series,
        leave: NDArray[np.bool_] | None = None,
    ) -> Parsed:
        """Wall clock times of the declared zone in UTC."""
        ours = ~bad if leave is None else ~bad & ~leave
        if self.block.time_zone is None and ours.any():
            row = int(np.flatnonzero(ours)[0])
            text = str(shown.iloc[row])[:40]
            message = (
                f"{self.file}: row {first_row + row}, column {self.block.column!r}: time {text} has no time zone; "
                "add an offset to the file, or declare timestamp: {time_zone: ...} for this source in site.yaml"
            )
            raise BadInputError(message)
        zone = ZoneInfo(self.block.time_zone or "UTC")
        none = np.zeros(len(index), dtype=np.bool_)
        summer = _micros(index.tz_localize(zone, ambiguous=~none, nonexistent="NaT"))
        winter = _micros(index.tz_localize(zone, ambiguous=none, nonexistent="NaT"))
        repeated = ours & (summer != winter)
        second = self._second_passes(index, repeated, keys)
        skipped = ours & (summer == NO_TIME)
        utc = np.where(second, winter, summer)
        return Parsed(np.where(ours, utc, NO_TIME), bad & (none if leave is None else ~leave), skipped, repeated)

    def _second_passes(
        self, index: pd.DatetimeIndex, repeated: NDArray[np.bool_], keys: NDArray[np.object_] | None
    ) -> NDArray[np.bool_]:
        """Rows of the repeated hour that come after the clock was set back, by the order of their series."""
        second = np.zeros(len(index), dtype=np.bool_)
        wall = index.as_unit("us").asi8
        for row in np.flatnonzero(repeated):
            key = keys[row] if keys is not None else None
            last, passed = self._passes.get(key, (NO_TIME, False))
            if last == NO_TIME or abs(int(wall[row]) - last) > 86_400_000_000:
                passed = False
            elif wall[row] <= last:
                passed = True
            self._passes[key] = (int(wall[row]), passed)
            second[row] = passed
        return second


def _micros(index: pd.DatetimeIndex) -> Micros:
    return np.asarray(index.as_unit("us").asi8, dtype=np.int64)


def _aware(index: pd.DatetimeIndex, bad: NDArray[np.bool_]) -> Parsed:
    none = np.zeros(len(index), dtype=np.bool_)
    return Parsed(_micros(index.tz_convert("UTC")), bad, none, none)
