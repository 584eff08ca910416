"""Trains ``models/home``: background, a baby's cry, a dog's bark, speech.

    python -m audiomon.lab.train_home DATA_DIR -o models/home

DATA_DIR holds ``esc10/`` and ``speech/`` (see `home_data`). Reproducible by seed on one machine; some minutes on two
cores.
"""

from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from audiomon.config import Decisions, decision_rules
from audiomon.features import LogMelSpec, Normalization
from audiomon.lab.home_card import clip_authors, model_card, training_record
from audiomon.lab.home_data import LABELS, generated_recordings, judged_windows, load_recordings, training_mixer
from audiomon.lab.home_judgement import count_events, count_windows, hear
from audiomon.lab.mixing import Mixer
from audiomon.lab.networks import network
from audiomon.lab.recordings import FramePower, Recording
from audiomon.lab.seed_trainer import SeedTrainer, SeedWeights
from audiomon.lab.train.features import finish_windows
from audiomon.models.interpreter import Interpreter, choose_backend
from audiomon.models.manifest import Manifest
from audiomon.models.writing import write_package

Float32 = NDArray[np.float32]

# 7 kHz: the speech was recorded at 16 kHz, everything else at 44.1 kHz, and what lies above would give that away.
# Against the window's own maximum, because distance is not what tells a dog from a door; 0 is the floor, so that the
# zeros that a "same" convolution adds around a window are silence to the network and not an edge.
SPEC = LogMelSpec(fmin=50.0, fmax=7000.0, ref="max", top_db=60.0, normalization=Normalization(mean=-60.0, std=20.0))
DECISIONS = Decisions(smoothing_s=0.6, on=0.7, off=0.4, min_on_s=0.0, min_off_s=1.0, deny=("background",))
LICENSE = (
    "Weights: CC BY 3.0, as most of the ESC-10 recordings (K. J. Piczak and the Freesound authors) they were made of; "
    "the speech recordings are in the public domain."
)
DESCRIPTION = "Hears a crying baby, a barking dog and speech in a home."
_BATCH = 64
_DRAWN_AT_ONCE = 4096
_LEARNING_RATE = 3e-3
_WARM_UP_STEPS = 100
_DROPOUT = 0.02  # so small a network forgets more than it memorises
_LABEL_SMOOTHING = 0.02


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the model package.")
@click.option("--held-fold", default=5, show_default=True, help="Fold of ESC-10 that is not trained on.")
@click.option("--held-speaker", default="krisgesling", show_default=True, help="Contributor who is not trained on.")
@click.option("--steps", default=8000, show_default=True, help="Of 64 fresh windows each.")
@click.option("--seed", default=1, show_default=True)
def main(data: Path, output: Path, held_fold: int, held_speaker: str, steps: int, seed: int) -> None:
    """Train the home model on DATA, judge it on what was held out, and write the package."""
    recordings = load_recordings(data, SPEC.sample_rate)
    held = [one for one in recordings if one.group in (f"fold {held_fold}", held_speaker)]
    kept = [one for one in recordings if one.group not in (f"fold {held_fold}", held_speaker)]
    power = FramePower(SPEC)
    mixer = training_mixer(kept + generated_recordings(SPEC.sample_rate, seed), power)
    content = to_tflite(train(mixer, steps, seed))
    settings = {"held_fold": held_fold, "held_speaker": held_speaker, "steps": steps, "seed": seed}
    write_judged_package(output, content, held, power, settings, clip_authors(data / "esc10" / "SOURCE.md"))


def train(mixer: Mixer, steps: int, seed: int) -> SeedWeights:
    """Train the seed network on fresh windows, the learning rate falling along a cosine."""
    rng = np.random.default_rng(seed)
    first, _ = mixer.draw(512, rng)
    trainer = SeedTrainer(finish_windows(first, SPEC), len(LABELS), rng)
    wanted = np.eye(len(LABELS), dtype=np.float32) * (1 - _LABEL_SMOOTHING) + _LABEL_SMOOTHING / len(LABELS)
    with click.progressbar(length=steps, label="Training") as bar:
        for start in range(0, steps, _DRAWN_AT_ONCE // _BATCH):
            powers, labels = mixer.draw(_DRAWN_AT_ONCE, rng)
            windows = finish_windows(powers, SPEC)
            results = []
            for step in range(start, min(start + _DRAWN_AT_ONCE // _BATCH, steps)):
                batch = slice((step - start) * _BATCH, (step - start + 1) * _BATCH)
                rate = _LEARNING_RATE * min(1.0, (step + 1) / _WARM_UP_STEPS) * (1 + np.cos(np.pi * step / steps)) / 2
                results.append(trainer.step(windows[batch], wanted[labels[batch]], rate, dropout=_DROPOUT))
            loss, right = np.mean(results, axis=0)
            bar.label = f"Training: loss {loss:.3f}, right {right:.1%}"
            bar.update(len(results))
    return trainer.mean


def to_tflite(weights: SeedWeights) -> bytes:
    """Convert to float32 TFLite for one window at a time: with an open batch dimension it runs several times slower."""
    import tensorflow
    from tensorflow import keras

    model = network("seed")(SPEC.shape, len(LABELS))
    weights.into_keras(model)
    fixed = keras.Sequential([keras.Input((*SPEC.shape, 1), batch_size=1), *model.layers], name="home")
    converter: Any = tensorflow.lite.TFLiteConverter.from_keras_model(fixed)
    return bytes(converter.convert())


def write_judged_package(
    output: Path,
    content: bytes,
    held: list[Recording],
    power: FramePower,
    settings: dict[str, Any],
    authors: list[str],
) -> None:
    """Judge the model by the interpreter that will serve it, and write package and card."""
    interpreter = Interpreter(content, choose_backend("auto"))
    judged = judged_windows(held, power, hop_frames=5)
    scores = np.array([interpreter.run(window) for window in judged.windows])
    windows = count_windows(scores, judged)
    events = count_events(list(hear(held, interpreter, SPEC)), decision_rules(LABELS, DECISIONS, Decisions()))
    manifest = Manifest(
        format=1, name=output.name, description=DESCRIPTION, sha256="0" * 64, labels=LABELS, input=SPEC, self_test=(),
        license=LICENSE, decisions=DECISIONS, training=training_record(windows, events, settings),
    )  # fmt: skip
    write_package(output, content, manifest, model_card(windows, events, settings, authors))
    click.echo(f"{output}: macro recall {windows.macro_recall:.1%} over {len(windows.right)} held-out windows")
    for each in windows.per_class:
        one = events[each.label]
        click.echo(
            f"  {each.label:<11} recall {each.recall:.1%}  precision {each.precision:.1%}  "
            f"heard {one.heard}/{one.recordings}  false events {one.false_events} in {one.hours * 60:.1f} min"
        )


if __name__ == "__main__":
    main()
