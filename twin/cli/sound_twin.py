"""A twin that a plan may rest on: accepted, physical, on its own sensors, and not left by the building."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from twin.cli.drift import require_no_drift
from twin.cli.workspace import Workspace
from twin.errors import RefusedError

if TYPE_CHECKING:
    from twin.model import Model
    from twin.site import Site

SENSOR_CHECK = timedelta(days=14)
"""Of telemetry in which rooms are looked at for swapped sensors."""


def accepted_model(here: Workspace) -> Model:
    """The model in use.

    Raises:
        RefusedError: there is none, or calibration did not accept it.
    """
    model = here.models.current()
    if not model.accepted:
        message = f"model {model.model_id[:12]} is not accepted: {'; '.join(model.reasons)}"
        raise RefusedError(f"{message}; calibrate again on more or better telemetry before proposing a plan")
    return model


def require_sound(here: Workspace, before: datetime) -> None:
    """Nothing when telemetry and model of a workspace contradict each other in nothing that a plan rests on.

    Raises:
        RefusedError: parameters of no building, a building that has left its twin, or rooms that look swapped.
    """
    require_physical(here.models.current(), here.site)
    require_no_drift(here)
    require_own_sensors(here, before)


def require_physical(model: Model, site: Site) -> None:
    """Nothing when every calibration of the ensemble could be of a building.

    Raises:
        RefusedError: one could not; parameter, value and bounds are named.
    """
    from twin.building.parameters import unphysical

    faults = {fault for one in (model.parameters, *model.ensemble) for fault in unphysical(one, site)}
    if faults:
        message = f"model {model.model_id[:12]} is of no building that could stand: {'; '.join(sorted(faults))}"
        raise RefusedError(f"{message}; calibrate again")


def require_own_sensors(here: Workspace, before: datetime) -> None:
    """Nothing when every room of the last two weeks follows its own twin.

    Raises:
        RefusedError: rooms look swapped.
    """
    from twin.calibration.swapped import find_swaps
    from twin.cli.models import record_of

    parameters = here.models.current().parameters
    found = find_swaps(here.site, parameters, record_of(here, before - SENSOR_CHECK, before))
    if found:
        said = "; ".join(swap.sentence() for swap in found)
        raise RefusedError(f"no plan is proposed from sensors that contradict the twin: {said}")
