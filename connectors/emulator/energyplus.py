"""The EnergyPlus engine in lock-step: commands for a step in, readings of that step out.

The engine runs in a thread of its own (or, for a whole batch, in the caller's) and asks at the start of each step what
to do. Errors inside its callbacks would be swallowed by ctypes, so they are kept and raised to the caller.
"""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.emulator.energyplus_model import PreparedModel
from connectors.emulator.energyplus_points import (
    ENVIRONMENT,
    HVAC_METERS,
    STEP_S,
    ZONE_READINGS,
    Handles,
    StepCommands,
    StepReadings,
    values_of,
    variables,
)
from twin.errors import OutsideWorldError, UnderstudyError

Array = NDArray[np.float64]

_WEATHER_RUN = 3

Exchange = Callable[["StepReadings | None"], "StepCommands | None"]
"""Given the readings of the step before (None at first), the commands of the next; None stops the run."""


class EnergyPlusRun:
    """One run of the engine from the first to the last day of a prepared model.

    Without an exchange the building runs by the schedules of the model.
    """

    def __init__(self, model: PreparedModel, exchange: Exchange | None) -> None:
        self.model = model
        self._exchange = exchange
        self._handles: Handles | None = None
        self._error: BaseException | None = None
        self._stopped = False
        self._last: StepReadings | None = None
        self._pending = False
        self._api: Any = None
        self._state: Any = None

    def run(self) -> None:
        """Runs to the end, or until the exchange answers None.

        Raises:
            OutsideWorldError: the engine isn't installed or ends with an error.
            Exception: whatever the exchange raised.
        """
        folder = Path(tempfile.mkdtemp(prefix="understudy-energyplus-"))
        try:
            code = self._run_in(_engine(), folder)
            if self._error is not None:
                raise self._error
            if code and not self._stopped:
                message = f"EnergyPlus ended with code {code}: {_severe_lines(folder)}"
                raise OutsideWorldError(message)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self._exchange = None  # the engine's interface keeps every callback for good; let go of what ours holds

    def _run_in(self, api: Any, folder: Path) -> int:
        model_file = folder / "model.idf"
        model_file.write_text(self.model.text)
        self._api, self._state = api, api.state_manager.new_state()
        try:
            api.runtime.set_console_output_status(self._state, False)
            if self._exchange is not None:
                self._listen(api)
            arguments = ["-w", str(self.model.weather_file), "-d", str(folder), str(model_file)]
            return int(api.runtime.run_energyplus(self._state, arguments))
        finally:
            api.state_manager.delete_state(self._state)

    def _listen(self, api: Any) -> None:
        for name, key in (pair for pairs in variables(self.model).values() for pair in pairs):
            if key is not None:
                api.exchange.request_variable(self._state, name, key)
        api.runtime.callback_begin_zone_timestep_before_init_heat_balance(self._state, self._begin)
        api.runtime.callback_end_zone_timestep_after_zone_reporting(self._state, self._end)

    def _begin(self, state: Any) -> None:
        """Called by the engine before each step: sets the commands of that step."""
        if self._exchange is None or not self._live(state):
            return
        try:
            commands = self._exchange(self._last)
            if commands is None:
                self._stop(state)
            else:
                self._command(state, commands)
                self._pending = True
        except BaseException as error:  # raised again by run(); ctypes would swallow it
            self._error = error
            self._stop(state)

    def _end(self, state: Any) -> None:
        """Called by the engine after each step: keeps its readings."""
        if not self._pending or not self._live(state):
            return
        try:
            self._last = self._read(state)
        except BaseException as error:  # as above
            self._error = error
            self._stop(state)

    def _live(self, state: Any) -> bool:
        exchange = self._api.exchange
        if self._stopped or not exchange.api_data_fully_ready(state):
            return False
        return exchange.kind_of_sim(state) == _WEATHER_RUN and not exchange.warmup_flag(state)

    def _stop(self, state: Any) -> None:
        self._stopped = True
        self._api.runtime.stop_simulation(state)

    @property
    def last(self) -> StepReadings | None:
        """Readings of the last step that ran."""
        return self._last

    def _command(self, state: Any, commands: StepCommands) -> None:
        if self._handles is None:
            self._handles = Handles(self._api.exchange, state, self.model)
        put = self._api.exchange.set_actuator_value
        for name, handles in self._handles.actuators.items():
            values = values_of(name, commands)
            for handle, value in zip(handles, values, strict=True):
                if handle >= 0:
                    put(state, handle, float(value))
        self._command_economizer(state, commands, self._handles.outdoor_air)

    def _command_economizer(self, state: Any, commands: StepCommands, flows: list[tuple[int, float]]) -> None:
        """Holds outdoor air at its minimum where the economizer may not act."""
        if commands.economizer is None:
            return
        for (handle, minimum), allowed, share in zip(
            flows, commands.economizer, commands.minimum_outdoor_air, strict=True
        ):
            if handle < 0:
                continue
            if allowed > 0:
                self._api.exchange.reset_actuator(state, handle)
            else:
                self._api.exchange.set_actuator_value(state, handle, float(share * minimum))

    def _read(self, state: Any) -> StepReadings:
        if self._handles is None:
            message = "EnergyPlus reported a step before it was commanded"
            raise OutsideWorldError(message)
        get = self._api.exchange.get_variable_value
        found = self._handles.variables
        values = {k: np.array([get(state, h) if h >= 0 else 0.0 for h in hs]) for k, hs in found.items()}
        meter = self._api.exchange.get_meter_value
        site = {name: float(values[name][0]) for name in ENVIRONMENT}
        site |= {name: meter(state, handle) / STEP_S for name, handle in self._handles.meters.items()}
        site["hvac_electricity_w"] = sum(site[name] for name in HVAC_METERS)
        zones = {name: values[f"zone.{name}"] for name in (*ZONE_READINGS, "supply_flow_kg_s", "supply_temp_c")}
        units = {name: values[f"unit.{name}"] for name in ("flow_kg_s", "supply_temp_c", "outdoor_air_frac")}
        return StepReadings(site=site, zones=zones, units=units)


