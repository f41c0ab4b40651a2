"""The forecast screen says whether its intervals keep their promise (fault E3)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dashboard_example import ORIGIN, PASSWORD, RUN, Example, callback_body
from example_results import example_forecast

from dashboard.app import create_dashboard
from dashboard.memory import MemoryModels
from dashboard.views import ForecastView


def shown(world: Example, forecast: ForecastView) -> str:
    """What the screen gets for a forecast."""
    latest = world.services.models.latest()
    models = MemoryModels(latest, {forecast.series: forecast})
    made = create_dashboard(replace(world.services, models=models))
    browser = made.server.test_client()
    browser.post("/signin", data={"user": "otto", "password": PASSWORD}, headers=ORIGIN)
    key = next(key for key in made.dash.callback_map if "forecast.children" in key)
    given = {f"{part['id']}.{part['property']}": forecast.series for part in made.dash.callback_map[key]["inputs"]}
    answer = browser.post(RUN, json=callback_body(made, "forecast.children", given), headers=ORIGIN)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_intervals_that_failed_are_a_red_alert_with_the_whole_sentence(world: Example) -> None:
    sentence = "people: 80 % intervals held too seldom over the last 9 days (regression 51 %; least 64 %)"
    text = shown(world, replace(example_forecast(world.services.site), findings=(sentence,), judged=True))
    assert sentence in text
    assert "intervals failed" in text
    assert "intervals hold" not in text


@pytest.mark.parametrize(("judged", "badge"), [(True, "intervals hold"), (False, "intervals not judged")])
def test_green_needs_a_judgement(world: Example, judged: bool, badge: str) -> None:
    text = shown(world, replace(example_forecast(world.services.site), judged=judged, held="held 81 % of the time"))
    assert badge in text
    assert "held 81 % of the time" in text
