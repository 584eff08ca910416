import msgspec
import pytest
from click.testing import CliRunner

from audiomon.cli import tune as command
from audiomon.config import DecisionRules, Threshold
from audiomon.diagnostics.journal_entries import Entry
from audiomon.diagnostics.tune import LEVELS, Given, steady_level, threshold_at, tune
from audiomon.errors import UserError

T0 = 1_700_000_000.0
LABELS = ("background", "dog_bark")
RULES = DecisionRules(0.0, {"dog_bark": Threshold(on=0.6, off=0.3, min_off_s=0.0)})


def predictions(*scores, begin_s=0.0, model="home"):
    """One every half second, with these scores of a dog."""
    for number, score in enumerate(scores):
        written = msgspec.json.encode({"background": 1 - score, "dog_bark": score}).decode()
        yield Entry(T0 + begin_s + number / 2, "prediction", {"scores": written, "model": model})


def events(found):
    return [given.events for given in found.at["dog_bark"]]


def test_each_threshold_gives_what_the_daemon_would_have_said_with_it():
    found = tune(predictions(0, 0.45, 0, 0.75, 0.75, 0, 0.97, 0), "home", LABELS, RULES)
    assert LEVELS == (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    assert events(found) == [3, 3, 2, 2, 2, 1, 1, 1]
    assert found.now["dog_bark"] == found.at["dog_bark"][LEVELS.index(0.6)] == Given(2, 1.5)
    assert (found.predictions, found.hours) == (8, pytest.approx(3.5 / 3600))


def test_off_moves_along_with_on():
    assert threshold_at(0.9, Threshold(on=0.6, off=0.4)) == Threshold(on=0.9, off=0.6)
    assert threshold_at(0.5, Threshold(on=0.0, off=0.0)) == Threshold(on=0.5, off=0.0)


def test_what_is_on_when_a_stream_ends_ends_with_it():
    found = tune([*predictions(0.9, 0.9), *predictions(0.9, 0, begin_s=600)], "home", LABELS, RULES)
    assert found.now["dog_bark"] == Given(2, 1.0)
    assert found.hours == pytest.approx(1 / 3600)


def test_predictions_of_another_model_and_scores_that_cannot_be_read_are_left_out():
    strange = [
        Entry(T0, "prediction", {"scores": "{", "model": "home"}),
        Entry(T0, "prediction", {"scores": '{"wolf": 1}', "model": "home"}),
        Entry(T0, "prediction", {"model": "home"}),
    ]
    found = tune([*strange, *predictions(0.9, model="esc10"), *predictions(0.9, 0.9)], "home", LABELS, RULES)
    assert (found.predictions, found.others) == (2, 4)


@pytest.mark.parametrize("written", [0, 30])
def test_a_journal_without_all_of_the_scores_is_refused_with_what_to_set(written):
    entries = [*predictions(*[0.5] * written), Entry(T0 + 60, "summary", {"predictions": "117"})]
    with pytest.raises(UserError, match="predictions: every"):
        tune(entries, "home", LABELS, RULES)


def test_the_steady_level_lies_in_the_widest_range_that_gives_the_same():
    def given(*counts):
        return [Given(count) for count in counts]

    assert steady_level(given(9, 7, 3, 3, 3, 2, 1, 0)) == 0.6
    assert steady_level(given(0, 0, 0, 0, 0, 0, 0, 0)) is None
    assert steady_level(given(3, 3, 3, 3, 3, 3, 3, 3)) == 0.7


@pytest.fixture
def evening(monkeypatch, tmp_path):
    """An evening's scores, of the model that ships; a command that reads them."""

    def run(*scores, arguments=()):
        entries = [
            Entry(
                T0 + number / 2,
                "prediction",
                {"scores": msgspec.json.encode({"dog_bark": x}).decode(), "model": "home"},
            )
            for number, x in enumerate(scores)
        ]
        monkeypatch.setattr(command, "read_entries", lambda *_: iter(entries))
        config = tmp_path / "audiomon.yaml"
        config.write_text(
            "model: home\ndecisions:\n  smoothing_s: 0\n  min_off_s: 0\n  labels: {dog_bark: {on: 0.5, off: 0.25}}\n"
        )
        return CliRunner().invoke(command.tune_, ["--config", str(config), *arguments])

    return run


def test_the_table_shows_events_and_the_line_to_write(evening):
    said = evening(0, 0.55, 0, 0.98, 0, 0.98, 0)
    assert said.exit_code == 0, said.exception
    row = next(line for line in said.stdout.splitlines() if line.startswith("dog_bark"))
    assert row.split()[1::2] == ["3", "3", "3", "3", "2", "2", "2", "2", "2"]
    assert "\n    dog_bark: {on: 0.8, off: 0.4}\n" in said.stdout


def test_where_nothing_would_have_turned_on_that_is_said(evening):
    assert "not even at 0.3" in evening(0, 0.1, 0).stdout


def test_a_label_that_makes_no_events_is_refused(evening):
    assert isinstance(evening(0, arguments=["wolf"]).exception, UserError)
