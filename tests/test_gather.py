"""Many sources at once: the dead and the slow do not hold up the living, and nothing is lost."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from connectors import gather as module
from connectors.gather import Gatherer
from twin.errors import OutsideWorldError

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Minutely:
    """A source with one row a minute; may be dead or slow."""

    def __init__(self, name: str, delay_s: float = 0.0) -> None:
        self.name, self.delay_s, self.dead = name, delay_s, False
        self.asked: list[tuple[datetime | None, datetime | None]] = []

    def fetch(self, since: datetime | None, until: datetime | None) -> pd.DataFrame:
        self.asked.append((since, until))
        time.sleep(self.delay_s)
        if self.dead:
            message = f"{self.name} does not answer"
            raise OutsideWorldError(message)
        times = pd.date_range(pd.Timestamp(since).ceil("min"), until, freq="min", inclusive="left")
        return pd.DataFrame({"timestamp": times, "point": self.name, "value": 1.0})


class Store:
    def __init__(self, delay_s: float = 0.0) -> None:
        self.rows: dict[str, set] = {}
        self.delay_s = delay_s

    def __call__(self, name: str, frame: pd.DataFrame) -> None:
        time.sleep(self.delay_s)
        self.rows.setdefault(name, set()).update(frame["timestamp"])


def test_a_dead_source_does_not_stop_the_others_and_its_span_is_fetched_later() -> None:
    good, bad, store = Minutely("good"), Minutely("bad"), Store()
    bad.dead = True
    gatherer = Gatherer({"good": good, "bad": bad}, store)
    health = gatherer.gather(NOON, NOON + HOUR)
    assert (health["good"].ok, health["good"].rows) == (True, 60)
    assert (health["bad"].ok, health["bad"].told) == (False, "bad does not answer")
    bad.dead = False
    gatherer.gather(NOON, NOON + 2 * HOUR)
    assert good.asked[-1] == (NOON + HOUR, NOON + 2 * HOUR)
    assert bad.asked[-1] == (NOON, NOON + 2 * HOUR)
    assert len(store.rows["good"]) == len(store.rows["bad"]) == 120


def test_sources_are_asked_at_the_same_time() -> None:
    slow = {f"s{n}": Minutely(f"s{n}", delay_s=0.3) for n in range(8)}
    began = time.monotonic()
    Gatherer(slow, Store()).gather(NOON, NOON + HOUR)
    assert time.monotonic() - began < 1.5


def test_a_hanging_source_costs_the_timeout_once_and_is_then_left_out() -> None:
    quick, stuck = Minutely("quick"), Minutely("stuck", delay_s=3.0)
    gatherer = Gatherer({"quick": quick, "stuck": stuck}, Store(), timeout_s=0.5)
    assert gatherer.gather(NOON, NOON + HOUR)["stuck"].told == "no end within 0.5 s"
    began = time.monotonic()
    health = gatherer.gather(NOON, NOON + 2 * HOUR)
    assert time.monotonic() - began < 0.4
    assert (health["quick"].ok, health["stuck"].told) == (True, "still hangs from an earlier round")
    assert health["stuck"].failures == 2


def test_a_slow_store_holds_the_sources_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 60 single-row frames at most the queue, one in each hand and those stored exist at any time."""
    monkeypatch.setattr(module, "CHUNK_ROWS", 1)
    most = 0
    waiting: list[int] = []
    real_put = module._put

    def counted(queue_, parcel, stopped) -> None:
        nonlocal most
        real_put(queue_, parcel, stopped)
        most = max(most, queue_.qsize())
        waiting.append(queue_.qsize())

    monkeypatch.setattr(module, "_put", counted)
    store = Store(delay_s=0.005)
    health = Gatherer({"s": Minutely("s")}, store).gather(NOON, NOON + HOUR)
    assert health["s"].rows == 60
    assert most <= module.QUEUE_FRAMES


def followed(sources: dict, store: Store, seconds: float, **settings: float) -> tuple[list, dict]:
    """States that were told, and the last health, of following for so long."""
    told, stop = [], threading.Event()
    threading.Timer(seconds, stop.set).start()
    began = time.monotonic()

    def now() -> datetime:
        return NOON + (time.monotonic() - began) * HOUR

    gatherer = Gatherer(sources, store, reached=dict.fromkeys(sources, NOON), **settings)
    return told, gatherer.follow(stop, now, 0.05, lambda state: told.append((state.name, state.ok)))


def test_following_tells_changes_and_fetches_what_was_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes of an hour a second: the source that was dead for a while has every minute in the end."""
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    good, bad, store = Minutely("good"), Minutely("bad"), Store()
    bad.dead = True
    threading.Timer(0.4, lambda: setattr(bad, "dead", False)).start()
    told, health = followed({"good": good, "bad": bad}, store, 1.0)
    assert [ok for name, ok in told if name == "bad"] == [False, True]
    assert [ok for name, ok in told if name == "good"] == [True]
    for name in ("good", "bad"):
        times = sorted(store.rows[name])
        assert times[0] == NOON
        assert len(times) == (times[-1] - times[0]) / timedelta(minutes=1) + 1
        assert health[name].reached >= NOON + 0.5 * HOUR


def test_a_source_that_hangs_is_named_and_holds_up_nobody_who_is_followed() -> None:
    quick, stuck, store = Minutely("quick"), Minutely("stuck", delay_s=3.0), Store()
    told, health = followed({"quick": quick, "stuck": stuck}, store, 1.0, timeout_s=0.3)
    assert ("stuck", False) in told
    assert len(quick.asked) >= 2
    assert health["stuck"].told == "no end within 0.3 s"


class Impatient(threading.Event):
    """A stop that writes down how long somebody wants to wait, waits not at all, and comes after five times."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if len(self.waits) == 5:
            self.set()
        return self.is_set()


def test_a_failing_source_is_asked_again_soon_and_then_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUICK_RETRIES", 2)
    source, stop = Minutely("s"), Impatient()
    source.dead = True
    Gatherer({"s": source}, Store(), reached={"s": NOON}).follow(stop, lambda: NOON + HOUR, 30.0, lambda _: None)
    assert stop.waits == [5.0, 5.0, 10.0, 20.0, 30.0]
