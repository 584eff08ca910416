"""What a model reads: one file for each kind of input, and its computation in plain NumPy.

`InputSpec` is the registration: a further kind is a file here whose spec is a `FrontEnd` with a ``kind`` of its own,
and its name in that line.
"""

from audiomon.features.front_end import MAX_WINDOW_S, Cutter, Frames, FrontEnd, whole_window
from audiomon.features.logmel import LogMel
from audiomon.features.spec import LogMelSpec, Normalization, SampleRate
from audiomon.features.waveform import WaveformSpec

InputSpec = LogMelSpec | WaveformSpec

__all__ = [
    "MAX_WINDOW_S",
    "Cutter",
    "Frames",
    "FrontEnd",
    "InputSpec",
    "LogMel",
    "LogMelSpec",
    "Normalization",
    "SampleRate",
    "WaveformSpec",
    "whole_window",
]
