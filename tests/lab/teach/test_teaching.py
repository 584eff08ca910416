"""From clips to a package: what is refused, what is learned from, and what comes out."""

import dataclasses
import shutil
import sys

import msgspec
import numpy as np
import pytest

from audiomon.config import Decisions, decision_rules
from audiomon.errors import InputError, ModelError
from audiomon.lab.evaluate.hearing import hear, unwritten
from audiomon.lab.teach.card import teaching_card
from audiomon.lab.teach.embeddings import Ear
from audiomon.lab.teach.teaching import (
    Words,
    facts_of,
    open_base,
    settings_for,
    teach,
    teach_again,
    write_taught,
)
from audiomon.lab.train.dataset import BACKGROUND, Sound, Split
from audiomon.models.package import read_package
from tests.lab.teach.clips import hiss, hum, whistle, write, write_clips

pytest.importorskip("sklearn", reason="needs the teach extra")
pytestmark = pytest.mark.slow

WORDS = Words("audiomon train clips -o models/mine --on tiny", "Hears hum and whistle.", "CC0", "")


def silent_progress(*_):
    pass


@pytest.fixture
def settings(base):
    quick = settings_for(base, many=False, decisions=Decisions(on=0.6))
    # The network was never trained: its embedding needs more to be told apart.
    return msgspec.structs.replace(quick, generated=30, strength=1000.0)


def taught(base, folder, settings, **options):
    return teach(base, folder, Split(), settings, silent_progress, **options)


def refusal(base, folder, settings, **options):
    with pytest.raises(InputError) as caught:
        taught(base, folder, settings, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_few_clips_become_a_package_that_hears_them(base, clips, settings, tmp_path):
    result = taught(base, clips, settings)
    assert result.judgement.clips.accuracy >= 0.9
    assert {one.label for one in result.judgement.events.labels} == {"hum", "whistle"}
    difference = write_taught(tmp_path / "mine", result, WORDS)
    assert difference < 1e-5
    package = read_package(tmp_path / "mine")
    assert package.manifest.labels == ("background", "hum", "whistle")
    assert package.manifest.decisions.deny == (BACKGROUND,)
    assert package.manifest.decisions.on == 0.6
    assert package.manifest.license == "tiny: MIT; the recordings it was taught with: CC0"
    assert package.manifest.training["base"]["sha256"] == base.package.manifest.sha256
    card = (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")
    assert "| hum | 6 of 6 (100%; 61%–100%) |" in card
    assert str(tmp_path) not in card + (tmp_path / "mine" / "model.yaml").read_text(encoding="utf-8")


def test_what_was_judged_is_what_the_written_package_says_when_it_is_played(base, clips, settings, tmp_path):
    held = taught(base, clips, settings, hold_out="1")
    write_taught(tmp_path / "mine", held, WORDS)
    package = read_package(tmp_path / "mine")
    classifier = unwritten(package.manifest, package.content)
    rules = decision_rules(package.manifest.labels, package.manifest.decisions, Decisions())
    for judged in held.heard:
        played = hear(judged.sound, classifier, rules)
        assert np.abs(played.scores - judged.scores).max() < 1e-5
        assert played.events == judged.events
        assert played.end_s.tolist() == judged.end_s.tolist()


@pytest.fixture
def listened(monkeypatch):
    """The recordings that are listened to, rather than found in the cache."""
    paths = []

    def noted(sound, *rest):
        paths.append(sound.path.name)
        return hear(sound, *rest)

    monkeypatch.setattr("audiomon.lab.teach.embeddings.hear", noted)
    return paths


def test_embeddings_are_computed_once(base, clips, settings, listened):
    first = taught(base, clips, settings)
    assert len(listened) == 12 + 1
    again = taught(base, clips, settings)
    assert listened[13:] == ["probe.wav"]
    assert np.array_equal(first.head.weights, again.head.weights)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("audiomon.lab.evaluate.hearing.ROOM_DBFS", -69.0),
        ("audiomon.audio.mono._SOXR_QUALITY", "LQ"),
        ("inspect.getsource", lambda module: module.__name__),
    ],
    ids=["another room", "another conversion", "another text of what decides"],
)
def test_what_was_computed_another_way_is_computed_again(base, clips, monkeypatch, listened, place, value):
    ear, path = Ear(base.package, base.embedding), next(clips.rglob("*.wav"))
    sound = Sound(path, path.name, "hum")
    ear.embedded(sound)
    monkeypatch.setattr(place, value)
    Ear(base.package, base.embedding).embedded(sound)
    assert listened.count(path.name) == 2


