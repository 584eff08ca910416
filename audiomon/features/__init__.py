"""What a log-mel window is, and its computation in plain NumPy."""

from audiomon.features.logmel import LogMel
from audiomon.features.spec import LogMelSpec, Normalization

__all__ = ["LogMel", "LogMelSpec", "Normalization"]
