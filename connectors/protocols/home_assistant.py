"""Home Assistant by REST: states and history, setpoints and presets of climate entities, always read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pandas as pd

from connectors.protocols.plain import Measure, PlainConnector, finite
from connectors.protocols.web import StatusError, Web, WebSettings
from connectors.self_test import clock_difference_s
from connectors.set_point import Allowance, refused
from twin.errors import OutsideWorldError
from twin.plan import Action, ActionKind, Capability, Check, CheckVerdict, PointId, Quality, Reading, Value
from twin.vocab import PointKind

_NO_VALUE = frozenset({"unavailable", "unknown"})
PRESET = "preset_mode"
TEMPERATURE = "temperature"


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAssistantPoint:
    """The state of an entity, or one of its attributes."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    entity: str
    attribute: str | None = None
    """``temperature`` of a climate entity is its setpoint, ``preset_mode`` its preset; both can be commanded."""
    kind: PointKind | None = None
    unit: str | None = None
    write: Allowance | None = None
    presets: Sequence[str] = ()
    """Presets that we may choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAssistantSettings:
    """Everything a Home Assistant connector is told."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    server: WebSettings
    points: Mapping[str, HomeAssistantPoint]
    history_s: float = 86_400.0
    """How far back is fetched when nothing was fetched before."""


class HomeAssistantConnector(PlainConnector):
    """One Home Assistant."""

    capabilities = frozenset({Capability.READ, Capability.WRITE, Capability.HISTORY})

    def __init__(
        self, name: str, settings: HomeAssistantSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        writable = {TEMPERATURE, PRESET}
        super().__init__(
            name, {p: f.write if f.attribute in writable else None for p, f in settings.points.items()}, clock
        )
        self.settings = settings
        self.web = Web(name, settings.server)

    def look(self, points: Sequence[PointId]) -> Mapping[PointId, Reading]:
        """States now; an entity that does not exist or is unavailable has none."""
        states: dict[str, Any] = {}
        for entity in dict.fromkeys(self.settings.points[point].entity for point in points):
            states[entity] = self._state(entity)
        return {point: reading for point in points if (reading := self._reading(point, states)) is not None}

    def _state(self, entity: str) -> Any:
        try:
            return self.web.json("GET", f"/api/states/{quote(entity)}")
        except StatusError as error:
            if error.status == 404:
                return None
            raise

    def _reading(self, point: PointId, states: Mapping[str, Any]) -> Reading | None:
        facts = self.settings.points[point]
        value = _value(facts, states[facts.entity])
        if value is None:
            return None
        return Reading(point=point, value=value, at=self._clock(), quality=Quality.GOOD)

    def _judge(self, action: Action, before: Reading) -> Check:
        facts = self.settings.points[action.point]
        if facts.attribute == PRESET and action.kind is ActionKind.SET_POINT:
            if action.value not in facts.presets:
                return refused(
                    f"{action.point}: preset {action.value!r} is none of {', '.join(facts.presets) or 'none'}"
                )
            if before.value is None:
                return refused(f"{action.point}: cannot be read, so it is not written")
            done = before.value == action.value
            return Check(verdict=CheckVerdict.ALREADY_DONE if done else CheckVerdict.READY)
        verdict = super()._judge(action, before)
        return verdict if verdict.reason else self._within_device(action, facts, verdict)

    def _within_device(self, action: Action, facts: HomeAssistantPoint, verdict: Check) -> Check:
        """The entity's own limits: beyond them the server answers 500."""
        attributes = (self._state(facts.entity) or {}).get("attributes", {})
        low, high = finite(attributes.get("min_temp")), finite(attributes.get("max_temp"))
        raw = _measure(facts).outside(float(action.value))
        if (low is not None and raw < low) or (high is not None and raw > high):
            return refused(f"{action.point}: {raw:g} is outside the device's limits {low} to {high}")
        return verdict

    def write(self, action: Action) -> None:
        """Calls the climate service and looks whether the entity was found: an unknown one also answers 200."""
        facts = self.settings.points[action.point]
        data: dict[str, str | float]
        if facts.attribute == PRESET:
            path, data = "/api/services/climate/set_preset_mode", {"preset_mode": str(action.value)}
        else:
            raw = _measure(facts).outside(float(action.value))
            path, data = "/api/services/climate/set_temperature", {"temperature": raw}
        if self._state(facts.entity) is None:
            message = f"{self.name}: Home Assistant has no entity {facts.entity}"
            raise OutsideWorldError(message)
        self.web.json("POST", path, json={"entity_id": facts.entity, **data})

    def fetch(self, since: datetime | None, until: datetime | None) -> pd.DataFrame:
        """Changes of state as recorded by the server; attributes and states alike."""
        until = until or self._clock()
        since = since or until - timedelta(seconds=self.settings.history_s)
        entities = ",".join(dict.fromkeys(facts.entity for facts in self.settings.points.values()))
        history = self.web.json(
            "GET",
            f"/api/history/period/{quote(since.isoformat())}",
            params={"filter_entity_id": entities, "end_time": until.isoformat()},
        )
        states = {rows[0]["entity_id"]: rows for rows in history if rows}
        rows = [
            (datetime.fromisoformat(state["last_updated"]).astimezone(UTC), point, float(value))
            for point, facts in self.settings.points.items()
            for state in states.get(facts.entity, ())
            if isinstance(value := _value(facts, state), float)
        ]
        return pd.DataFrame(
            {
                "timestamp": pd.DatetimeIndex([row[0] for row in rows], tz="UTC").as_unit("ns"),
                "point": pd.Series([row[1] for row in rows], dtype=object),
                "value": pd.Series([row[2] for row in rows], dtype=float),
            }
        )

    def clock_difference_s(self) -> float | None:
        """How far the server's clock is ahead of ours, as told with its last answer. [s]"""
        return clock_difference_s(self.web.date_header, self._clock())

    def close(self) -> None:
        """Closes the connection."""
        self.web.close()


def _measure(facts: HomeAssistantPoint) -> Measure:
    return Measure(kind=facts.kind, unit=facts.unit)


def _value(facts: HomeAssistantPoint, state: Any) -> Value | None:
    if state is None or state["state"] in _NO_VALUE:
        return None
    shown = state["state"] if facts.attribute is None else state["attributes"].get(facts.attribute)
    if facts.attribute == PRESET:
        return None if shown is None else str(shown)
    raw = {"on": 1.0, "off": 0.0}.get(shown) if shown in {"on", "off"} else finite(shown)
    return None if raw is None else _measure(facts).inside(raw)
