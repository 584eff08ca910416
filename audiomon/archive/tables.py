"""What was heard, as Raven, Audacity and Kaleidoscope read it. Writes whole files, and never over another's sound."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path

from audiomon.archive.questions import Sound
from audiomon.errors import UserError
from audiomon.foreign import csv_cell, escaped

# Raven wants frequencies; a window has all of them, and Raven draws its boxes as high as its view.
_RAVEN = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\t"
    "Begin Path\tFile Offset (s)\tLabel\tScore"
)
_HIGHEST_HZ = 24_000
_KALEIDOSCOPE = ("INDIR", "FOLDER", "IN FILE", "OFFSET", "DURATION", "AUTO ID", "score", "MANUAL ID")


def write_raven(sounds: Iterable[Sound], root: str, path: Path) -> int:
    """Write a selection table of all recordings; Raven opens them by ``Begin Path``.

    Returns:
        How many rows it has.

    Raises:
        UserError: it cannot be written.
    """
    lines = [_RAVEN]
    for number, one in enumerate(sounds, 1):
        lines.append(
            f"{number}\tSpectrogram 1\t1\t{one.start_s:.6f}\t{one.end_s:.6f}\t0\t{_HIGHEST_HZ}\t"
            f"{csv_cell(f'{root}/{one.file}')}\t{one.start_s:.6f}\t{csv_cell(one.label)}\t{one.score:.9g}"
        )
    _write(path, "\n".join(lines) + "\n")
    return len(lines) - 1


def write_audacity(sounds: Iterable[Sound], folder: Path) -> int:
    """Write a label track for each recording, under the recording's name and ``.txt``.

    Returns:
        How many tracks there are.

    Raises:
        UserError: they cannot be written.
    """
    tracks: dict[str, list[str]] = {}
    for one in sounds:
        line = f"{one.start_s:.6f}\t{one.end_s:.6f}\t{escaped(one.label)} {one.score:.3f}"
        tracks.setdefault(one.file, []).append(line)
    for name, lines in tracks.items():
        # Keys of a bucket may have any parts.
        if os.path.isabs(name) or ".." in name.split("/"):
            raise UserError(f"{name}: its label track would not lie in {folder}")
        _write(folder / f"{name}.txt", "\n".join(lines) + "\n")
    return len(tracks)


def write_kaleidoscope(sounds: Iterable[Sound], root: str, path: Path) -> int:
    """Write a table as Kaleidoscope's viewer opens it, with an empty MANUAL ID to fill in.

    Returns:
        How many rows it has.

    Raises:
        UserError: it cannot be written.
    """
    count = 0
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(_KALEIDOSCOPE)
            for one in sounds:
                folder, name = os.path.split(one.file)
                times = (f"{one.start_s:.6f}", f"{one.end_s - one.start_s:.6f}")
                texts = map(csv_cell, (root, folder, name))
                table.writerow([*texts, *times, csv_cell(one.label), f"{one.score:.9g}", ""])
                count += 1
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    return count


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
