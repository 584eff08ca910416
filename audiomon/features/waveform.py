"""Raw samples as a model's input, for models with a front end of their own."""

from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from audiomon.features.front_end import Float32, Frames
from audiomon.features.logmel import LogMel
from audiomon.features.spec import LogMelSpec, SampleRate

# A least value instead of "above 0", which msgspec takes for "at least the smallest number there is"; and that is 0 to
# a 32-bit ARM once a library has set its processor to flush such numbers.
_MIN_FULL_SCALE = 1e-9

# Of the spectrogram that people look at.
_DISPLAY_BANDS = 40
_DISPLAY_FRAME_MS = 64


class WaveformSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="waveform"):
    """A window of raw samples, for models with a front end of their own."""

    # Without a type, since they are no keys of the manifest.
    title = "waveform"
    axes = "samples"
    must_be_said = ("sample_rate", "samples")
    assumable = ()

    sample_rate: SampleRate
    samples: Annotated[int, Meta(ge=16, le=10_000_000, description="Samples in one window.")]
    full_scale: Annotated[
        Annotated[float, Meta(ge=_MIN_FULL_SCALE, le=1e6)] | None,
        Meta(
            description="What the loudest sample is: 1 or 32768. When left out, 32768 for a model that reads plain "
            "16-bit integers, else 1.",
        ),
    ] = None

    @property
    def window_samples(self) -> int:
        """See `FrontEnd`."""
        return self.samples

    @property
    def window_s(self) -> float:
        """See `FrontEnd`."""
        return self.samples / self.sample_rate

    @property
    def shape(self) -> tuple[int]:
        """Shape of one window: (samples,)."""
        return (self.samples,)

    @property
    def axis_order(self) -> tuple[int]:
        """See `FrontEnd`."""
        return (0,)

    @property
    def summary(self) -> str:
        """See `FrontEnd`."""
        return f"{self.title}, {self.samples} samples"

    def scale(self, *, is_pcm: bool) -> float:
        """See `FrontEnd.scale`."""
        return self.full_scale or (32768 if is_pcm else 1)

    def other_layouts(self) -> dict[str, "WaveformSpec"]:
        """See `FrontEnd.other_layouts`: one axis has one order."""
        return {}

    def nearest_hop_s(self, hop_s: float) -> float:
        """See `FrontEnd.nearest_hop_s`: a whole number of samples."""
        return self._hop_samples(hop_s) / self.sample_rate

    def cutter(self, hop_s: float) -> "WaveformCutter":
        """See `FrontEnd.cutter`."""
        return WaveformCutter(self, self._hop_samples(hop_s))

    def _hop_samples(self, hop_s: float) -> int:
        return max(1, min(self.samples, round(hop_s * self.sample_rate)))


class WaveformCutter:
    """Windows of raw samples; see `Cutter`."""

    def __init__(self, spec: WaveformSpec, hop_samples: int) -> None:
        self.hop_samples = hop_samples
        self.kept_samples = spec.samples - hop_samples
        self._window: Float32 = np.empty(spec.samples, dtype=np.float32)
        self._sample_rate = spec.sample_rate
        self._new = spec.samples
        self._display: LogMel | None = None

    def cut(self, samples: Float32, *, first: bool) -> Float32:
        """See `Cutter.cut`."""
        self._window[:] = samples
        self._new = len(samples) if first else self.hop_samples
        return self._window

    def new_frames(self) -> Frames:
        """See `Cutter.new_frames`: computed for this, from the first call on."""
        if self._display is None:
            self._display = LogMel(_display_spec(self._sample_rate, len(self._window)))
        spec = self._display.spec
        under = min(len(self._window), max(spec.n_fft, self._new + spec.n_fft - spec.hop_length))
        return Frames(self._display.frames(self._window[-under:]), self._new / self._sample_rate)


def _display_spec(sample_rate: int, window_samples: int) -> LogMelSpec:
    """Return frames of some 46 ms, one after the other, that fit into a window."""
    longest = min(sample_rate * _DISPLAY_FRAME_MS // 1000, window_samples)
    n_fft = max(16, 1 << (longest.bit_length() - 1))
    return LogMelSpec(sample_rate=sample_rate, n_fft=n_fft, hop_length=n_fft, n_mels=_DISPLAY_BANDS, frames=1)
