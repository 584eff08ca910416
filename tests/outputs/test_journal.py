import json
import os
import socket

import numpy as np
import pytest

from audiomon.config import Config
from audiomon.config.schema import Journal as JournalConfig
from audiomon.outputs.journal import Journal
from audiomon.outputs.journal_socket import JournalSocket, writes_to_journal
from audiomon.outputs.message_ids import MESSAGE_IDS
from audiomon.pipeline.prediction import Event, Prediction, Status
from tests.outputs.journald import Journald

LABELS = ("background", "baby_cry", "dog_bark", "speech")


def prediction(label="speech", score=0.9375, **changes):
    scores = np.full(4, (1 - score) / 3, dtype=np.float32)
    scores[LABELS.index(label)] = score
    facts = {
        "labels": LABELS,
        "position": 44_100,
        "position_s": 2.0,
        "time_ns": 1_700_000_000_000_000_000,
        "features_us": 104.6,
        "inference_us": 35.9,
        "lag_ms": 12.4,
        "lost": 0,
        "model": "home",
    }
    return Prediction(label=label, score=score, scores=scores, **(facts | changes))


@pytest.fixture
def journal(journald):
    return Journal(JournalSocket(journald.path), "kitchen")


def test_a_prediction_is_one_line_in_columns_and_all_of_it_in_fields(journal, journald):
    journal.prediction(prediction())
    (entry,) = journald.entries()
    assert entry["MESSAGE"] == "speech     0.94 █████████▍ features   105 µs  inference    36 µs"
    assert json.loads(entry.pop("AUDIOMON_SCORES")) == {
        "speech": 0.938,
        "background": 0.021,
        "baby_cry": 0.021,
        "dog_bark": 0.021,
    }
    assert {name: value for name, value in entry.items() if name != "MESSAGE"} == {
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "audiomon",
        "MESSAGE_ID": MESSAGE_IDS["prediction"],
        "AUDIOMON_INSTANCE": "kitchen",
        "AUDIOMON_MODEL": "home",
        "AUDIOMON_LABEL": "speech",
        "AUDIOMON_SCORE": "0.938",
        "AUDIOMON_FEATURES_US": "105",
        "AUDIOMON_INFERENCE_US": "36",
        "AUDIOMON_LAG_MS": "12",
        "AUDIOMON_POSITION": "44100",
    }


def test_columns_stay_where_they_are_whatever_the_label_and_the_score(journal, journald):
    for label, score in (("speech", 1.0), ("background", 0.26), ("dog_bark", 0.5)):
        journal.prediction(prediction(label, score, features_us=9.0, inference_us=12_345.0))
    lines = [entry["MESSAGE"] for entry in journald.entries()]
    assert {line.index("features") for line in lines} == {27}
    assert {len(line) for line in lines} == {len(lines[0])}


def test_a_model_with_many_labels_has_its_twenty_highest_scores_written(journal, journald):
    labels = tuple(f"label {number}" for number in range(521))
    scores = np.arange(521, dtype=np.float32) / 1000
    journal.prediction(Prediction("label 520", 0.52, scores, labels, 1, 1.0, 0, 1.0, 1.0, 1.0, 0, "yamnet"))
    (entry,) = journald.entries()
    assert list(json.loads(entry["AUDIOMON_SCORES"])) == [f"label {number}" for number in range(520, 500, -1)]


def test_as_many_scores_are_written_as_are_asked_for(journal, journald):
    journal.configure(Config(journal=JournalConfig(scores=2)))
    journal.prediction(prediction("dog_bark", 0.81))
    (entry,) = journald.entries()
    assert next(iter(json.loads(entry["AUDIOMON_SCORES"]))) == "dog_bark"
    assert len(json.loads(entry["AUDIOMON_SCORES"])) == 2


def test_an_event_carries_what_it_followed_from_even_where_predictions_are_not_written(journal, journald):
    journal.configure(Config(journal=JournalConfig(predictions="events")))
    journal.prediction(prediction("dog_bark", 0.81))
    journal.event(Event("dog_bark", "on", 0.63, 2.0, 1_700_000_000_000_000_000, 0.0))
    journal.event(Event("dog_bark", "off", 0.31, 5.2, 1_700_000_003_200_000_000, 3.2))
    on, off = journald.entries()
    assert on["MESSAGE"] == "▶ dog_bark (0.63)"
    assert on["MESSAGE_ID"] == MESSAGE_IDS["event-on"]
    assert on["AUDIOMON_LABEL"] == "dog_bark"
    assert on["AUDIOMON_SCORE"] == "0.630"
    assert json.loads(on["AUDIOMON_SCORES"])["dog_bark"] == 0.81
    assert on["AUDIOMON_INFERENCE_US"] == "36"
    assert off["MESSAGE"] == "■ dog_bark ended after 3.2 s"
    assert off["MESSAGE_ID"] == MESSAGE_IDS["event-off"]
    assert off["AUDIOMON_DURATION_S"] == "3.200"


def test_changes_writes_a_prediction_only_when_its_label_is_new(journal, journald):
    journal.configure(Config(journal=JournalConfig(predictions="changes")))
    for label in ("speech", "speech", "dog_bark", "dog_bark", "speech"):
        journal.prediction(prediction(label))
    assert [entry["AUDIOMON_LABEL"] for entry in journald.entries()] == ["speech", "dog_bark", "speech"]


def test_a_status_has_its_facts_as_fields(journal, journald):
    journal.status(Status("audio-lost", "lost 3", 0, {"lost": 3, "by_label": {"a": 1}, "source": "mic"}, "warning"))
    (entry,) = journald.entries()
    assert entry["PRIORITY"] == "4"
    assert entry["AUDIOMON_LOST"] == "3"
    assert entry["AUDIOMON_BY_LABEL"] == '{"a":1}'
    assert entry["AUDIOMON_SOURCE"] == "mic"


def test_entries_that_were_lost_are_admitted_once_journald_is_back(tmp_path):
    journal = Journal(JournalSocket(str(tmp_path / "socket")), "kitchen")
    for _ in range(10_000):
        journal.prediction(prediction())
    journald = Journald(tmp_path / "socket")
    arrived = []
    while not any(entry["MESSAGE_ID"] == MESSAGE_IDS["journal-lost"] for entry in arrived):
        journal.flush()
        arrived += journald.entries()
    admitted = arrived[-1]
    assert admitted["PRIORITY"] == "4"
    assert int(admitted["AUDIOMON_ENTRIES_LOST"]) == 10_000 - (len(arrived) - 1)
    journal.flush()
    assert journald.entries() == []


def test_the_journal_is_written_to_only_where_systemd_says_that_the_output_goes_there(monkeypatch, tmp_path):
    ours, other = socket.socketpair()
    status = os.fstat(ours.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    assert writes_to_journal(ours.fileno())
    assert not writes_to_journal(other.fileno())
    with (tmp_path / "file").open("w") as file:
        assert not writes_to_journal(file.fileno())
    monkeypatch.delenv("JOURNAL_STREAM")
    assert not writes_to_journal(ours.fileno())
