"""Which files in a folder are recordings, by their names. Opens none."""

import os
from pathlib import Path

from audiomon.audio import ffmpeg
from audiomon.errors import InputError

SUFFIXES = ffmpeg.SUFFIXES | {
    *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2"),
    *(".aif", ".aiff", ".aifc", ".caf", ".au", ".snd"),
}


def audio_files(folder: Path) -> list[Path]:
    """List the recordings in a folder and those below it, in order.

    Names that begin with a dot are left out, folders too: macOS puts ``._x.wav`` beside every ``x.wav`` that it copies
    to a stick, and it is no audio. So is what NAS boxes keep in ``@eaDir``.

    Raises:
        InputError: there is no such folder, one cannot be read, or there is no audio in it.
    """
    if not folder.is_dir():
        raise InputError("no such folder", path=folder)
    found: list[Path] = []
    try:
        for place, folders, names in os.walk(folder, onerror=_refuse):
            folders[:] = sorted(name for name in folders if not _is_hidden(name))
            here = Path(place)
            files = (here / name for name in names if not _is_hidden(name))
            found += (path for path in files if path.suffix.lower() in SUFFIXES and path.is_file())
    except OSError as error:
        raise InputError(f"{os.fsdecode(error.filename or folder)}: cannot be read: {error.strerror}") from None
    if not found:
        raise InputError("holds no audio (WAV, FLAC, Ogg, MP3 …)", path=folder)
    return sorted(found)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "@eaDir"


def _refuse(error: OSError) -> None:
    raise error
