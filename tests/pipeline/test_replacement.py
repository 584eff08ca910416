"""Another model, other rules or another hop take over between two windows, and nothing goes unheard."""

import os
import threading

import numpy as np
import pytest
import soundfile

from audiomon.audio.file import FileSource
from audiomon.audio.pipe import PipeSource
from audiomon.clock import SystemClock
from audiomon.config import DecisionRules, Threshold
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import choose_backend
from audiomon.models.package import read_package
from audiomon.pipeline.listener import Listener, Replacement
from tests.models.tiny import LABELS, LOG_MEL, WAVEFORM, write_tiny

RATE = 16_000
SECONDS = 6
HOP_S = 10 * LOG_MEL.hop_length / RATE
HOP = 10 * LOG_MEL.hop_length
QUIET = DecisionRules(0.0, {})


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    backend = choose_backend("auto")
    return {
        model: Classifier(read_package(write_tiny(folder / model, model)), backend)
        for model in ("float32", "logits", "waveform")
    }


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("audio") / "noise.wav"
    loud = np.repeat(np.random.default_rng(3).integers(0, 12_000, SECONDS * 8), RATE // 8)
    samples = np.random.default_rng(4).integers(-1, 2, SECONDS * RATE) * loud
    soundfile.write(path, samples.astype(np.int16), RATE)
    return path


def listener(source, classifier, rules=QUIET, hop_s=HOP_S):
    return Listener(source, classifier, rules, hop_s=hop_s, channel="mix", clock=SystemClock())


def heard(listening, count=10_000):
    """Everything up to the end, or the next few."""
    all_heard = []
    while not listening.ended and len(all_heard) < count:
        if (one := listening.next()) is not None:
            all_heard.append(one)
    return all_heard


def scores(heards):
    return np.array([one.prediction.scores for one in heards])


def positions(heards):
    return [one.prediction.position for one in heards]


def test_another_model_for_the_same_windows_goes_on_with_the_very_next_one(classifiers, recording):
    old, new = classifiers["float32"], classifiers["logits"]
    all_old = heard(listener(FileSource(recording), old))
    all_new = heard(listener(FileSource(recording), new))
    swapping = listener(FileSource(recording), old)
    before = heard(swapping, 7)
    swapping.replace(Replacement(new, QUIET, HOP_S))
    after = heard(swapping)
    assert np.array_equal(scores(before), scores(all_old[:7]))
    assert np.array_equal(scores(after), scores(all_new[7:]))
    assert positions(before + after) == positions(all_old)
    assert after[0].take_overs[0].first.lost == 0
    assert [one.take_overs for one in before + after[1:]] == [()] * (len(all_old) - 1)


def test_a_model_with_other_windows_reaches_back_for_what_its_first_one_needs(classifiers, recording):
    swapping = listener(FileSource(recording), classifiers["waveform"], hop_s=0.05)
    last = heard(swapping, 30)[-1].prediction.position
    swapping.replace(Replacement(classifiers["float32"], QUIET, HOP_S))
    after = heard(swapping)
    # One hop after the last window there was, though this window is three times as long as the hop.
    assert after[0].prediction.position == last + HOP
    assert after[0].take_overs[0].first.lost == 0
    assert positions(after) == list(range(last + HOP, SECONDS * RATE + 1, HOP))
    # And what it says is what it says of a recording that begins where that window begins.
    start = last + HOP - LOG_MEL.window_samples
    part = recording.with_name("part.wav")
    soundfile.write(part, soundfile.read(recording, dtype="int16")[0][start:], RATE)
    assert np.array_equal(scores(after), scores(heard(listener(FileSource(part), classifiers["float32"]))))


def test_a_model_with_shorter_windows_leaves_no_gap(classifiers, recording):
    swapping = listener(FileSource(recording), classifiers["float32"])
    last = heard(swapping, 4)[-1].prediction.position
    swapping.replace(Replacement(classifiers["waveform"], QUIET, 0.1))
    after = heard(swapping)
    assert after[0].prediction.position == last + WAVEFORM.samples
    assert after[0].take_overs[0].first.lost == 0


def test_another_hop_holds_from_the_last_window_on(classifiers, recording):
    swapping = listener(FileSource(recording), classifiers["float32"])
    last = heard(swapping, 4)[-1].prediction.position
    swapping.replace(Replacement(classifiers["float32"], QUIET, HOP_S / 5))
    assert positions(heard(swapping, 3)) == [last + HOP // 5, last + 2 * HOP // 5, last + 3 * HOP // 5]


def test_a_replacement_before_the_first_window_takes_over_from_the_first_sample(classifiers, recording):
    swapping = listener(FileSource(recording), classifiers["waveform"])
    swapping.replace(Replacement(classifiers["float32"], QUIET, HOP_S))
    after = heard(swapping)
    assert positions(after) == positions(heard(listener(FileSource(recording), classifiers["float32"])))
    assert after[0].take_overs[0].first.lost == 0


def test_many_replacements_at_once_leave_the_last_one_running_and_nothing_unheard(classifiers, recording):
    swapping = listener(FileSource(recording), classifiers["float32"])
    all_heard = []
    for turn in range(40):
        for model in ("waveform", "logits", "float32" if turn % 2 else "waveform"):
            swapping.replace(Replacement(classifiers[model], QUIET, 0.1))
        all_heard += heard(swapping, 1)
    assert all_heard[-1].prediction.model == "float32"
    assert [[each.first.lost for each in one.take_overs] for one in all_heard] == [[0] * 3] * len(all_heard)


def test_what_a_pipe_cannot_give_a_second_time_is_counted_to_the_sample(classifiers):
    reading, writing = os.pipe()
    samples = np.random.default_rng(5).integers(-900, 900, SECONDS * RATE).astype("<i2")
    with os.fdopen(writing, "wb") as pipe:
        feeding = threading.Thread(target=lambda: (pipe.write(samples.tobytes()), pipe.close()))
        feeding.start()
        swapping = listener(PipeSource(reading, RATE), classifiers["waveform"], hop_s=0.05)
        last = heard(swapping, 10)[-1].prediction.position
        swapping.replace(Replacement(classifiers["float32"], QUIET, HOP_S))
        first = heard(swapping, 1)[0]
        heard(swapping)
        feeding.join()
    os.close(reading)
    # The window that was complete when the replacement came had been read, and went unheard.
    assert first.take_overs[0].first.lost == 0.05 * RATE
    assert first.prediction.position == last + 0.05 * RATE + LOG_MEL.window_samples


def test_a_label_that_is_on_ends_when_what_takes_over_cannot_say_when_it_does(classifiers, recording):
    always = DecisionRules(0.0, dict.fromkeys(LABELS, Threshold(on=0.0, off=0.0, min_off_s=0.0)))
    fewer = DecisionRules(0.0, {label: always.thresholds[label] for label in LABELS[:2]})
    swapping = listener(FileSource(recording), classifiers["float32"], always)
    on = heard(swapping, 5)[0].events
    assert [(event.label, event.state) for event in on] == [(label, "on") for label in LABELS]
    swapping.replace(Replacement(classifiers["logits"], fewer, HOP_S))
    (after,) = heard(swapping, 1)
    assert [(event.label, event.state) for event in after.events] == [("dog_bark", "off"), ("speech", "off")]
    assert [event.duration_s for event in after.events] == [pytest.approx(4 * HOP_S)] * 2
    # What both can tell goes on as if nothing had happened, until the stream ends.
    assert [(event.label, event.state) for event in swapping.switch_off()] == [
        ("background", "off"),
        ("baby_cry", "off"),
    ]


def test_smoothing_goes_on_across_a_change_of_rules(classifiers, recording):
    slow = DecisionRules(2.0, {label: Threshold(on=0.99, off=0.0) for label in LABELS})
    slow_too = DecisionRules(2.0, {label: Threshold(on=0.98, off=0.0) for label in LABELS})
    whole = listener(FileSource(recording), classifiers["float32"], slow)
    changed = listener(FileSource(recording), classifiers["float32"], slow)
    heard(whole, 20)
    heard(changed, 10)
    changed.replace(Replacement(classifiers["float32"], slow_too, HOP_S))
    heard(changed, 10)
    assert np.array_equal(whole.decisions._smoothed, changed.decisions._smoothed)
