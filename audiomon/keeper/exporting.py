"""Clips as recordings to train on: named and sorted as ``audiomon train`` reads them."""

import contextlib
import os
import zlib
from pathlib import Path

from audiomon.clock import date_of
from audiomon.errors import UserError
from audiomon.foreign import shown
from audiomon.keeper.answering import is_label
from audiomon.keeper.copying import copy_to_disk
from audiomon.outputs.clip_requests import ClipInfo

BACKGROUND = "background"


def target_label(clip: ClipInfo) -> str | None:
    """Return the label that a reviewed clip is to be learned as; None if it holds two and nobody has said which."""
    if clip.review == "wrong":
        return BACKGROUND
    if clip.review == "label":
        return clip.label
    return clip.labels[0] if len(clip.labels) == 1 else None


def recording_name(clip: ClipInfo) -> str:
    """Name a recording as `audiomon record` does, with the day and the microphone for the session."""
    began = date_of(clip.began_ns)
    source = zlib.crc32(f"{clip.instance}\0{clip.source}".encode()) % 1_000_000
    return f"{began:%Y%m%d}-{source:06d}-{began:%H%M%S}{began.microsecond // 1000:03d}.flac"


def export_clip(file: int, folder: Path, label: str, name: str) -> Path:
    """Write a clip into its label's folder, or move it there from another one.

    Args:
        file: opened for reading.
        folder: of the data set.
        label: that it is to be learned as.
        name: of the recording.

    Raises:
        UserError: it cannot be written.
    """
    # A model's label may be no folder's name.
    path = folder / (label if is_label(label) else shown(label).replace("/", "-").lstrip(".") or "_") / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = next((found for found in folder.glob(f"*/{name}") if found != path), None)
        if before is not None:
            before.replace(path)
        elif not path.exists():
            write_file(file, path)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", path=path) from None
    return path


def write_file(file: int, path: Path) -> None:
    """Copy a file, whole or not at all.

    Args:
        file: opened for reading.
        path: where to.

    Raises:
        UserError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        copy_to_disk(file, draft, os.fstat(file).st_size, 0o666)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise UserError(f"cannot be written: {error.strerror}", path=path) from None
