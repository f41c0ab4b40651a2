"""The table of all keys of a policy: how each is read, its limits and its meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twin.policy import (
    Consolidation,
    EmptyZoneSetback,
    NightCycle,
    OptimalStart,
    OutdoorAir,
    Precool,
    SupplyAirReset,
)
from twin.policy_text.readers import HoursReader, SetpointReader
from twin.text.readers import (
    BuiltReader,
    ChoiceReader,
    ClockReader,
    EitherReader,
    FlagReader,
    Key,
    NumberReader,
    Reader,
    RecordReader,
)

_OFF = ChoiceReader(("off",))


def _record(build: Callable[..., object], **keys: Key) -> RecordReader:
    """A record whose keys are given as keywords; ``from_`` stands for ``from``."""
    return RecordReader({name.rstrip("_"): key for name, key in keys.items()}, build)


def _switchable(reader: Reader) -> Reader:
    return EitherReader(_OFF, reader)


_TEMPERATURE = NumberReader(5, 35, "°C")
_CLOCK = ClockReader()
_RESET = _record(
    SupplyAirReset,
    min=Key(_TEMPERATURE, "coldest supply air", required=True, field="min_c"),
    max=Key(_TEMPERATURE, "warmest supply air", required=True, field="max_c"),
    rise_k=Key(NumberReader(0, 5, "K"), "rise per step while every zone is 0.5 K below its cooling setpoint"),
    fall_k=Key(NumberReader(0, 5, "K"), "fall per step otherwise"),
)
_DEMAND = EitherReader(
    BuiltReader(_OFF, lambda _: 1.0),
    _record(
        lambda min_fraction=0.2: min_fraction,
        min_fraction=Key(NumberReader(0, 1), "least share of the design minimum outdoor air (0.2)"),
    ),
)

POLICY_KEYS: Mapping[str, Key] = {
    "heating_setpoint_c": Key(SetpointReader(0, 35), "heating setpoint of the thermostats"),
    "cooling_setpoint_c": Key(
        SetpointReader(10, 60), "cooling setpoint of the thermostats; it never comes closer than 1 K to the heating one"
    ),
    "operating_hours": Key(
        HoursReader(),
        "when the air handlers run, in site time; days not named stay as operated (in `operation` itself: off, "
        "and holidays like sun)",
    ),
    "optimal_start": Key(
        _switchable(
            _record(
                OptimalStart,
                latest=Key(_CLOCK, "every zone is ready by then", required=True, field="latest_h"),
                warm_up_k_per_h=Key(NumberReader(0.1, 50, "K/h"), "how fast the neediest zone warms up", required=True),
            )
        ),
        "between the scheduled start and `latest` the unit stays off as long as the neediest zone still can be ready",
    ),
    "empty_zone_setback": Key(
        _switchable(
            _record(
                EmptyZoneSetback,
                delta_k=Key(NumberReader(0, 10, "K"), "how far the band widens on both sides", required=True),
                after_min=Key(NumberReader(0, 1440, "min"), "how long the zone must have been empty (30)"),
                from_=Key(_CLOCK, "only after this time of the day", field="from_h"),
            )
        ),
        "while the unit runs, a zone without people has a wider band",
    ),
    "supply_air_temperature_c": Key(
        EitherReader(
            BuiltReader(_TEMPERATURE, lambda value: SupplyAirReset(min_c=value, max_c=value)),
            _record(lambda reset: reset, reset=Key(_RESET, "trim and respond within min and max", required=True)),
        ),
        "supply air temperature: fixed, or trim and respond each step",
    ),
    "outdoor_air": Key(
        _record(
            OutdoorAir,
            start_delay_h=Key(
                NumberReader(0, 12, "h"),
                "minimum outdoor air opens so long after the scheduled start (as operated, or 0)",
            ),
            demand_controlled=Key(
                _DEMAND,
                "the minimum follows people inside / design people; off: full design minimum",
                field="demand_controlled_min_fraction",
            ),
        ),
        "minimum outdoor air; keys that are not named stay as operated",
    ),
    "economizer": Key(
        ChoiceReader(("differential_dry_bulb", "off")),
        "more outdoor air while it is colder than the return air and cooling is needed",
    ),
    "night_cycle": Key(
        _switchable(
            _record(
                NightCycle,
                tolerance_k=Key(NumberReader(0, 10, "K"), "how far a zone may leave its unoccupied band (1)"),
                run_min=Key(NumberReader(1, 1440, "min"), "how long its unit then runs (30)"),
            )
        ),
        "with the unit off, a zone that leaves its unoccupied band starts it",
    ),
    "precool": Key(
        _switchable(
            _record(
                Precool,
                from_=Key(_CLOCK, "begin of the window", required=True, field="from_h"),
                to=Key(_CLOCK, "end of the window", required=True, field="to_h"),
                setpoint_c=Key(NumberReader(15, 30, "°C"), "cooling setpoint in the window", required=True),
            )
        ),
        "lower cooling setpoint in a window of the day (price or peak)",
    ),
    "consolidation": Key(
        _switchable(
            _record(
                Consolidation,
                overload=Key(
                    ChoiceReader(("static", "iqr", "mad", "lr", "lrr")), "detector of overloaded hosts (static)"
                ),
                selection=Key(ChoiceReader(("mmt", "rs", "mu", "mc")), "which VM leaves an overloaded host (mmt)"),
                placement=Key(ChoiceReader(("pabfd", "optimal")), "where it goes (pabfd)"),
                threshold=Key(
                    NumberReader(0, 10), "static: share of CPU (0.8); iqr, mad, lr, lrr: safety (1.5, 2.5, 1.2, 1.2)"
                ),
                interval_min=Key(NumberReader(1, 1440, "min"), "time between two decisions (5)"),
                max_migrations_per_step=Key(NumberReader(0, 100_000, whole=True), "most migrations per decision (any)"),
                dwell_min=Key(NumberReader(0, 10_080, "min"), "how long a moved VM stays at least (120)"),
            )
        ),
        "which VMs move together so that hosts become empty",
    ),
    "power_down_idle_hosts": Key(FlagReader(), "empty hosts are put to sleep and woken on demand"),
    "headroom": Key(NumberReader(0, 0.9), "share of a host's CPU kept free when VMs are placed"),
}
"""Every key of a policy. A key that is absent stays as the site operates."""
