"""Cuts mistakes out of recordings, as clips that a person can listen to, move to the right folder and train on."""

import os
from pathlib import Path

import soundfile

from audiomon.errors import InputError, UserError
from audiomon.lab.evaluate.judgement import Mistake
from audiomon.lab.train.dataset import cut_out_name

# Heard a little before and after it, a sound is easier to name.
_AROUND_S = 0.25


def export_mistakes(mistakes: tuple[Mistake, ...], dataset: Path, folder: Path) -> int:
    """Write each mistake to ``folder/LABEL/NAME-at-12.3s-taken-for-OTHER.flac``; what is there is left alone.

    Returns:
        How many were written.

    Raises:
        UserError: the folder cannot be written.
    """
    written = 0
    for mistake in mistakes:
        source = dataset / mistake.name
        target = folder / mistake.label / f"{cut_out_name(source.stem, mistake.begin_s, mistake.taken)}.flac"
        if target.exists():
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_suffix(".draft")
            _cut(source, mistake, draft)
            os.replace(draft, target)
        except soundfile.SoundFileError as error:
            raise InputError(f"{source}: {error}") from None
        except OSError as error:
            raise UserError(f"{target}: cannot be written: {error.strerror}") from None
        written += 1
    return written


def _cut(source: Path, mistake: Mistake, target: Path) -> None:
    with soundfile.SoundFile(source) as file:
        first = max(0, round((mistake.begin_s - _AROUND_S) * file.samplerate))
        file.seek(first)
        samples = file.read(round((mistake.end_s + _AROUND_S) * file.samplerate) - first, dtype="float32")
        soundfile.write(target, samples, file.samplerate, format="FLAC", subtype="PCM_16")
