"""Redfish: power, temperature and power state of hosts; off only when empty, gracefully, and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.protocols.plain import PlainConnector, finite
from connectors.protocols.web import StatusError, Web, WebSettings
from connectors.self_test import clock_difference_s
from connectors.set_point import refused
from twin.errors import OutsideWorldError
from twin.plan import Action, ActionKind, Capability, Check, CheckVerdict, PointId, Quality, Reading, Receipt, Value

POLL_S = 0.5
_RESETS: Mapping[ActionKind, tuple[str, str]] = {
    ActionKind.POWER_OFF_HOST: ("GracefulShutdown", "off"),
    ActionKind.POWER_ON_HOST: ("On", "on"),
}
GuestCount = Callable[[str], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedfishHost:
    """A host behind a Redfish service."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    system: str | None = None
    """Path of its system, as in ``/redfish/v1/Systems/1``; None where only its chassis is read."""
    chassis: Sequence[str] = ()
    """Paths of its chassis; their power is added."""
    power: bool = False
    """Whether we may switch it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedfishSettings:
    """Everything a Redfish connector is told."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    server: WebSettings
    hosts: Mapping[str, RedfishHost]
    wait_s: float = 600.0
    """How long a change of the power state may take."""


class RedfishConnector(PlainConnector):
    """Points ``host/NAME/power`` (on, off), ``host/NAME/host_power`` [W], ``host/NAME/host_inlet_temperature`` [°C]."""

    capabilities = frozenset({Capability.READ, Capability.WRITE, Capability.POWER})

    def __init__(
        self,
        name: str,
        settings: RedfishSettings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        guests_on: GuestCount = lambda host: None,
    ) -> None:
        fields = {"power": "system", "host_power": "chassis", "host_inlet_temperature": "chassis"}
        points = [
            f"host/{h}/{f}" for h, facts in settings.hosts.items() for f, of in fields.items() if getattr(facts, of)
        ]
        super().__init__(name, dict.fromkeys(points), clock)
        self.settings = settings
        self.web = Web(name, settings.server)
        self.guests_on = guests_on

    def look(self, points: Sequence[PointId]) -> Mapping[PointId, Reading]:
        """Readings now; a resource that is missing or has no number is left out."""
        found: dict[PointId, Reading] = {}
        for point in points:
            value = self._value(point)
            if value is not None:
                found[point] = Reading(point=point, value=value, at=self._clock(), quality=Quality.GOOD)
        return found

    def _value(self, point: PointId) -> Value | None:
        _, host, field = point.split("/")
        facts = self.settings.hosts[host]
        try:
            if field == "power":
                return str(self._get(str(facts.system))["PowerState"]).lower()
            if field == "host_power":
                return self._watts(facts)
            return self._inlet_c(facts)
        except StatusError as error:
            if error.status == 404:
                return None
            raise

    def _get(self, path: str) -> Any:
        answer = self.web.json("GET", path)
        if not isinstance(answer, dict):
            message = f"{self.name}: {path} is no Redfish resource"
            raise OutsideWorldError(message)
        return answer

    def _watts(self, facts: RedfishHost) -> float | None:
        """Sum over the chassis; None as soon as one of them gives no number."""
        parts = [self._chassis_watts(self._get(path)) for path in facts.chassis]
        return None if None in parts else sum(part for part in parts if part is not None)

    def _chassis_watts(self, chassis: Mapping[str, Any]) -> float | None:
        """The newer resource first, the deprecated one second."""
        if "EnvironmentMetrics" in chassis:
            metrics = self._get(chassis["EnvironmentMetrics"]["@odata.id"])
            return finite(metrics.get("PowerWatts", {}).get("Reading"))
        if "Power" not in chassis:
            return None
        controls = self._get(chassis["Power"]["@odata.id"]).get("PowerControl", [])
        parts = [finite(control.get("PowerConsumedWatts")) for control in controls]
        return None if not parts or None in parts else sum(part for part in parts if part is not None)

    def _inlet_c(self, facts: RedfishHost) -> float | None:
        for path in facts.chassis:
            chassis = self._get(path)
            if "Thermal" in chassis:
                for sensor in self._get(chassis["Thermal"]["@odata.id"]).get("Temperatures", []):
                    if sensor.get("PhysicalContext") == "Intake" or "Inlet" in str(sensor.get("Name")):
                        return finite(sensor.get("ReadingCelsius"))
        return None

    def _judge(self, action: Action, before: Reading) -> Check:
        _, host, field = action.point.split("/")
        reset, wanted = _RESETS.get(action.kind, ("", ""))
        if field != "power" or not reset or action.value != wanted:
            return refused(f"{action.point}: cannot do {action.kind} to {action.value!r}")
        if before.value is None:
            return refused(f"{action.point}: cannot be read, so it is not switched")
        if before.value == wanted:
            return Check(verdict=CheckVerdict.ALREADY_DONE)
        fault = self._fault(host, action, str(before.value), reset)
        return refused(f"{action.point}: {fault}") if fault else Check(verdict=CheckVerdict.READY)

    def _fault(self, host: str, action: Action, state: str, reset: str) -> str:
        facts = self.settings.hosts[host]
        if not facts.power:
            return f"'power: true' is not set for {host}, so it is not switched"
        if state not in {"on", "off"}:
            return f"it is {state}; wait until that has ended"
        if reset not in self._allowed(facts):
            return f"the service does not offer {reset}"
        if action.kind is ActionKind.POWER_OFF_HOST:
            guests = self.guests_on(host)
            if guests is None:
                return "nobody can say whether guests run on it"
            if guests:
                return f"{guests} guests run on it; move them first"
        return ""

    def _action(self, facts: RedfishHost) -> Mapping[str, Any]:
        actions = self._get(str(facts.system)).get("Actions", {})
        found: Mapping[str, Any] = actions.get("#ComputerSystem.Reset", {})
        return found

    def _allowed(self, facts: RedfishHost) -> Sequence[str]:
        """Resets that the service lists; all where it keeps no list."""
        listed = self._action(facts).get("ResetType@Redfish.AllowableValues")
        return [reset for reset, _ in _RESETS.values()] if listed is None else list(listed)

    def write(self, action: Action) -> None:
        """Asks for the reset and waits for the state: an accepted request is not yet done."""
        host = action.point.split("/")[1]
        kind, wanted = _RESETS[action.kind]
        facts = self.settings.hosts[host]
        self.web.text("POST", str(self._action(facts)["target"]), json={"ResetType": kind})
        end = time.monotonic() + self.settings.wait_s
        while (state := self._value(action.point)) != wanted:
            if time.monotonic() > end:
                message = f"{action.point}: still {state} {self.settings.wait_s:g} s after {kind} was accepted"
                raise OutsideWorldError(message)
            time.sleep(POLL_S)

    def release(self, receipt: Receipt) -> None:
        """Switches back, if the host still is as we left it and the way back is allowed."""
        if (
            receipt.prior is None
            or receipt.prior == receipt.value
            or self.read([receipt.point])[0].value != receipt.value
        ):
            return
        inverse = ActionKind.POWER_ON_HOST if receipt.value == "off" else ActionKind.POWER_OFF_HOST
        self.apply(
            Action(
                id=f"undo {receipt.action_id}",
                kind=inverse,
                connector=self.name,
                point=receipt.point,
                value=receipt.prior,
                expected=receipt.value,
            )
        )

    def clock_difference_s(self) -> float | None:
        """How far the server's clock is ahead of ours, as told with its last answer. [s]"""
        return clock_difference_s(self.web.date_header, self._clock())

    def close(self) -> None:
        """Closes the connection."""
        self.web.close()
