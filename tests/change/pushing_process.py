"""A process that pushes a stored plan to a gateway as production does: ``FOLDER PORT PLAN``."""

from __future__ import annotations

import sys
from pathlib import Path

from gateway import GatewayConnector

from connectors.change_control import PushSettings
from connectors.simulated.trial_desk import TrialDesk

PATIENCE_S = 0.8
SETTINGS = PushSettings(write_timeout_s=1.0)
"""As in production, but a write to this gateway lands within a second or never."""


def desk_at(folder: Path, port: int) -> TrialDesk:
    """The desk that this process and those who stop it share."""
    return TrialDesk(folder, {"building": GatewayConnector("building", port, PATIENCE_S)}, SETTINGS)


if __name__ == "__main__":
    sys.stdout.write(desk_at(Path(sys.argv[1]), int(sys.argv[2])).push(sys.argv[3]).state)
