"""A source made of blocks that a test wrote down."""

import numpy as np

from audiomon.audio.source import Block


class ListedSource:
    """Gives the listed blocks one after the other, each cut to what is asked for, then ends.

    Args:
        pieces: arrays of shape (frames, channels); an int is that many frames lost; None is a read that got nothing.
        sample_rate: in Hz.
        channels: samples per frame.
        live: as `Source.live`.
    """

    def __init__(self, pieces, sample_rate: int, channels: int = 1, live: bool = False) -> None:
        self.name = "a list"
        self.sample_rate = sample_rate
        self.channels = channels
        self.live = live
        self.asked: list[int] = []
        self._pieces = list(pieces)
        self._position = 0
        self._lost = 0

    def read(self, frames: int) -> Block | None:
        self.asked.append(frames)
        while self._pieces and isinstance(self._pieces[0], int):
            self._lost += self._pieces.pop(0)
        if not self._pieces:
            return None
        piece = self._pieces.pop(0)
        if piece is None:
            piece = np.empty((0, self.channels), dtype=np.int16)
        if len(piece) > frames:
            self._pieces.insert(0, piece[frames:])
            piece = piece[:frames]
        lost = self._lost if len(piece) else 0
        self._lost -= lost
        start = self._position + lost
        self._position = start + len(piece)
        return Block(start, piece, lost, self._position * 1_000_000_000 // self.sample_rate)

    def close(self) -> None:
        self._pieces = []
