"""How patient a push is."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings:
    """Bounds of waiting and trying; none of them loosens a guard."""

    write_timeout_s: float = 10.0
    """Longest time after which a write that was sent may still reach the device."""
    lease_s: float = 30.0
    """Silence after which another process may take the site over."""
    tries: int = 3
    """Writes of one value to one target, the first included."""
    backoff_s: float = 0.5
    """Wait before the second try; doubles, with jitter."""
    poll_s: float = 0.25
    """Time between two looks at the stop flag while waiting: a stop is obeyed within a second, the journal included."""
    guard_every_s: float = 60.0
    """Time between two looks at the guards while a wave settles."""
    clock_jump_s: float = 120.0
    """Jump of the calendar against the monotonic clock that pauses a push."""
    takeovers: int = 3
    """Crashed processes after which a push is rolled back instead of continued; twice as many make it stuck."""
    circuit_failures: int = 3
    """Failures in a row after which a device is left alone for the rest of the run."""
    read_max_age_s: float = 3600.0
    """Older readings count as unreadable."""
    sweep_s: float = 7 * 86_400.0
    """How long after a rollback its targets are still looked at for writes that came late."""

    def at_speed(self, speed: float) -> PushSettings:
        """The same patience by our clock, where the world's runs ``speed`` times as fast."""
        return replace(
            self,
            write_timeout_s=self.write_timeout_s * speed,
            lease_s=self.lease_s * speed,
            backoff_s=self.backoff_s * speed,
            poll_s=self.poll_s * speed,
            clock_jump_s=self.clock_jump_s * speed,
        )
