"""How many clips keep a spoken word: ``python -m tests.bench.spoken_clips MODEL JUDGE SPEECH SOUNDS [SCENES [HOP_S]]``.

Scenes are made of a sound of the house, a quiet room and somebody who says something, at any moment, near or far.
MODEL listens; what it keeps at several values of ``never_above`` follows from the scores that the verdict is taken on.
What it keeps by default is looked through by JUDGE (a package such as YAMNet's) at half the threshold, in windows an
eighth of its own apart. SPEECH and SOUNDS are folders of recordings. A label turns on at once and stays on, so that a
scene is one clip from its first window's end: one with a word that is kept has that word in it.
"""

import sys
from pathlib import Path

import numpy as np
import soundfile
import soxr

from audiomon.config import Clips, DecisionRules, Threshold
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import choose_backend
from audiomon.models.package import read_package
from audiomon.pipeline.clip_cutter import ClipCutter
from audiomon.pipeline.clips import Clip, clip_rules
from audiomon.pipeline.listener import Listener, Replacement
from tests.daemon.stubs import KeptClips
from tests.manual_clock import ManualClock
from tests.pipeline.fakes import ArraySource

RATE = 22_050
SCENE_S = 12
NEVER_ABOVE = (0.2, 0.1, 0.05, 0.03, 0.02, 0.015, 0.01, 0.005)
ROOM_DBFS = -65.0
SPOKEN_DBFS = (-45.0, -15.0)
SOUND_DBFS = (-40.0, -15.0)


def _read(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate, RATE)


def _at(samples: np.ndarray, dbfs: float) -> np.ndarray:
    """Return a sound at a level, of its loudest half second."""
    blocks = [samples[at : at + RATE // 2] for at in range(0, max(1, len(samples) - RATE // 4), RATE // 4)]
    loudest = max(float(np.sqrt(np.mean(block**2))) for block in blocks)
    return samples * (10 ** (dbfs / 20) / max(loudest, 1e-6))


def _scene(rng: np.random.Generator, sounds: list[Path], speech: list[Path]) -> np.ndarray:
    scene = rng.normal(0, 10 ** (ROOM_DBFS / 20), SCENE_S * RATE).astype(np.float32)
    for paths, (low, high) in ((sounds, SOUND_DBFS), (speech, SPOKEN_DBFS)):
        if paths:
            sound = _at(_read(paths[rng.integers(len(paths))]), rng.uniform(low, high))[: 6 * RATE]
            begin = rng.integers(2 * RATE, SCENE_S * RATE - len(sound))
            scene[begin : begin + len(sound)] += sound
    return (np.clip(scene, -1, 1) * 32_767).astype(np.int16).reshape(-1, 1)


def _hear(classifier: Classifier, scene: np.ndarray, settings: Clips, hop_s: float) -> KeptClips:
    kept, source = KeptClips(), ArraySource(scene, RATE)
    rules = DecisionRules(0.0, {settings.labels[0]: Threshold(0.0, 0.0, 0.0, 0.0)})
    listener = Listener(
        source,
        classifier,
        rules,
        hop_s=hop_s,
        channel="mix",
        clock=ManualClock(),
        clips=ClipCutter(source, "mix", kept),
    )
    wanted = clip_rules(classifier.labels, settings)
    listener.replace(Replacement(classifier, rules, hop_s, clips=wanted))
    while not listener.ended:
        listener.next()
    listener.finish()
    return kept


def _loaded(folder: str) -> Classifier:
    return Classifier(read_package(Path(folder)), choose_backend("auto"))


def main(model: str, judge: str, speech: str, sounds: str, scenes: str = "200", hop_s: str = "0.5") -> None:
    listening, judging = _loaded(model), _loaded(judge)
    spoken = sorted(path for path in Path(speech).rglob("*") if path.suffix in (".wav", ".flac", ".ogg"))
    others = sorted(path for path in Path(sounds).rglob("*") if path.suffix in (".wav", ".flac", ".ogg"))
    all_of_them, by_default = _settings(listening, 1.0), Clips().never_above
    half = _settings(judging, by_default / 2)
    rng = np.random.default_rng(1)
    for what, paths in (("with a word", spoken), ("without", [])):
        clips: list[Clip] = []
        for _ in range(int(scenes)):
            heard = _hear(listening, _scene(rng, others, paths), all_of_them, float(hop_s))
            clips += heard.clips
        kept = {above: [clip for clip in clips if clip.never_score < above] for above in (*NEVER_ABOVE, by_default)}
        doubted = sum(
            bool(_hear(judging, clip.samples.reshape(-1, 1), half, judging.spec.window_s / 8).refused)
            for clip in kept[by_default]
        )
        print(f"{scenes} scenes {what}, kept by never_above: ", end="")
        print(", ".join(f"{above:g}: {len(kept[above])}" for above in NEVER_ABOVE))
        print(f"  by default, {by_default:g}: {len(kept[by_default])}, in {doubted} the judge hears a word", flush=True)


def _settings(classifier: Classifier, never_above: float) -> Clips:
    label = next(one for one in classifier.labels if not _is_never(one))
    return Clips(labels=(label,), longest_s=30, never_above=never_above)


def _is_never(label: str) -> bool:
    return bool(clip_rules((label, "other"), Clips(labels=("other",))).never)


if __name__ == "__main__":
    main(*sys.argv[1:])
