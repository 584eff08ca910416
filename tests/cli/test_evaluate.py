"""``audiomon evaluate`` as a user runs it, with a model that was never trained and the real decision stage."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from tests.models.tiny import LABELS, write_tiny

pytest.importorskip("sklearn", reason="needs the lab extra")

RATE = 16_000


@pytest.fixture(scope="module")
def labelled(audiomon):
    """Two recordings of each label, 3 s of noise and of tones; and what the model takes them for."""
    rng = np.random.default_rng(8)
    for label in LABELS:
        (audiomon.folder / "labelled" / label).mkdir(parents=True)
        for number in range(2):
            samples = 0.1 * rng.standard_normal(3 * RATE)
            soundfile.write(audiomon.folder / "labelled" / label / f"{number}.wav", samples, RATE)
    return audiomon.folder / "labelled"


def evaluate(audiomon, *arguments):
    return audiomon("evaluate", "tiny", *arguments, model=None)


def test_every_recording_and_window_is_counted_as_what_classify_says_of_it(audiomon, labelled):
    figures = evaluate(audiomon, labelled, "--json", "--hop", "0.25").json[0]
    assert figures["clips"]["count"] == 8
    assert sum(map(sum, figures["clips"]["confusion"])) == 8
    # The model always says the same of noise.
    said = audiomon("classify", "--json", labelled / "speech" / "0.wav").json
    column = LABELS.index(said[5]["label"])
    assert [row[column] for row in figures["clips"]["confusion"]] == [2, 2, 2, 2]
    assert figures["windows"]["count"] > 8 * 6


def test_the_report_has_classes_events_and_the_worst_mistakes_by_file_and_second(audiomon, labelled):
    out = evaluate(audiomon, labelled).out
    assert out.startswith("tiny on labelled\n")
    assert re.search(r"speech +\d of 2 \(\d+%; \d+%–\d+%\)", out), out
    assert "all labels together, in background: " in out
    assert re.search(r"[a-z_]+/[01]\.wav  0\.\d-[23]\.\d s  \w+ taken for \w+ \(0\.\d\d\)", out), out


def test_folders_get_their_labels_by_option(audiomon, labelled, tmp_path):
    for name, source in (("rain", "background"), ("talk", "speech")):
        (tmp_path / name).symlink_to(labelled / source)
    refused = evaluate(audiomon, tmp_path).refused()
    assert "no label for rain, talk" in refused
    assert "--label rain=LABEL" in refused
    figures = evaluate(audiomon, tmp_path, "--label", "talk=speech", "--others", "background", "--json").json[0]
    assert sum(figures["clips"]["confusion"][LABELS.index("speech")]) == 2
    assert sum(figures["clips"]["confusion"][LABELS.index("background")]) == 2
    assert "no label 'music'" in evaluate(audiomon, tmp_path, "--others", "music").refused()
    assert "no folder 'hail'" in evaluate(audiomon, tmp_path, "--label", "hail=speech").refused()


def test_mistakes_are_cut_out_as_clips_once(audiomon, labelled, tmp_path):
    figures = evaluate(audiomon, labelled, "--json", "--export-mistakes", tmp_path / "mistakes").json[0]
    clips = sorted((tmp_path / "mistakes").rglob("*.flac"))
    assert len(clips) == len(figures["mistakes"]) > 0
    mistake = figures["mistakes"][0]
    (clip,) = [one for one in clips if one.parent.name == mistake["label"] and one.stem.startswith("0-at")][:1]
    assert soundfile.info(clip).duration > 1
    kept = clip.read_bytes()
    clip.write_bytes(b"relabelled by hand")
    evaluate(audiomon, labelled, "--export-mistakes", tmp_path / "mistakes")
    assert clip.read_bytes() == b"relabelled by hand"
    assert kept


class Resources(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self):
        super().__init__()
        self.fetched = []
        self.images = 0

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href"):
                self.images += tag == "img"
                if not value.startswith("data:"):
                    self.fetched.append(value)


def test_the_page_holds_all_its_pictures(audiomon, labelled, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the lab extra")
    evaluate(audiomon, labelled, "--html", tmp_path / "page.html")
    content = (tmp_path / "page.html").read_text()
    resources = Resources()
    resources.feed(content)
    assert resources.images == 4
    assert resources.fetched == []
    assert "<script" not in content
    assert content.index("What you will notice") < content.index("recordings right")


def test_damaged_recordings_are_named_or_left_out(audiomon, labelled, tmp_path):
    (tmp_path / "speech").mkdir()
    (tmp_path / "speech" / "good.wav").symlink_to(labelled / "speech" / "0.wav")
    (tmp_path / "speech" / "bad.wav").write_bytes(b"no sound")
    assert "speech/bad.wav" in evaluate(audiomon, tmp_path).refused()
    finished = evaluate(audiomon, tmp_path, "--skip-bad", "--json")
    assert finished.json[0]["clips"]["count"] == 1
    assert "left out" in finished.err


def test_a_clip_shorter_than_a_window_is_judged_too(audiomon, tmp_path):
    (tmp_path / "speech").mkdir()
    soundfile.write(tmp_path / "speech" / "short.wav", 0.1 * np.random.default_rng(1).standard_normal(2000), RATE)
    assert evaluate(audiomon, tmp_path, "--json").json[0]["windows"]["count"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("absent",), "absent: no such folder"),
        (("labelled", "--cv"), "does not say how it was trained"),
        (("labelled", "--held-out"), "held nothing out"),
        (("labelled", "--cv", "--held-out"), "it goes without --held-out"),
        (("labelled", "--label", "speech"), "must be FOLDER=LABEL"),
    ],
)
def test_a_mistake_is_one_clear_line(audiomon, labelled, arguments, message):
    assert message in evaluate(audiomon, *arguments).refused()


def test_an_absent_model_is_one_clear_line(audiomon, labelled):
    assert "there is no model 'absent'" in audiomon("evaluate", "absent", labelled, model=None).refused()


def test_the_rules_of_the_configuration_decide_what_is_an_event(audiomon, labelled, tmp_path):
    write_tiny(tmp_path / "models" / "tiny")
    (tmp_path / "audiomon.yaml").write_text("decisions: {on: 1.0, smoothing_s: 60}\n")
    finished = evaluate(audiomon, labelled, "--json", "--config", tmp_path / "audiomon.yaml")
    figures = json.loads(finished.out)
    assert figures["background"]["events"] == 0
    assert figures["events"]["speech"]["missed"] == 2