def test_a_machine_that_cannot_convert_hears_recordings_of_the_model_s_rate(base, clips, monkeypatch):
    path = next(clips.rglob("*.wav"))
    sound = Sound(path, path.name, "hum")
    usual = Ear(base.package, base.embedding).embedded(sound).heard
    monkeypatch.setitem(sys.modules, "soxr", None)
    for place in ("audiomon.lab.evaluate.hearing", "audiomon.lab.teach.embeddings"):
        monkeypatch.setattr(f"{place}.can_resample", lambda: False)
    heard = Ear(base.package, base.embedding).embedded(sound).heard
    assert np.array_equal(heard.scores, usual.scores)
    assert np.array_equal(heard.counted, usual.counted)
    assert heard.sound_at_s == pytest.approx(usual.sound_at_s, abs=0.05)


def test_a_damaged_cache_is_computed_again(base, clips, settings, cache):
    first = taught(base, clips, settings)
    for kept in (cache / "audiomon" / "embeddings").iterdir():
        kept.write_bytes(kept.read_bytes()[:50])
    assert np.array_equal(taught(base, clips, settings).head.weights, first.head.weights)


def test_only_loud_windows_are_learned_from_and_pauses_are_background(base, tmp_path, settings):
    folder = write_clips(tmp_path / "half")
    for label, make in (("hum", hum), ("whistle", whistle)):
        for path in sorted((folder / label).iterdir()):
            number = int(path.stem[-3:])
            write(path, np.concatenate([make(1.0, number), 1e-4 * hiss(3.0, number)]))
    examples = taught(base, folder, settings, hold_out="none").examples
    for one in examples.examples:
        loud, end_s = one.of_interest, one.embedded.heard.end_s
        assert loud.any()
        assert end_s[loud].max() < 1.5
        assert one.quiet[(end_s > 2) & (end_s < 4)].all()
        assert not (loud & one.quiet).any()


def test_several_labels_can_be_on_at_a_time(base, clips, settings, tmp_path):
    many = msgspec.structs.replace(settings, many=True)
    result = taught(base, clips, many)
    write_taught(tmp_path / "mine", result, WORDS)
    assert read_package(tmp_path / "mine").manifest.output.activation == "sigmoid"
    assert result.judgement.clips.accuracy >= 0.9


def test_one_sound_beside_a_background_is_enough(base, tmp_path, settings):
    write_clips(tmp_path / "clips")
    shutil.rmtree(tmp_path / "clips" / "whistle")
    write(tmp_path / "clips" / "background" / "room.wav", hiss(20, 1))
    result = taught(base, tmp_path / "clips", settings, hold_out="none")
    assert result.examples.labels == ("background", "hum")
    assert result.head.weights.shape == (2, 320)


def test_the_user_s_background_is_learned_from_and_counted(base, clips, settings, tmp_path):
    write(tmp_path / "house" / "fridge.wav", hiss(3, 5))
    result = taught(base, clips, settings, background=tmp_path / "house")
    assert result.settings.background_recordings == 1
    alone = taught(base, clips, settings)
    assert len(result.examples.background) > len(alone.examples.background) == settings.generated


def test_a_class_of_one_session_is_divided_by_clip_and_said_to_flatter(base, tmp_path, settings):
    folder = write_clips(tmp_path / "clips", sessions=1)
    result = taught(base, folder, settings)
    assert result.examples.one_session == ("hum", "whistle")
    assert len(result.judgement.folds) == 5
    assert "**These figures flatter**: hum, whistle" in teaching_card(facts_of("mine", result, WORDS, 0.0))


def test_cross_validating_again_gives_the_card_s_figures_and_wants_the_same_base(base, clips, settings, tmp_path):
    result = taught(base, clips, settings)
    write_taught(tmp_path / "mine", result, WORDS)
    manifest = read_package(tmp_path / "mine").manifest
    again = teach_again(manifest, clips, silent_progress, background=None, skip_bad=False)
    assert again.folds == result.judgement.folds
    assert again.events == result.judgement.events
    other = {**manifest.training["settings"], "base_sha256": "1" * 64}
    changed = msgspec.structs.replace(manifest, training={**manifest.training, "settings": other})
    with pytest.raises(ModelError, match=r"has the checksum .*; the one that was built on has 111111111111…"):
        teach_again(changed, clips, silent_progress, background=None, skip_bad=False)


