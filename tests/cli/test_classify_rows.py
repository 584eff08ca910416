import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from audiomon.cli.classify_rows import Occurrence, Plan, Table, rows_of
from audiomon.config import DecisionRules
from audiomon.config.decisions import Threshold
from audiomon.pipeline.accounts import Fates
from audiomon.pipeline.listener import Heard
from audiomon.pipeline.prediction import Event, Prediction

LABELS = ("dog", "=cmd")
RULES = DecisionRules(0.0, {"dog": Threshold(on=0.7, off=0.3, min_on_s=0.5, min_off_s=1.0)})


def plan(form: str, *, events: bool = False, min_score: float = 0.0) -> Plan:
    return Plan(form, events, 20, min_score, LABELS, RULES, 1.0, 16_000, "0" * 64)  # type: ignore[arg-type]


def window(position_s: float, dog: float, *events: Event) -> Heard:
    scores = np.array([dog, 1 - dog], dtype=np.float32)
    best = int(scores.argmax())
    prediction = Prediction(
        LABELS[best], float(scores[best]), scores, LABELS, 0, position_s, 0, 1.0, 1.0, 1.0, 0, "model"
    )
    return Heard(prediction, events, Fates())


def event(state: str, position_s: float) -> Event:
    return Event("dog", state, 0.75, position_s, 0, 0.0)  # type: ignore[arg-type]


def written(chosen: Plan, heard: list[Heard], last: tuple[Event, ...] = (), path: str = "a.wav") -> str:
    rows, table = rows_of(Path(path), chosen), Table(chosen)
    made = [row for one in heard for row in rows.heard(one)]
    made += rows.ended(last)
    return table.head() + table.begin(Path(path)) + "".join(table.line(Path(path), row) for row in made)


def test_an_event_reaches_from_where_its_score_rose_to_where_it_fell():
    heard = [window(2.0, 0.6, event("on", 2.0)), window(2.5, 0.9), window(5.0, 0.1, event("off", 5.0))]
    rows = rows_of(Path("a.wav"), plan("csv", events=True))
    made = [row for one in heard for row in rows.heard(one)]
    assert made == [Occurrence("dog", 0.5, 4.0, pytest.approx(0.9))]


def test_an_event_that_the_recording_ends_within_ends_with_it():
    rows = rows_of(Path("a.wav"), plan("csv", events=True))
    assert list(rows.heard(window(3.0, 0.8, event("on", 3.0)))) == []
    assert list(rows.ended([event("off", 3.5)])) == [Occurrence("dog", 1.5, 3.5, pytest.approx(0.8))]


def test_what_scores_too_little_is_left_out():
    heard = [window(1.0, 0.8), window(2.0, 0.6), window(3.0, 0.9)]
    assert [row.split(",")[1] for row in written(plan("csv", min_score=0.7), heard).splitlines()[1:]] == [
        "1.000000",
        "3.000000",
    ]
    assert len(written(plan("text", min_score=0.7), heard).splitlines()) == 3  # the name, and two spans
    events = [window(2.0, 0.8, event("on", 2.0)), window(5.0, 0.1, event("off", 5.0))]
    assert written(plan("json", events=True, min_score=0.85), events) == ""


def test_audacity_s_label_track_is_begin_end_and_label_with_tabs():
    heard = [window(2.0, 0.9, event("on", 2.0)), window(5.0, 0.1, event("off", 5.0))]
    assert written(plan("audacity", events=True), heard) == "0.500000\t4.000000\tdog 0.90\n"


def test_raven_s_table_counts_on_from_file_to_file():
    chosen = plan("raven", events=True)
    table = Table(chosen)
    lines = [table.line(Path("a.wav"), Occurrence("dog", 1.0, 2.0, 0.9))]
    table.end(60.0)
    lines.append(table.line(Path("b.wav"), Occurrence("dog", 1.0, 2.0, 0.9)))
    rows = list(csv.DictReader(io.StringIO(table.head() + "".join(lines)), delimiter="\t"))
    assert [row["Selection"] for row in rows] == ["1", "2"]
    assert [float(row["Begin Time (s)"]) for row in rows] == [1.0, 61.0]
    assert [float(row["File Offset (s)"]) for row in rows] == [1.0, 1.0]
    assert [row["Begin Path"] for row in rows] == ["a.wav", "b.wav"]


def test_cells_are_never_formulas():
    table = written(plan("csv"), [window(1.0, 0.1)], path="=1+1.wav")
    rows = list(csv.reader(io.StringIO(table)))
    assert rows[0][4:] == ["dog", "'=cmd"]
    assert rows[1][0] == "'=1+1.wav"
    assert rows[1][2] == "'=cmd"


@pytest.mark.parametrize("form", ["text", "json", "csv"])
def test_a_name_that_is_not_utf_8_is_escaped_in_every_form(form):
    text = written(plan(form), [window(1.0, 0.1)], path="K\udcfcche.wav")
    text.encode()
    assert "K\\xfcche.wav" in (json.loads(text)["file"] if form == "json" else text)


def test_json_keeps_a_name_that_it_can_hold():
    assert json.loads(written(plan("json"), [window(1.0, 0.1)], path="a\nb.wav"))["file"] == "a\nb.wav"
