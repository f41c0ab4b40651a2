"""Change control: the push, the way back, the lease, the clocks; the only code that calls ``Connector.apply``."""

from connectors.change_control.clocks import ManualClock, SystemClock
from connectors.change_control.control import REVERSAL_REFUSED, ChangeControl
from connectors.change_control.lease import FileLock, SiteLock
from connectors.change_control.session import Gate
from connectors.change_control.settings import PushSettings
from connectors.change_control.watchdog import Round, Watchdog

__all__ = [
    "REVERSAL_REFUSED",
    "ChangeControl",
    "FileLock",
    "Gate",
    "ManualClock",
    "PushSettings",
    "Round",
    "SiteLock",
    "SystemClock",
    "Watchdog",
]
