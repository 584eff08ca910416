"""Windows cut from recordings by the feature stage that listens: for calibration, proof and accuracy."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiomon.audio.file import FileSource
from audiomon.audio.folder import audio_files
from audiomon.audio.mono import MonoStream
from audiomon.clock import SystemClock
from audiomon.errors import InputError
from audiomon.features import InputSpec
from audiomon.pipeline.windows import open_windows

Float32 = NDArray[np.float32]


def read_windows(folder: Path, spec: InputSpec, most: int) -> Float32:
    """Cut windows from recordings, as evenly over files and time as ``most`` allows.

    Args:
        folder: of recordings, searched all the way down.
        spec: what a window is.
        most: windows wanted.

    Returns:
        float32, shape (n, *spec.shape), n from 1 to ``most``.

    Raises:
        InputError: there is no audio, a file is damaged, or all are shorter than a window.
    """
    files = _spread(audio_files(folder), most)
    each = -(-most // len(files))
    windows = [window for path in files for window in _spread(_file_windows(path, spec), each)][:most]
    if not windows:
        raise InputError(
            f"all {len(files)} recordings are shorter than one window ({spec.window_s:.2f} s)", path=folder
        )
    return np.stack(windows)


def read_labelled_windows(
    folder: Path, spec: InputSpec, labels: tuple[str, ...], most_per_label: int
) -> tuple[Float32, NDArray[np.int64]]:
    """Cut windows from recordings that lie in a subfolder for each label.

    Returns:
        Windows, float32, shape (n, *spec.shape), and the number of each one's label, int64, shape (n,).

    Raises:
        InputError: a subfolder is not named for a label, or as `read_windows`.
    """
    if not folder.is_dir():
        raise InputError("no such folder", path=folder)
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir())
    strangers = [path.name for path in subfolders if path.name not in labels]
    if strangers or not subfolders:
        there = f"has the folder {strangers[0]!r}, which is no label" if strangers else "has no folders"
        raise InputError(
            f"{folder}: {there}; labelled recordings lie in folders named for the labels: {', '.join(labels)}"
        )
    windows = [read_windows(path, spec, most_per_label) for path in subfolders]
    right = [np.full(len(some), labels.index(path.name)) for some, path in zip(windows, subfolders, strict=True)]
    return np.concatenate(windows), np.concatenate(right)


def _file_windows(path: Path, spec: InputSpec) -> list[Float32]:
    source = FileSource(path)
    try:
        windows = open_windows(MonoStream(source, spec.sample_rate), spec, spec.window_s, SystemClock())
        found = []
        while not windows.ended:
            window = windows.next()
            if window is not None:
                found.append(window.data.copy())
        return found
    finally:
        source.close()


def _spread(items: list, most: int) -> list:  # type: ignore[type-arg]
    """Return at most so many of them, evenly spaced."""
    if len(items) <= most:
        return items
    return [items[index * len(items) // most] for index in range(most)]
