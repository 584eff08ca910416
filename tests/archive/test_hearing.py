import os
import signal

import numpy as np
import pytest

from audiomon.archive.child import Child
from audiomon.archive.schema import named_time_us
from audiomon.audio.file import FileSource
from audiomon.clock import SystemClock
from audiomon.pipeline.listener import Listener
from tests.archive.cluster import faulty_python
from tests.archive.corpus import sound, write_recording

RATE = 16_000


def recorded(archive, name, seconds=4.0):
    write_recording(archive.recordings / name, sound(np.random.default_rng(len(name)), RATE, seconds), RATE)
    return next(entry for entry in archive.root.recordings("", []) if entry[0] == name)


def columns(heard):
    kinds = (np.float64, np.float64, np.int16, np.int32, np.float32)
    names = ("starts_s", "ends_s", "ranks", "labels", "scores")
    return {name: np.frombuffer(getattr(heard, name), kind) for name, kind in zip(names, kinds, strict=True)}


def listened(archive, path):
    """Predictions of the same recording, and when which labels were on."""
    hearing = archive.task.loaded
    run = archive.task.run
    source = FileSource(path)
    options = {"hop_s": run.hop_s, "channel": run.channel, "clock": SystemClock()}
    listener = Listener(source, hearing.classifier, hearing.rules, **options)
    heard = []
    while not listener.ended:
        if (one := listener.next()) is not None:
            heard.append(one)
    return heard, listener.switch_off()


def test_rows_are_what_the_listener_says_to_the_bit(archive):
    heard = archive.task.loaded.hear(archive.root, recorded(archive, "a.wav"))
    expected, _ = listened(archive, archive.recordings / "a.wav")
    rows = columns(heard)
    labels = archive.task.loaded.classifier.labels
    assert [labels[index] for index in rows["labels"]] == [one.prediction.label for one in expected]
    assert rows["scores"].tolist() == [one.prediction.score for one in expected]
    assert rows["ends_s"].tolist() == [one.prediction.position_s for one in expected]
    assert (heard.status, heard.windows) == ("ok", len(expected))
    assert heard.heard_s == pytest.approx(heard.duration_s, abs=0.5)


def test_further_scores_of_a_window_come_in_order_down_to_the_least(archive):
    wide = archive.with_run(scores=3, min_score=0.05)
    rows = columns(wide.task.loaded.hear(archive.root, recorded(archive, "a.wav")))
    firsts = np.flatnonzero(rows["ranks"] == 0)
    for window in np.split(np.arange(len(rows["ranks"])), firsts[1:]):
        assert rows["ranks"][window].tolist() == list(range(len(window)))
        assert (np.diff(rows["scores"][window]) <= 0).all()
        assert (rows["scores"][window][1:] >= 0.05).all()
        assert len(set(rows["labels"][window])) == len(window) <= 3


def test_events_are_when_labels_were_on(archive):
    rules = archive.task.rules.__class__(0.0, {"speech": archive.task.rules.thresholds["speech"].__class__(0.0, 0.0)})
    from msgspec.structs import replace

    eventful = archive.with_run(rows="events", rules=rules)
    task = replace(eventful.task, rules=rules)
    entry = recorded(archive, "a.wav")
    rows = columns(task.loaded.hear(archive.root, entry))
    labels = task.loaded.classifier.labels
    assert [labels[index] for index in rows["labels"]] == ["speech"]
    assert rows["starts_s"][0] == pytest.approx(0.0, abs=1e-3)
    assert rows["ends_s"][0] == pytest.approx(4.0, abs=0.5)
    predictions, _ = listened(archive, archive.recordings / "a.wav")
    highest = max(float(one.prediction.scores[labels.index("speech")]) for one in predictions)
    assert rows["scores"][0] == np.float32(highest)


def test_a_truncated_recording_is_heard_up_to_the_damage_and_names_itself(archive):
    recorded(archive, "b.wav", 6.0)
    os.truncate(archive.recordings / "b.wav", 100_000)
    entry = next(iter(archive.root.recordings("", [])))
    heard = archive.task.loaded.hear(archive.root, entry)
    assert heard.status == "damaged"
    assert heard.windows > 0
    assert heard.error.startswith("b.wav: truncated")


def test_what_is_no_audio_is_refused_in_the_words_of_classify(archive):
    (archive.recordings / "c.wav").write_bytes(b"")
    entry = next(iter(archive.root.recordings("", [])))
    heard = archive.task.loaded.hear(archive.root, entry)
    assert (heard.status, heard.error) == ("refused", "c.wav: is empty")


def test_a_recording_that_changes_after_it_was_planned_is_not_taken_for_the_planned_one(archive):
    entry = recorded(archive, "d.wav")
    os.utime(archive.recordings / "d.wav", ns=(5, 5))
    assert "has changed" in archive.task.loaded.hear(archive.root, entry).error
    (archive.recordings / "d.wav").unlink()
    assert archive.task.loaded.hear(archive.root, entry).error == "d.wav: no such file"


def test_a_name_that_is_not_unicode_is_heard_like_any_other(archive):
    path = os.fsencode(archive.recordings) + b"/caf\xe9.wav"
    write_recording(archive.recordings / os.fsdecode(path), sound(np.random.default_rng(1), RATE, 2.0), RATE)
    entry = next(iter(archive.root.recordings("", [])))
    assert entry[0] == r"caf\xe9.wav"
    assert archive.task.loaded.hear(archive.root, entry).status == "ok"


def test_a_child_hears_the_same_and_only_what_kills_it_is_lost(archive, monkeypatch):
    monkeypatch.syspath_prepend(faulty_python(archive.folder / "faulty"))
    good, other = recorded(archive, "e.wav"), recorded(archive, "f.wav")
    deadly = recorded(archive, "deadly.wav")
    child = Child(archive.task, archive.root)
    try:
        heard = [child.hear(entry) for entry in (good, deadly, other, good)]
    finally:
        child.close()
    assert [one.status for one in heard] == ["ok", "killed", "ok", "ok"]
    assert heard[1].error == f"deadly.wav: the process that read it was killed by {signal.SIGSEGV.name}"
    assert columns(heard[0])["scores"].tolist() == columns(heard[3])["scores"].tolist()
    here = archive.task.loaded.hear(archive.root, other)
    assert columns(heard[2])["scores"].tolist() == columns(here)["scores"].tolist()


@pytest.mark.parametrize(
    ("name", "us"),
    [
        ("site/20260301_040000.WAV", 1_772_337_600_000_000),
        ("SM4_20260301_040000.wav", 1_772_337_600_000_000),
        ("20261301_040000.WAV", None),
        ("120260301_040000.WAV", None),
        ("bark.wav", None),
    ],
)
def test_a_name_says_when_a_recording_began_if_it_does(name, us):
    assert named_time_us(name) == us
