"""Figures: plain dicts that say units, escape names, and show what the numbers say."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from example_office import EVIL, example_site
from example_results import example_batch, example_forecast
from hypothesis import given
from hypothesis import strategies as st

from dashboard.figures.bars import delta_figure, quality_figure, savings_figure, waterfall_figure
from dashboard.figures.floor import Measure, floor_drawing, scale_for
from dashboard.figures.flows import sankey_figure
from dashboard.figures.lines import Line, forecast_figure, series_figure, thinned
from dashboard.figures.pareto import days_figure, front, pareto_figure
from dashboard.figures.plan_drawing import sheet
from dashboard.figures.racks import rack_drawing
from dashboard.figures.theme import DARK, LIGHT, between, readable_on
from dashboard.views import Kpi
from twin.site import ComfortBand
from twin.vocab import EndUse

BAND = ComfortBand()
CHICAGO = ZoneInfo("America/Chicago")


def test_every_room_is_drawn_once_and_rooms_do_not_overlap() -> None:
    site = example_site()
    boxes = sheet(site).boxes
    assert sorted(box.zone for box in boxes) == sorted(zone.id for zone in site.zones)
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            apart = a.x1 <= b.x0 + 1e-9 or b.x1 <= a.x0 + 1e-9 or a.y1 <= b.y0 + 1e-9 or b.y1 <= a.y0 + 1e-9
            assert apart, (a, b)


def test_a_south_room_lies_below_the_core_and_a_west_room_left_of_it() -> None:
    box = {box.zone: box for box in sheet(example_site(floors=1)).boxes}
    assert box["south 0"].y1 <= box["core 0"].y0 + 1e-9
    assert box["west 0"].x1 <= box["core 0"].x0 + 1e-9


def test_a_room_inside_the_band_is_neutral_and_a_hot_one_carries_an_arrow() -> None:
    drawing = sheet(example_site(floors=1))
    floors = floor_drawing(drawing, Measure.TEMPERATURE, {"core 0": 22.0, "west 0": 29.5}, BAND, LIGHT)
    rooms = {one["id"]: one for one in floors["tiles"]}
    assert rooms["core 0"]["fill"] == LIGHT.neutral
    assert rooms["west 0"]["lines"] == ["west 0", "▲ 29.5"]
    assert rooms["west 0"]["tip"] == ["west 0", "Temperature: 29.5 °C"]
    assert (rooms["east 0"]["lines"][-1], "fill" in rooms["east 0"]) == ("no data", False)


def test_tiles_lie_inside_the_drawing_as_the_rooms_lie_on_the_floor() -> None:
    drawing = sheet(example_site())
    floors = floor_drawing(drawing, Measure.PEOPLE, {}, BAND, LIGHT)
    for box, room in zip(drawing.boxes, floors["tiles"], strict=True):
        left, top, width, height = room["at"]
        assert left == pytest.approx(100 * box.x0 / drawing.width, abs=1e-3)
        assert top + height == pytest.approx(100 - 100 * box.y0 / drawing.height, abs=2e-3)
        assert min(left, top) >= 0
        assert max(left + width, top + height) <= 100 + 2e-3


def test_the_legend_names_the_band_where_the_colours_change() -> None:
    floors = floor_drawing(sheet(example_site()), Measure.TEMPERATURE, {}, BAND, LIGHT)
    marks = [mark["text"] for mark in floors["legend"]["marks"]]
    assert marks == [f"{value:g}" for value in (BAND.min_c - 3, BAND.min_c, BAND.max_c, BAND.max_c + 3)]
    assert floors["legend"]["unit"] == "°C"


@given(st.floats(min_value=-40, max_value=70))
def test_colours_never_leave_their_scale(value: float) -> None:
    colour = scale_for(Measure.TEMPERATURE, DARK, BAND, {}).colour(value)
    assert len(colour) == 7
    assert readable_on(colour) in {"#000000", "#ffffff"}


def test_a_scale_gives_its_ends_and_the_middle() -> None:
    stops = [(0.0, "#000000"), (1.0, "#ffffff")]
    assert [between(stops, share) for share in (-1.0, 0.0, 0.5, 1.0, 2.0)] == [
        "#000000",
        "#000000",
        "#808080",
        "#ffffff",
        "#ffffff",
    ]


def test_500_rooms_take_less_than_50_ms_as_dicts() -> None:
    site = example_site(floors=100)
    drawing = sheet(site)
    values = {box.zone: 20.0 + i % 9 for i, box in enumerate(drawing.boxes)}
    started = time.process_time()
    floors = floor_drawing(drawing, Measure.TEMPERATURE, values, BAND, LIGHT)
    assert time.process_time() - started < 0.05
    assert len(floors["tiles"]) == 500


def test_racks_show_the_value_and_the_number_of_vms_of_each_host() -> None:
    site = example_site()
    racks = rack_drawing(site.hosts, {"host-00": 41.0}, {"host-00": ["a", "b"]}, LIGHT, label="CPU", unit="%")
    hosts = {one["id"]: one for one in racks["tiles"]}
    assert hosts["host-00"]["lines"] == ["host-00", "41 %, 2 VM"]
    assert hosts["host-00"]["tip"][2:] == ["CPU: 41 %", "a", "b"]
    assert hosts["host-01"]["lines"][-1] == "no data, 0 VM"


def test_a_waterfall_starts_at_the_baseline_and_its_steps_are_the_deltas() -> None:
    figure = waterfall_figure(("baseline", 100.0), [("fans", -10.0), ("heating", 4.0)], "kWh", LIGHT)
    trace = figure["data"][0]
    assert trace["y"] == [100.0, -10.0, 4.0, 0]
    assert trace["measure"] == ["absolute", "relative", "relative", "total"]
    assert "kWh" in figure["layout"]["yaxis"]["title"]["text"]


def test_energy_that_enters_the_sankey_leaves_it() -> None:
    energy = {EndUse.FAN: 10.0, EndUse.HEATING_GAS: 7.0, EndUse.LIGHTS: 5.0, EndUse.OTHER: 1.0}
    link = sankey_figure(energy, LIGHT)["data"][0]["link"]
    flows = list(zip(link["source"], link["target"], link["value"], strict=True))
    hvac = 2
    assert sum(v for _, target, v in flows if target == hvac) == sum(v for source, _, v in flows if source == hvac)
    assert sum(v for source, _, v in flows if source == 0) == pytest.approx(16.0)


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_no_point_beats_a_point_of_the_front_in_both_aims(points: dict[str, tuple[int, int]]) -> None:
    best = front(points)
    for name in best:
        x, y = points[name]
        assert not any((a < x and b <= y) or (a <= x and b < y) for a, b in points.values())
    assert all(points[a][1] > points[b][1] for a, b in pairwise(best))


def test_axes_name_quantity_and_unit() -> None:
    batch = example_batch()
    figures = [
        pareto_figure(batch.scenarios, "hvac_kwh", "occupied_discomfort_kh", [], LIGHT),
        delta_figure({"a": Kpi(value=-1, low=-2, high=0, unit="%")}, "%", "change", LIGHT),
        quality_figure({"core": 0.5}, "K", "RMSE", LIGHT),
    ]
    assert figures[0]["layout"]["xaxis"]["title"]["text"] == "HVAC [kWh]"
    assert figures[0]["layout"]["yaxis"]["title"]["text"] == "occupied discomfort [K·h]"
    assert figures[1]["layout"]["xaxis"]["title"]["text"] == "change [%]"
    assert figures[2]["layout"]["xaxis"]["title"]["text"] == "RMSE [K]"


def test_names_are_text_in_every_figure() -> None:
    batch = example_batch()
    at = [datetime(2023, 7, 1, tzinfo=UTC)]
    figures = [
        pareto_figure(batch.scenarios, "hvac_kwh", "cost", [], LIGHT),
        delta_figure({EVIL: Kpi(value=1, low=0, high=2, unit="%")}, "%", "change", LIGHT),
        quality_figure({EVIL: 1.0}, "K", "RMSE", LIGHT),
        series_figure([Line(name=EVIL, at=at, values=[1.0], unit="W")], CHICAGO, LIGHT, title="power [W]"),
        days_figure([EVIL], ["2023-07-01"], [[1.0]], "K·h", LIGHT),
    ]
    for figure in figures:
        shown = json.dumps([{k: v for k, v in trace.items() if k != "customdata"} for trace in figure["data"]])
        assert "<img" not in shown
        assert "&lt;img" in shown


def test_series_show_site_time_with_utc_on_hover() -> None:
    at = datetime(2023, 7, 1, 12, tzinfo=UTC)
    figure = series_figure([Line(name="a", at=[at], values=[1.0], unit="W")], CHICAGO, LIGHT, title="power [W]")
    trace = figure["data"][0]
    assert trace["x"] == ["2023-07-01T07:00:00"]
    assert trace["customdata"] == ["12:00 UTC"]
    assert "America/Chicago" in figure["layout"]["xaxis"]["title"]["text"]


def test_gaps_stay_gaps() -> None:
    at = [datetime(2023, 7, 1, hour, tzinfo=UTC) for hour in range(3)]
    line = Line(name="a", at=at, values=[1.0, float("nan"), 3.0], unit="W")
    assert series_figure([line], CHICAGO, LIGHT, title="power [W]")["data"][0]["y"] == [1.0, None, 3.0]


def test_thinning_keeps_the_mean_and_the_limit() -> None:
    index = pd.date_range("2023-01-01", periods=10_000, freq="15min", tz="UTC")
    frame = pd.DataFrame({"a": range(10_000)}, index=index, dtype=float)
    short = thinned(frame, most=1000)
    assert len(short) == 1000
    assert short["a"].mean() == pytest.approx(frame["a"].mean())


def test_a_forecast_shows_its_interval_around_the_median() -> None:
    view = example_forecast(example_site())
    band, _, median = forecast_figure(view, CHICAGO, LIGHT)["data"]
    assert len(band["x"]) == 2 * len(median["x"])
    assert band["y"][0] >= median["y"][0] >= band["y"][-1]


def test_figures_without_data_say_why() -> None:
    for figure in (savings_figure([], LIGHT), sankey_figure({}, DARK), waterfall_figure(("", 0.0), [], "kWh", DARK)):
        assert figure["layout"]["annotations"][0]["text"].endswith(".")


def test_a_saving_that_is_not_measured_yet_is_not_drawn_as_zero() -> None:
    from dashboard.views import SavingView

    predicted = Kpi(value=5, low=3, high=7, unit="kWh")
    saving = SavingView(plan_id="p", title="t", month="2023-07", kpi="hvac_kwh", predicted=predicted, realised=None)
    figure = savings_figure([saving], LIGHT)
    assert figure["data"][1]["y"] == []


def test_an_empty_series_window_is_said() -> None:
    assert "No data" in series_figure([], CHICAGO, LIGHT, title="x")["layout"]["annotations"][0]["text"]


def test_days_of_23_and_25_hours_have_their_length() -> None:
    from dashboard.formats import day_end, day_start

    berlin = ZoneInfo("Europe/Berlin")
    for text, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)):
        noon = datetime.fromisoformat(f"{text}T12:00").replace(tzinfo=berlin)
        assert day_end(noon, berlin) - day_start(noon, berlin) == timedelta(hours=hours)
