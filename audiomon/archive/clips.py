"""Cuts sounds out of an archive's recordings, as clips that a person can listen to and sort. Changes no recording."""

import os
from collections.abc import Sequence
from pathlib import Path

import soundfile

from audiomon.archive.questions import Sound
from audiomon.archive.store import Store
from audiomon.c_stderr import c_stderr_silenced
from audiomon.errors import UserError

# Heard a little before and after it, a sound is easier to name.
_AROUND_S = 0.25


def export_clips(sounds: Sequence[Sound], root: Store, folder: Path) -> tuple[int, list[str]]:
    """Write each sound to ``folder/LABEL/SCORE-NAME-at-12.3s.flac``; what is there is left alone.

    Args:
        sounds: to be cut out.
        root: where the recordings are.
        folder: where to.

    Returns:
        How many were written, and what is wrong with the recordings of the others.

    Raises:
        UserError: the folder cannot be written.
    """
    written, problems = 0, []
    for one in sounds:
        name = f"{one.score:.3f}-{os.path.splitext(one.file)[0].replace('/', '-')}-at-{one.start_s:.1f}s.flac"
        target = folder / one.label.replace("/", "-") / name
        if target.exists():
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{target.parent}: cannot be made: {error.strerror}") from None
        try:
            with root.spooled(one.file) as recording:
                samples, sample_rate = _cut(recording, one)
        except (soundfile.SoundFileError, OSError) as error:
            problems.append(f"{root.path(one.file)}: cannot be read: {getattr(error, 'strerror', None) or error}")
            continue
        draft = target.with_name(f"{target.name}.draft")
        try:
            soundfile.write(draft, samples, sample_rate, format="FLAC", subtype="PCM_16")
            os.replace(draft, target)
        except (soundfile.SoundFileError, OSError) as error:
            raise UserError(f"{target}: cannot be written: {error}") from None
        written += 1
    return written, problems


def _cut(recording: Path, sound: Sound) -> tuple[object, int]:
    with c_stderr_silenced(), soundfile.SoundFile(os.fsencode(recording)) as file:
        first = max(0, round((sound.start_s - _AROUND_S) * file.samplerate))
        file.seek(first)
        return file.read(round((sound.end_s + _AROUND_S) * file.samplerate) - first, dtype="float32"), file.samplerate
