"""Columns of a spectrogram to look at: a byte for each band, about 20 a second. Made only while somebody wants them."""

from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.features import Frames

# What the bytes span: dB against a full-scale sine in one band, about. Below is the noise of a good microphone.
MIN_COLUMN_DB = -100.0
MAX_COLUMN_DB = 20.0
# More than an eye wants to see pass by.
_MAX_COLUMNS_PER_S = 22.0


class Columns(msgspec.Struct, frozen=True):
    """New columns.

    Attributes:
        levels: uint8, shape (columns, bands): 0 is `MIN_COLUMN_DB` or less, 255 is `MAX_COLUMN_DB` or more.
        duration_s: of all of them.
        gap: whether they do not follow on the columns before.
    """

    levels: NDArray[np.uint8]
    duration_s: float
    gap: bool


class ColumnSink(Protocol):
    """Where columns go. Called by the inference worker, as an output is: it neither raises nor waits."""

    @property
    def wants_columns(self) -> bool:
        """Whether anybody looks."""
        ...

    def columns(self, columns: Columns) -> None:
        """Take in new columns."""
        ...


def columns_of(frames: Frames, *, gap: bool) -> Columns:
    """Make columns of frames: the loudest of two or more neighbours, where there are more than one looks at.

    Args:
        frames: new ones, at least one.
        gap: whether they do not follow on those before.
    """
    count = len(frames.decibels)
    together = max(1, round(count / frames.duration_s / _MAX_COLUMNS_PER_S))
    loudest = np.maximum.reduceat(frames.decibels, np.arange(0, count, together), axis=0)
    scaled = (loudest - MIN_COLUMN_DB) * (255 / (MAX_COLUMN_DB - MIN_COLUMN_DB))
    return Columns(np.clip(scaled, 0, 255).astype(np.uint8), frames.duration_s, gap)
