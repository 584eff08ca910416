"""The picture of what was heard: columns of any length of time, axes that can be read."""

import numpy as np
import pytest

from audiomon.lab.heard_plot import MAX_COLUMNS, HeardColumns, name_times, scale_latencies
from tests.diagnostics.entries import T0


def test_a_picture_keeps_as_much_of_two_minutes_as_of_a_month():
    for seconds in (120, 86_400, 30 * 86_400):
        columns = HeardColumns()
        step_s = seconds / 5000
        for number in range(5000):
            columns.add(T0 + number * step_s, "speech" if number % 4 else "dog_bark", 200 + number % 50, 10)
        assert min(seconds, MAX_COLUMNS / 2) <= len(columns) <= MAX_COLUMNS
        assert columns.edges[0] == T0
        assert columns.edges[-1] >= T0 + 4999 * step_s
        assert columns.most_frequent(1) == ["speech"]
        assert np.nanmean(columns.shares(["speech"])) == pytest.approx(0.75, abs=0.02)
        median, highest = columns.latencies("inference_us")
        assert np.nanmin(median) >= 200
        assert np.nanmax(highest) <= 250


def test_a_picture_of_hours_without_predictions_is_blank_there():
    columns = HeardColumns()
    for at_s in (0, 40_000):
        columns.add(T0 + at_s, "speech", 200, 10)
    shares = columns.shares(["speech"])[0]
    assert shares[0] == shares[-1] == 1
    assert np.isnan(shares[2:-1]).all()


@pytest.mark.parametrize("hop_s", [0.511, 1.3, 2.2, 7])
def test_a_picture_has_no_stripes_where_predictions_are_rarer_than_columns(hop_s):
    columns = HeardColumns()
    for number in range(400):
        columns.add(T0 + number * hop_s, "speech", 200, 10)
    assert (columns.shares(["speech"]) == 1).all()
    assert not np.isnan(columns.latencies("lag_ms")).any()


def test_a_picture_is_blank_from_when_the_microphone_was_lost():
    columns = HeardColumns()
    columns.add(T0, "speech", 200, 10)
    columns.end(T0 + 5)
    columns.add(T0 + 30, "speech", 200, 10)
    shares = columns.shares(["speech"])[0]
    assert (shares[:5] == 1).all()
    assert np.isnan(shares[5:30]).all()


def test_a_picture_of_minutes_shows_their_shares_medians_and_maxima():
    columns = HeardColumns()
    for number in range(1, 5):
        columns.add_minute(T0 + 60 * number, {"speech": 30, "background": 90}, (36, 90), (12, 40))
    columns.add_minute(T0 + 300, {}, (0, 0), (0, 0))
    assert len(columns) == 181
    assert columns.shares(["speech"])[0, [0, 60, 180]] == pytest.approx(0.25)
    median, highest = columns.latencies("lag_ms")
    assert (median[0], highest[0]) == (12, 40)


@pytest.mark.parametrize(("low", "high"), [(36, 36), (55, 78), (62, 155), (150, 21_000), (0.01, 9e6)])
def test_the_numbers_of_an_axis_of_latencies_are_few_and_round(low, high):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    panel = figure.subplots()
    scale_latencies(panel, np.array([low, np.nan, high]))
    texts = [text.get_text() for text in panel.get_yticklabels()]
    assert 1 <= len(texts) <= 5
    assert len(set(texts)) == len(texts)
    assert max(map(len, texts)) <= 9


@pytest.mark.parametrize("length_s", [20, 142, 3600, 86_400, 3 * 86_400, 30 * 86_400, 400 * 86_400])
def test_the_times_under_a_picture_are_few_and_inside_it(length_s):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    panel = figure.subplots()
    name_times(panel, np.array([T0, T0 + length_s]))
    assert 2 <= len(panel.get_xticks()) <= 13
    assert T0 <= min(panel.get_xticks()) <= max(panel.get_xticks()) <= T0 + length_s
