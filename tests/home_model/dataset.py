"""The data set behind ``models/home``, as `audiomon train` wants it: ESC-10, public-domain speech, sounds made here.

    python -m tests.home_model.dataset DATA_DIR home-data

DATA_DIR holds ``esc10/CLASS/FOLD-ID-TAKE.ogg`` beside ``esc10/SOURCE.md``, the data set's own README with its authors,
and ``speech/clips/*.wav`` beside ``speech/SOURCE.md``, whose lines ``clips,file,group,contributor`` say who spoke.
Recordings are linked, not copied. Needs espeak-ng.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import soundfile

from audiomon.errors import AudiomonError, InputError
from audiomon.lab.train.dataset import BACKGROUND, SPLIT_TABLE, TRAIN
from tests.home_model.sounds import machine_sounds, synthetic_speech

_KEPT = ("baby_cry", "dog_bark")  # ESC-10's other eight classes are background
_SAMPLE_RATE = 22_050
_MACHINES = 200
_VOICES = 300
_NOTES = """\
The weights are under Creative Commons Attribution 3.0 (http://creativecommons.org/licenses/by/3.0/), as are most of the
recordings that they were made from (some are CC0).

- ESC-10: K. J. Piczak, *ESC: Dataset for Environmental Sound Classification*, ACM Multimedia 2015,
  https://doi.org/10.1145/2733373.2806390; every clip with its author, source and licence:
  https://github.com/karoldvl/ESC-10
- Its recordings are by these members of freesound.org: {authors}.
- Speech: https://github.com/MycroftAI/Precise-Community-Data, what its contributors put into the public domain.

## The data

Made by `python -m tests.home_model.dataset DATA_DIR home-data` from ESC-10 (its other eight classes are background),
from speech of four contributors, each a fold, and from sounds that are made: {machines} noises, hums, tones, beeps,
sweeps and knocks, and {voices} utterances of espeak-ng in many voices, only learned from. Speech was recorded at
16 kHz, which is why the mel bands end at 7 kHz. `sample.flac` is synthetic (`audiomon/lab/sample.py`) and was not
learned from.

- Speech was learned from four people at their own microphones and a synthesiser, and is judged on each of the four by a
  model that never heard that one: nothing here says how it does with children, whispering, singing, crowds, or
  languages far from English and Spanish.
- Television and radio speak: they are speech to it.
- Sounds unlike ESC-10's were never heard: music, doors, dishes, cats and birds may be taken for anything.
- It gives one answer for a window: speech over a barking dog is one of the two.
"""


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("output", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", default=1, show_default=True, help="Of the sounds that are made.")
def main(data: Path, output: Path, seed: int) -> None:
    """Lay out the folders of background, baby_cry, dog_bark and speech, with split.csv and the credits."""
    if output.exists():
        raise click.UsageError(f"{output}: is there already")
    draft = output.with_name(f"{output.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        count = _lay_out(data, draft, np.random.default_rng(seed))
    except AudiomonError as error:
        raise click.UsageError(str(error)) from None
    draft.rename(output)
    click.echo(f"{output}: {count} recordings")


def _lay_out(data: Path, output: Path, rng: np.random.Generator) -> int:
    folds: dict[str, str] = {}
    for path, label, fold in _recordings(data):
        name = f"{label}/{path.name}" if label != BACKGROUND else f"{label}/{path.parent.name}-{path.name}"
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).symlink_to(path.resolve())
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
    (output / "notes.md").write_text(_notes(data / "esc10" / "SOURCE.md"), encoding="utf-8")
    return len(folds)


def _recordings(data: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield every recording: its file, its class and its fold; a contributor of speech is a fold."""
    esc10 = sorted(data.glob("esc10/*/*.ogg"))
    source = data / "speech" / "SOURCE.md"
    if not esc10 or not source.exists() or not (data / "esc10" / "SOURCE.md").exists():
        raise InputError(f"{data}: holds no esc10/CLASS/*.ogg, esc10/SOURCE.md or speech/SOURCE.md")
    for path in esc10:
        yield path, path.parent.name if path.parent.name in _KEPT else BACKGROUND, path.name[0]
    lines = source.read_text(encoding="utf-8").splitlines()
    clips = [line.split(",") for line in lines if line.startswith("clips,") and line.count(",") == 3]
    speakers = sorted({speaker for *_, speaker in clips})
    for folder, name, _, speaker in clips:
        yield data / "speech" / folder / name, "speech", str(1 + speakers.index(speaker))


def _notes(source: Path) -> str:
    listed = [line for line in source.read_text(encoding="utf-8").splitlines() if " by *" in line and "* ([" in line]
    names = {line.split(" by *")[1].split("* ([")[0] for line in listed}
    return _NOTES.format(machines=_MACHINES, voices=_VOICES, authors=", ".join(sorted(names, key=str.lower)))


if __name__ == "__main__":
    main()
