"""How numbers, times and names are written for people: site time with UTC beside it, always units, text escaped."""

from __future__ import annotations

import html
import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dashboard.views import Kpi

NOTHING = "–"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def escaped(text: object) -> str:
    """Text that a chart shows as it is: no mark-up of it is ever read as mark-up."""
    return html.escape(str(text), quote=False)


def shortened(text: str, most: int = 30) -> str:
    """A long name with its middle left out, so that names which differ at the end still differ."""
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def local(moment: datetime, zone: ZoneInfo, pattern: str = "%a %d %b %Y %H:%M") -> str:
    """A moment in site time."""
    return moment.astimezone(zone).strftime(pattern)


def utc(moment: datetime) -> str:
    """A moment in UTC, for the hover beside site time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span(seconds: float | None) -> str:
    """A length of time in its largest fitting unit."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def number(value: float | None, digits: int = 3) -> str:
    """A number with about ``digits`` significant figures and thin thousands; a dash for nothing."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    if float(value).is_integer() and abs(value) < 10 ** (digits + 3):
        return f"{value:,.0f}".replace(",", "\u202f").replace("-", "−")
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(places, 6)}f}".replace(",", "\u202f")
    return text.replace("-", "−")


WHOLE_PERCENT = 1000.0
"""From here on per cent are written without a tenth."""
_SQUARE_AND_CUBIC = ("W/m2K", "m2K/W", "J/m2K", "m3/s m2")
_UNITS = {"degC": "°C", "1": "", "fraction": ""} | {
    unit: unit.replace("m2", "m²").replace("m3", "m³") for unit in _SQUARE_AND_CUBIC
}


def unit_label(unit: str, currency: str = "") -> str:
    """A unit as people write it; money in the site's currency."""
    return currency if unit == "currency" else _UNITS.get(unit, unit)


def quantity(value: float | None, unit: str, digits: int = 3) -> str:
    """A number with its unit."""
    return f"{number(value, digits)} {unit}".rstrip() if value is not None else NOTHING


def interval(kpi: Kpi | None, *, signed: bool = False) -> str:
    """Median with its 80 % interval, e.g. ``−12.3 [−15.0, −9.8] %``; per cent to a tenth, as nobody reads more."""
    if kpi is None:
        return NOTHING
    shown = percent if kpi.unit == "%" else number
    value, low, high = (shown(part) for part in (kpi.value, kpi.low, kpi.high))
    sign = "+" if signed and kpi.value > 0 else ""
    bounds = f" [{low}, {high}]" if (low, high) != (value, value) else ""
    return f"{sign}{value}{bounds} {unit_label(kpi.unit)}".rstrip()


def percent(value: float | None) -> str:
    """Per cent to a tenth, without the sign of the unit."""
    if value is None or not math.isfinite(value) or abs(value) >= WHOLE_PERCENT:
        return number(value)
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


def csv_cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def day_start(moment: datetime, zone: ZoneInfo) -> datetime:
    """Local midnight at or before a moment, in UTC."""
    return moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)


def day_end(moment: datetime, zone: ZoneInfo) -> datetime:
    """Next local midnight, in UTC: 23, 24 or 25 hours after the start."""
    day = moment.astimezone(zone).date() + timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def parse_moment(text: str | None) -> datetime | None:
    """A moment of a link, or None when the text is none."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.astimezone(UTC)
