"""Lays out the recordings of ``models/home`` as `audiomon train` wants them, and others that are kept back.

    python -m tests.home_model.dataset DATA_DIR home-data --teacher models/yamnet

DATA_DIR holds ``esc10/CLASS/FOLD-ID-TAKE.ogg`` beside ``esc10/SOURCE.md``, the data set's own README with its authors;
``speech/clips/*.wav`` beside ``speech/SOURCE.md``, whose lines ``clips,file,group,contributor`` say who spoke; and
``more/SET/``, the sets of `_MORE`. Recordings are linked, not copied. ``home-data`` is what a model is trained and
cross-validated on; ``home-data-elsewhere`` beside it holds recordings from other places, to be judged on and never
learned from. Needs espeak-ng.
"""

import csv
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import soundfile

from audiomon.errors import AudiomonError, InputError
from audiomon.lab.recorded_windows import audio_files
from audiomon.lab.train.dataset import BACKGROUND, SPLIT_TABLE, TRAIN
from audiomon.lab.train.teacher import Teacher, teacher_labels
from tests.home_model.sounds import machine_sounds, synthetic_speech

_KEPT = ("baby_cry", "dog_bark")  # ESC-10's other eight classes are background
_ELSEWHERE = "elsewhere"
_SAMPLE_RATE = 22_050
_MACHINES = 200
_VOICES = 300
# A recording of background in which the teacher gives speech this holds a voice, and is one of speech.
_HOLDS_A_VOICE = 0.5
# The same of recordings that nobody has labelled by ear: which of them bark, and which hold anything but background.
_BARKS = 0.5
_HOLDS_SOMETHING = 0.25
# Every third of these, by the thing that sounds, is kept back.
_KEPT_BACK_OF = 3


@dataclass(frozen=True, slots=True)
class _Set:
    """A set of recordings in ``more/``.

    Attributes:
        folder: below ``more``.
        label: class.
        fold: ``train`` or `_ELSEWHERE`; empty: every third is kept back.
        without: parts of names that are left out.
    """

    folder: str
    label: str
    fold: str = TRAIN
    without: tuple[str, ...] = ()


