"""A third kind of input, for audiomon processes whose start registers it.

All that a new kind takes: a spec, a cutter, and its name in `InputSpec`.
"""

import msgspec

from audiomon.features import WaveformSpec


class BlocksSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="blocks"):
    """A window of ``rows`` times ``row_samples`` samples: the values of a waveform window, in another shape."""

    # Without a type, since they are no keys of the manifest.
    title = "blocks"
    axes = "rows × row_samples"
    must_be_said = ("sample_rate", "rows", "row_samples")
    assumable = ()

    sample_rate: int
    rows: int
    row_samples: int

    @property
    def window_samples(self):
        return self.rows * self.row_samples

    @property
    def window_s(self):
        return self.window_samples / self.sample_rate

    @property
    def shape(self):
        return (self.rows, self.row_samples)

    @property
    def axis_order(self):
        return (0, 1)

    @property
    def summary(self):
        return f"{self.title}, {self.rows} rows of {self.row_samples}"

    def scale(self, *, is_pcm):  # the protocol's signature
        return 1

    def other_layouts(self):
        return {}

    def nearest_hop_s(self, hop_s):
        return self.cutter(hop_s).hop_samples / self.sample_rate

    def cutter(self, hop_s):
        return BlocksCutter(self, hop_s)


class BlocksCutter:
    def __init__(self, spec, hop_s):
        self._shape = spec.shape
        self._waveform = WaveformSpec(sample_rate=spec.sample_rate, samples=spec.window_samples).cutter(hop_s)
        self.hop_samples = self._waveform.hop_samples
        self.kept_samples = self._waveform.kept_samples

    def cut(self, samples, *, first):
        return self._waveform.cut(samples, first=first).reshape(self._shape)

    def new_frames(self):
        return self._waveform.new_frames()


# A `sitecustomize`: what Python runs at its start, here and in the process that checks the model.
REGISTRATION = """
import audiomon.features
from tests.features.blocks import BlocksSpec

audiomon.features.InputSpec |= BlocksSpec
"""