def _engine() -> Any:
    """The engine's Python interface; its sources hold an escape that newer Pythons warn about."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pyenergyplus.api import EnergyPlusAPI
    except ImportError as error:
        message = "the EnergyPlus engine is not installed; install it with: pip install 'understudy[emulator]'"
        raise OutsideWorldError(message) from error
    return EnergyPlusAPI()


def _severe_lines(folder: Path) -> str:
    report = folder / "eplusout.err"
    if not report.exists():
        return "it left no error file"
    lines = [line.strip(" *") for line in report.read_text(errors="replace").splitlines() if "Severe" in line]
    return " | ".join(lines[:3]) or "see its error file; no severe error was written"


class EnergyPlusBuilding:
    """The engine in a thread, one step per call; a context manager that always ends the thread."""

    def __init__(self, model: PreparedModel, *, timeout_s: float = 120.0) -> None:
        self.model = model
        self._timeout_s = timeout_s
        self._commands: queue.Queue[StepCommands | None] = queue.Queue(maxsize=1)
        self._readings: queue.Queue[StepReadings | BaseException | None] = queue.Queue(maxsize=1)
        self._run = EnergyPlusRun(model, self._hand_over)
        self._thread = threading.Thread(target=self._work, name="energyplus", daemon=True)
        self._started = False

    def start(self) -> None:
        """Starts the engine; it sizes the plant and waits for the first commands."""
        if not self._started:
            self._started = True
            self._thread.start()

    def step(self, commands: StepCommands) -> StepReadings:
        """Readings of one step run with these commands.

        Raises:
            OutsideWorldError: the engine has ended, failed or doesn't answer in time.
        """
        self.start()
        if not self._thread.is_alive() and self._readings.empty():
            message = "EnergyPlus has ended; prepare a model with later days to go on"
            raise OutsideWorldError(message)
        self._put(commands)
        try:
            answer = self._readings.get(timeout=self._timeout_s)
        except queue.Empty as error:
            message = f"EnergyPlus gave no answer within {self._timeout_s:g} s"
            raise OutsideWorldError(message) from error
        if isinstance(answer, UnderstudyError):
            raise answer
        if not isinstance(answer, StepReadings):
            message = f"EnergyPlus stopped: {answer}"
            raise OutsideWorldError(message) from answer
        return answer

    def stop(self) -> None:
        """Ends the run and its thread; a second call does nothing."""
        if not self._started:
            return
        deadline_s = self._timeout_s
        while self._thread.is_alive() and deadline_s > 0:
            with suppress(queue.Full):
                self._commands.put(None, timeout=0.05)
            while not self._readings.empty():
                self._readings.get_nowait()
            self._thread.join(timeout=0.1)
            deadline_s -= 0.15

    def __enter__(self) -> EnergyPlusBuilding:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _put(self, commands: StepCommands) -> None:
        try:
            self._commands.put(commands, timeout=self._timeout_s)
        except queue.Full as error:
            message = f"EnergyPlus took no command within {self._timeout_s:g} s"
            raise OutsideWorldError(message) from error

    def _hand_over(self, readings: StepReadings | None) -> StepCommands | None:
        if readings is not None:
            self._readings.put(readings)
        return self._commands.get()

    def _work(self) -> None:
        try:
            self._run.run()
        except BaseException as error:  # handed to the caller of step()
            self._readings.put(error)
        else:
            self._readings.put(self._run.last)