_MORE = (
    _Set("picovoice-wake-word", "speech"),
    _Set("picovoice-speech-to-intent", "speech"),
    _Set("picovoice-porcupine", "speech", _ELSEWHERE),
    _Set("speech-to-phrase", "speech", _ELSEWHERE),
    _Set("librispeech-excerpts", "speech", _ELSEWHERE),
    _Set("doggy-daycare/dog_maybe", "dog_bark", TRAIN, ("__",)),
    _Set("doggy-daycare/dog_maybe", "dog_bark", _ELSEWHERE, ("2024", "growl", "panting", "whine")),
    _Set("luanti-sounds/dog_bark", "dog_bark", _ELSEWHERE),
    _Set("doggy-daycare/background", BACKGROUND),
    _Set("speech-commands-noise", BACKGROUND, TRAIN, ("dude_miaowing",)),
    # Howls are close to barks, and the hyenas' author is not named.
    _Set("luanti-sounds/background", BACKGROUND, "", ("coyote", "wolf", "hyena")),
    _Set("sonic-pi-samples", BACKGROUND, ""),
    _Set("blanket", BACKGROUND, _ELSEWHERE),
    _Set("ibm-max-samples", BACKGROUND, _ELSEWHERE),
    _Set("music-excerpts", BACKGROUND, _ELSEWHERE),
)
_NOTES = """\
The weights are under Creative Commons Attribution 3.0 (http://creativecommons.org/licenses/by/3.0/), as are most of the
recordings that they were made from (some are CC0).

- ESC-10: K. J. Piczak, *ESC: Dataset for Environmental Sound Classification*, ACM Multimedia 2015,
  https://doi.org/10.1145/2733373.2806390; every clip with its author, source and licence:
  https://github.com/karoldvl/ESC-10
- Its recordings are by these members of freesound.org: {authors}.
- Speech: https://github.com/MycroftAI/Precise-Community-Data, what its contributors put into the public domain.
{more}
## The data

Made by `python -m tests.home_model.dataset DATA_DIR home-data` from ESC-10 (its other eight classes are background),
from speech of four contributors, each a fold, and from sounds that are made: {machines} noises, hums, tones, beeps,
sweeps and knocks, and {voices} utterances of espeak-ng in many voices, only learned from. Speech was recorded at
16 kHz, which is why the mel bands end at 7 kHz. `sample.flac` is synthetic (`tests/home_model/sample.py`) and was not
learned from.

- Speech is judged on each of the four contributors by a model that never heard that one: nothing here says how it does
  with children, whispering, singing, crowds, or languages far from English and Spanish.
- Television and radio speak: they are speech to it.
- It gives one answer for a window: speech over a barking dog is one of the two.
"""
_MORE_NOTES = """\
- More speech: https://github.com/Picovoice/wake-word-benchmark and
  https://github.com/Picovoice/speech-to-intent-benchmark, Picovoice Inc., Apache 2.0.
- Dogs and rooms: https://github.com/gheja/doggy-daycare, CC0 and {dogs}.
- Effects: the "sounds" mod for Luanti, https://github.com/RedundantC/wis_part1, CC0 and {effects}.
- Instruments and effects: https://github.com/sonic-pi-net/sonic-pi, CC0. Noises: the background of Speech Commands,
  Pete Warden, Google, CC BY 4.0.
- `--teacher` adds these to the data, only to be learned from, and makes {voiced} recordings of background in which it
  hears a voice recordings of speech. Nothing of its own weights is in the model.
"""


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("output", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--teacher",
    "teacher_folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Model package that says which recordings of background hold a voice, such as YAMNet's. Needed for more/.",
)
@click.option("--teacher-label", "taught", multiple=True, metavar="CLASS=LABEL", help="As for audiomon train.")
@click.option("--seed", default=1, show_default=True, help="Of the sounds that are made.")
def main(data: Path, output: Path, teacher_folder: Path | None, taught: tuple[str, ...], seed: int) -> None:
    """Lay out the folders of background, baby_cry, dog_bark and speech, with split.csv and the credits."""
    elsewhere = output.with_name(f"{output.name}-{_ELSEWHERE}")
    drafts = {place: place.with_name(f"{place.name}.draft") for place in (output, elsewhere)}
    for place, draft in drafts.items():
        if place.exists():
            raise click.UsageError(f"{place}: is there already")
        shutil.rmtree(draft, ignore_errors=True)
    try:
        teacher = Teacher(teacher_folder, teacher_labels(taught)) if teacher_folder else None
        counts = _lay_out(data, drafts[output], drafts[elsewhere], teacher, np.random.default_rng(seed))
    except AudiomonError as error:
        raise click.UsageError(str(error)) from None
    for (place, draft), count in zip(drafts.items(), counts, strict=True):
        if count:
            draft.rename(place)
            click.echo(f"{place}: {count} recordings")


def _lay_out(
    data: Path, output: Path, elsewhere: Path, teacher: Teacher | None, rng: np.random.Generator
) -> tuple[int, int]:
    """Link and make all recordings; return how many there are to train on, and how many are kept back."""
    folds: dict[str, str] = {}
    kept_back = 0
    recordings = [*_recordings(data, teacher), *(_more(data / "more", teacher) if teacher else ())]
    for path, label, fold in recordings:
        place = elsewhere if fold == _ELSEWHERE else output
        # Of many folders; those that are classes of their own already are told apart by their names.
        plain = path.parent.name in {label, "clips"}
        name = f"{label}/{path.name}" if plain else f"{label}/{path.parent.name}-{path.name}"
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(path.resolve())
        if fold == _ELSEWHERE:
            kept_back += 1
        else:
            folds[name] = fold
    made = (
        (BACKGROUND, machine_sounds(_MACHINES, _SAMPLE_RATE, rng)),
        ("speech", synthetic_speech(_VOICES, _SAMPLE_RATE, rng)),
    )
    with click.progressbar(length=_MACHINES + _VOICES, label="Making sounds") as bar:
        for label, sounds in made:
            for title, samples in sounds:
                name = f"{label}/{title.replace(' ', '-')}.flac"
                soundfile.write(output / name, samples, _SAMPLE_RATE)
                folds[name] = TRAIN
                bar.update(1)
    table = "".join(f"{name},{fold}\n" for name, fold in sorted(folds.items()))
    (output / SPLIT_TABLE).write_text(f"file,fold\n{table}", encoding="utf-8")
    voiced = sum(label == "speech" and path.suffix == ".ogg" for path, label, _ in recordings)
    (output / "notes.md").write_text(_notes(data, teacher, voiced), encoding="utf-8")
    return len(folds), kept_back


