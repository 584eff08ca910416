"""How good a head is that was taught with a few clips: ``python -m tests.bench few-clips --help``.

Draws a few recordings of each class from some folds, teaches a head as `audiomon train --on` does, and judges it on
other folds and on recordings of other sounds; several times, with other draws. Not a test: it needs a base and
recordings that a person has.
"""

import dataclasses
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import numpy as np

from audiomon.audio.folder import audio_files
from audiomon.config import Decisions
from audiomon.lab.evaluate.hearing import HeardSound
from audiomon.lab.teach.embeddings import Ear, embed_all
from audiomon.lab.teach.examples import Example, Examples, background_features
from audiomon.lab.teach.fitting import fit, hear_with
from audiomon.lab.teach.teaching import open_base, rules_of, settings_for
from audiomon.lab.train.dataset import BACKGROUND, Sound, Split, divide, find_sounds

EASY = ("baby_cry", "clock_tick", "dog_bark", "person_sneeze", "rooster")


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The figures of one draw.

    Attributes:
        right: recordings of the judged folds that were taken for what they are, by the mean of their scores.
        missed: those without an event of their label.
        judged: how many there are.
        false: events in recordings of other sounds.
        where: those recordings.
    """

    right: int
    missed: int
    judged: int
    false: int
    where: tuple[str, ...]


def embedded(sounds: list[Sound], ear: Ear) -> list[Example]:
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=len(sounds), label="Listening", file=sys.stderr, hidden=hidden) as bar:
        found, unreadable = embed_all(sounds, ear, bar.update)
    for reason in unreadable.values():
        click.echo(f"left out: {reason}", err=True)
    return [Example.of(sound, one, ear) for sound, one in zip(sounds, found, strict=True) if one is not None]


def drawn(examples: list[Example], labels: tuple[str, ...], count: int, seed: int) -> Iterator[Example]:
    """Draw ``count`` recordings of each label."""
    rng = np.random.default_rng(seed)
    for label in labels:
        own = [one for one in examples if one.sound.label == label]
        yield from (own[n] for n in rng.choice(len(own), min(count, len(own)), replace=False))


def judged(heard: list[HeardSound], others: list[HeardSound], labels: tuple[str, ...]) -> Drawn:
    right = [labels[int(one.clip_scores.argmax())] == one.sound.label for one in heard]
    missed = [one.sound.label not in {event.label for event in one.events} for one in heard]
    where = tuple(
        f"{one.sound.path.parent.name}/{one.sound.path.name}: {event.label}" for one in others for event in one.events
    )
    return Drawn(sum(right), sum(missed), len(heard), len(where), where)


@click.command()
@click.argument("recordings", type=click.Path(exists=True, path_type=Path))
@click.option("--on", "base_name", default="yamnet", show_default=True, help="Package to stand on.")
@click.option("--class", "classes", multiple=True, default=EASY, show_default=True, help="Folder of RECORDINGS.")
@click.option("--folds", "rule", default="([1-5])-", show_default=True, help="As for audiomon train.")
@click.option("--learn", default="1,2,3", show_default=True, help="Folds to draw from; the rest is judged on.")
@click.option("--clips", "counts", multiple=True, type=int, default=(5, 10, 20), show_default=True)
@click.option("--draws", default=5, show_default=True)
@click.option("--others", multiple=True, type=click.Path(exists=True, path_type=Path), help="Folder of other sounds.")
@click.option("--leave-out", default="", help="Regular expression: files of --others that may hold a class.")
@click.option("--own-background", is_flag=True, help="Give the other classes of the learned folds as background.")
@click.option("--setting", multiple=True, metavar="KEY=NUMBER", help="Of the teaching, instead of its own.")
@click.option("--decision", "decided", multiple=True, metavar="KEY=NUMBER")
@click.option("--show", is_flag=True, help="List the recordings with false events.")
def few_clips(
    recordings: Path, base_name: str, classes: tuple[str, ...], rule: str, learn: str, counts: tuple[int, ...],
    draws: int, others: tuple[Path, ...], leave_out: str, own_background: bool, setting: tuple[str, ...],
    decided: tuple[str, ...], show: bool,
) -> None:  # fmt: skip
    """Teach heads with a few clips each of RECORDINGS, and judge them on other folds and on other sounds."""
    base = open_base(base_name)
    decisions = msgspec.convert({key: float(value) for key, value in (one.split("=") for one in decided)}, Decisions)
    settings = settings_for(base, many=False, decisions=decisions)
    changed = {key: float(value) for key, value in (one.split("=") for one in setting)}
    settings = msgspec.convert(msgspec.to_builtins(settings) | changed, type(settings), strict=False)
    ear = Ear(base.package, base.embedding)
    everything = embedded(divide(recordings, find_sounds(recordings), Split(folds=rule)), ear)
    learned = [one for one in everything if one.sound.fold in learn.split(",")]
    kept_back = [one for one in everything if one.sound.fold not in learn.split(",")]
    others_heard = [one for one in kept_back if one.sound.label not in classes]
    strange = re.compile(leave_out, re.IGNORECASE) if leave_out else None
    for folder in others:
        files = [
            path for path in audio_files(folder) if not (strange and strange.search(str(path.relative_to(folder))))
        ]
        others_heard += embedded([Sound(path, str(path), BACKGROUND) for path in files], ear)
    hours = sum(one.embedded.heard.heard_s for one in others_heard) / 3600
    own_hours = sum(one.embedded.heard.duration_s for one in others_heard) / 3600
    given = [one.embedded for one in learned if one.sound.label not in classes] if own_background else []
    background = background_features(ear, settings.generated, lambda _: None, given)
    labels = tuple(sorted({*classes, BACKGROUND}))
    rules = rules_of(labels, settings)
    click.echo(
        f"other sounds: {len(others_heard)} recordings, {hours:.2f} h as they are played, {own_hours:.2f} h without "
        f"the room around each"
    )
    click.echo("clips a class | recordings right | missed | false events | an hour | an hour without the room")
    for count in counts:
        results = []
        for seed in range(draws):
            chosen = tuple(drawn(learned, tuple(sorted(classes)), count, seed))
            examples = Examples(recordings, labels, chosen, background, len(given), {}, "", Split(), ())
            head = fit(examples, None, settings)
            results.append(
                judged(
                    [hear_with(one, head, labels, rules) for one in kept_back if one.sound.label in classes],
                    [hear_with(one, head, labels, rules) for one in others_heard],
                    labels,
                )
            )
        right, missed, false = (
            np.array([getattr(one, name) for one in results]) for name in ("right", "missed", "false")
        )
        total = results[0].judged
        click.echo(
            f"{count} | {100 * right.mean() / total:.1f} % (from {100 * right.min() / total:.1f}) "
            f"| {100 * missed.mean() / total:.1f} % (to {100 * missed.max() / total:.1f}) "
            f"| {false.mean():.1f} (to {false.max()}) | {false.mean() / hours:.1f} | {false.mean() / own_hours:.1f}"
        )
        if show:
            for where in sorted({place for one in results for place in one.where}):
                click.echo(f"    {where}")