def test_a_base_without_an_embedding_is_refused_by_name(base):
    with pytest.raises(ModelError, match=r"narrow/model\.tflite: has no embedding to build on"):
        open_base("narrow")


def test_one_class_is_refused(base, clips, settings):
    shutil.rmtree(clips / "whistle")
    assert "has one class, 'hum'; a head tells at least two apart" in refusal(base, clips, settings)


def test_one_clip_is_refused(base, clips, settings):
    for path in sorted((clips / "hum").iterdir())[1:]:
        path.unlink()
    assert "too few recordings in" in (said := refusal(base, clips, settings))
    assert "hum (1): a class needs at least 5" in said


def test_a_clip_shorter_than_a_window_is_refused_or_left_out(base, clips, settings):
    short = write(clips / "hum" / "short.wav", hum(0.2, 9))
    said = refusal(base, clips, settings)
    assert f"{short}: lasts 0.20 s, less than one window (0.34 s)" in said
    result = taught(base, clips, settings, skip_bad=True)
    assert list(result.examples.left_out) == ["hum/short.wav"]
    assert len(result.examples.examples) == 12


def test_clips_of_too_low_a_rate_for_the_base_are_refused(base, clips, settings):
    low = write(clips / "hum" / "low.wav", hum(1.2, 9)[::2], rate=8000)
    assert f"{low}: was recorded at 8000 Hz, and the network reads 16000 Hz" in refusal(base, clips, settings)


@pytest.mark.parametrize("nothing", [np.zeros(20_000), np.full(20_000, 0.01), np.tile([0, 1 / 32768], 10_000)])
def test_a_class_whose_clips_are_silent_is_refused_in_one_line(base, clips, settings, nothing):
    for path in (clips / "hum").iterdir():
        write(path, nothing)
    assert f"{clips / 'hum'}: all 6 recordings are silent" in refusal(base, clips, settings, skip_bad=True)


def test_a_class_whose_clips_are_all_too_short_or_of_too_low_a_rate_is_refused_in_one_line(base, clips, settings):
    for path in (clips / "hum").iterdir():
        write(path, hum(1.2, 1)[::2], rate=8000)
    assert f"{clips / 'hum'}: all 6 recordings have a sample rate too low" in refusal(base, clips, settings)
    for path in (clips / "hum").iterdir():
        write(path, hum(0.2, 1))
    assert f"{clips / 'hum'}: all 6 recordings are shorter than one window" in refusal(base, clips, settings)


def test_where_nothing_can_be_used_one_line_says_so(base, clips, settings):
    for path in clips.rglob("*.wav"):
        path.write_bytes(b"RIFF no sound")
    said = refusal(base, clips, settings, skip_bad=True)
    assert f"{clips}: none of 12 recordings can be used: {clips / 'hum'}" in said


def test_a_recording_of_the_user_s_background_is_checked_as_those_of_a_class_are(base, clips, settings, tmp_path):
    write(tmp_path / "house" / "silent.wav", np.zeros(20_000))
    assert "silent.wav: is silent" in refusal(base, clips, settings, background=tmp_path / "house")
    assert ", which has a class; " in refusal(base, clips, settings, background=clips / "hum")


def test_a_silent_a_damaged_and_a_doubled_clip_are_named(base, clips, settings):
    write(clips / "hum" / "silent.wav", np.zeros(20_000))
    (clips / "hum" / "damaged.wav").write_bytes(b"RIFF no sound")
    shutil.copy(next((clips / "hum").glob("2026*")), clips / "whistle" / "twice.wav")
    said = refusal(base, clips, settings)
    assert "hum/silent.wav: is silent" in said
    assert "hum/damaged.wav: " in said
    assert "whistle/twice.wav: is the same recording as hum/" in said


def test_a_fold_that_there_is_not_is_refused(base, clips, settings):
    assert "--hold-out 9: there is no such fold; there are 1, 2" in refusal(base, clips, settings, hold_out="9")


def test_an_ear_hears_what_the_whole_network_scores(base, clips):
    """The embedding is the one that the base's own last layer reads."""
    ear = Ear(base.package, base.embedding)
    window = np.random.default_rng(3).normal(0, 1, base.package.manifest.input.shape).astype(np.float32)
    embedding = ear.classifier.scores(window)
    assert embedding.shape == (320,)
    assert (embedding >= 0).all()
    assert dataclasses.asdict(base.embedding)["rooted"]