def _recordings(data: Path, teacher: Teacher | None) -> Iterator[tuple[Path, str, str]]:
    """Yield ESC-10 and the speech clips: file, class and fold; a contributor of speech is a fold."""
    esc10 = sorted(data.glob("esc10/*/*.ogg"))
    source = data / "speech" / "SOURCE.md"
    if not esc10 or not source.exists() or not (data / "esc10" / "SOURCE.md").exists():
        raise InputError(f"{data}: holds no esc10/CLASS/*.ogg, esc10/SOURCE.md or speech/SOURCE.md")
    for path in esc10:
        label = path.parent.name if path.parent.name in _KEPT else BACKGROUND
        if label == BACKGROUND and teacher and teacher.highest(path).get("speech", 0.0) >= _HOLDS_A_VOICE:
            label = "speech"
        yield path, label, path.name[0]
    lines = source.read_text(encoding="utf-8").splitlines()
    clips = [line.split(",") for line in lines if line.startswith("clips,") and line.count(",") == 3]
    speakers = sorted({speaker for *_, speaker in clips})
    for folder, name, _, speaker in clips:
        yield data / "speech" / folder / name, "speech", str(1 + speakers.index(speaker))


def _more(folder: Path, teacher: Teacher) -> Iterator[tuple[Path, str, str]]:
    """Yield what the further sets hold that may be learned from or judged on: file, class and fold."""
    for one in _MORE:
        if not (folder / one.folder).is_dir():
            continue
        rows = _rows(folder / one.folder)
        for path in audio_files(folder / one.folder):
            licence = rows.get(path.stem, {}).get("licence", "")
            # The weights' licence could not be CC BY with recordings that are to be shared alike.
            if any(part in path.name for part in one.without) or "SA" in licence:
                continue
            heard = teacher.highest(path)
            if one.label == "dog_bark" and heard.get("dog_bark", 0.0) < _BARKS:
                continue
            if one.label == BACKGROUND and max(heard.values()) >= _HOLDS_SOMETHING:
                continue
            yield path, one.label, one.fold or _third(path)


def _third(path: Path) -> str:
    """Keep every third thing back, whatever it is called: takes of one thing stay together."""
    thing = path.stem.rstrip("0123456789._").encode()
    return _ELSEWHERE if sum(thing) % _KEPT_BACK_OF == 0 else TRAIN


def _rows(folder: Path) -> dict[str, dict[str, str]]:
    """Return what a set's files.csv says of each recording, by the name of its file."""
    for table in (folder / "files.csv", folder.parent / "files.csv"):
        if table.exists():
            with table.open(encoding="utf-8", newline="") as file:
                return {Path(row["file"]).name: row for row in csv.DictReader(file)}
    return {}


def _notes(data: Path, teacher: Teacher | None, voiced: int) -> str:
    lines = (data / "esc10" / "SOURCE.md").read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines if " by *" in line and "* ([" in line]
    names = {line.split(" by *")[1].split("* ([")[0] for line in listed}
    more = _MORE_NOTES.format(
        dogs=_credited(data / "more" / "doggy-daycare"),
        effects=_credited(data / "more" / "luanti-sounds"),
        voiced=voiced,
    )
    return _NOTES.format(
        machines=_MACHINES,
        voices=_VOICES,
        authors=", ".join(sorted(names, key=str.lower)),
        more=more if teacher else "",
    )


def _credited(folder: Path) -> str:
    """Return the authors of a set whose licences ask to be named, each with the licences."""
    authors: dict[str, set[str]] = {}
    for row in _rows(folder).values():
        if row["licence"].startswith(("CC BY", "Attribution", "MIT")) and "SA" not in row["licence"]:
            # A link to a list of several, which stands beside the recordings.
            author = "others, named there" if row["author"].startswith("[") else row["author"]
            authors.setdefault(author, set()).add(row["licence"].replace("Attribution", "CC BY"))
    return ", ".join(f"{name} ({', '.join(sorted(authors[name]))})" for name in sorted(authors, key=str.lower))


if __name__ == "__main__":
    main()
