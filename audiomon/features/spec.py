"""What a log-mel window is: every parameter that a model's training and its serving must agree on.

This is the ``input:`` of a model's manifest. Names and meanings are librosa's.
"""

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from audiomon.features.front_end import MAX_WINDOW_S

if TYPE_CHECKING:
    from audiomon.features.logmel import LogMelCutter

from audiomon.errors import FieldError

# About the largest and the smallest number that float32 holds: beyond them features become infinite or divide by 0.
_MAX_NUMBER = 1e38
_MIN_NUMBER = 1e-37

SampleRate = Annotated[int, Meta(ge=1000, le=192_000, description="Samples per second, in Hz.")]


class Normalization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is subtracted from a log-mel window, and what it is divided by, last of all."""

    mean: Annotated[
        float | tuple[float, ...], Meta(description="Subtracted: one number, or one for each mel band.")
    ] = 0.0
    std: Annotated[
        float | tuple[float, ...], Meta(description="Divided by, after that: one number, or one for each mel band.")
    ] = 1.0
    per_window: Annotated[
        bool, Meta(description="Use each window's own mean and standard deviation instead of fixed ones.")
    ] = False


class LogMelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="log-mel"):
    """A window of ``frames`` log-mel frames, the array of shape (frames, n_mels) that a model reads."""

    # Without a type, since they are no keys of the manifest.
    title = "log-mel"
    axes = "frames × n_mels"
    # Everything else has a value that nearly everybody uses, librosa's; these have none.
    must_be_said = ("sample_rate", "n_fft", "hop_length", "n_mels", "frames")
    assumable = (
        *("win_length", "window", "fmin", "fmax", "mel_scale", "norm", "power", "log", "ref", "amin", "top_db"),
        "layout",
    )

    sample_rate: SampleRate = 22_050
    n_fft: Annotated[int, Meta(ge=16, le=32_768, description="Samples in one Fourier transform.")] = 2048
    win_length: Annotated[
        int | None, Meta(description="Samples under the window function, centred in n_fft; n_fft when left out.")
    ] = None
    hop_length: Annotated[int, Meta(ge=1, description="Samples from one frame to the next; at most n_fft.")] = 512
    window: Annotated[
        Literal["hann", "hamming", "blackman", "rectangular"], Meta(description="Window function (periodic).")
    ] = "hann"
    n_mels: Annotated[int, Meta(ge=1, le=512, description="Mel bands.")] = 40
    fmin: Annotated[float, Meta(ge=0, description="Lower edge of the lowest band, in Hz.")] = 0.0
    fmax: Annotated[
        float | None, Meta(description="Upper edge of the highest band, in Hz; half the sample rate when left out.")
    ] = None
    mel_scale: Annotated[Literal["slaney", "htk"], Meta(description="Formula of the mel scale.")] = "slaney"
    norm: Annotated[Literal["slaney", "none"], Meta(description="slaney: each band is divided by its width in Hz.")] = (
        "slaney"
    )
    power: Annotated[Literal[1, 2], Meta(description="1: bands sum magnitudes; 2: bands sum powers.")] = 2
    log: Annotated[
        Literal["db", "ln", "log10", "none"],
        Meta(description="db: 10·log10 of powers, 20·log10 of magnitudes; ln, log10: plain; none: left linear."),
    ] = "db"
    ref: Annotated[
        Literal["max"] | float, Meta(description="What 0 dB is: a fixed value, or the loudest value of each window.")
    ] = 1.0
    amin: Annotated[
        float,
        Meta(
            ge=_MIN_NUMBER,
            description="Values below this are raised to it before the logarithm. librosa's own default is 1e-10 for "
            "powers and 1e-5 for magnitudes.",
        ),
    ] = 1e-10
    top_db: Annotated[
        float | None, Meta(description="Raise what is more than this below the window's loudest value, in dB.")
    ] = None
    frames: Annotated[int, Meta(ge=1, le=10_000, description="Frames in one window.")] = 43
    normalization: Normalization | None = None
    layout: Annotated[
        Literal["frames-bands", "bands-frames"],
        Meta(description="Order of the model's axes; a flat input lists them in this order too."),
    ] = "frames-bands"
    center: Annotated[
        bool, Meta(description="Must be false: centred frames need samples that have not been recorded yet.")
    ] = False

    @property
    def window_samples(self) -> int:
        """Samples under one window of frames."""
        return self.n_fft + (self.frames - 1) * self.hop_length

    @property
    def window_s(self) -> float:
        """Length of one window of frames, in seconds."""
        return self.window_samples / self.sample_rate

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one window: (frames, n_mels)."""
        return (self.frames, self.n_mels)

    @property
    def axis_order(self) -> tuple[int, int]:
        """See `FrontEnd`."""
        return (1, 0) if self.layout == "bands-frames" else (0, 1)

    @property
    def summary(self) -> str:
        """See `FrontEnd`."""
        return f"{self.title}, {self.frames} frames × {self.n_mels} bands"

    def scale(self, *, is_pcm: bool) -> float:  # noqa: ARG002  # the protocol's signature
        """See `FrontEnd.scale`: features are what they are."""
        return 1

    def other_layouts(self) -> dict[str, "LogMelSpec"]:
        """See `FrontEnd.other_layouts`."""
        other: Literal["frames-bands", "bands-frames"]
        other = "frames-bands" if self.layout == "bands-frames" else "bands-frames"
        return {other: msgspec.structs.replace(self, layout=other)}

    def hop_frames(self, hop_s: float) -> int:
        """Whole frames nearest to ``hop_s`` seconds, at least 1 and at most a window."""
        return max(1, min(self.frames, round(hop_s * self.sample_rate / self.hop_length)))

    def nearest_hop_s(self, hop_s: float) -> float:
        """Seconds from one window to the next that come nearest to ``hop_s``."""
        return self.hop_frames(hop_s) * self.hop_length / self.sample_rate

    def cutter(self, hop_s: float) -> "LogMelCutter":
        """See `FrontEnd.cutter`: a whole number of frames."""
        # Imported here because it computes with this module's spec; and a manifest is read without computing.
        from audiomon.features.logmel import LogMelCutter

        return LogMelCutter(self, self.hop_frames(hop_s))

    def __post_init__(self) -> None:
        """Refuse what no front end could compute.

        Raises:
            FieldError: parameters that contradict each other.
        """
        nyquist_hz = self.sample_rate / 2
        for name in ("fmin", "fmax", "ref", "amin", "top_db"):
            value = getattr(self, name)
            if isinstance(value, float) and not abs(value) < _MAX_NUMBER:
                raise FieldError((name,), "must be a finite number that float32 can hold")
        for broken, name, reason in (
            (
                self.center,
                "center",
                "true is not supported: a live stream has no samples from after its last frame; "
                "train with center=False",
            ),
            (
                self.win_length is not None and not 1 <= self.win_length <= self.n_fft,
                "win_length",
                f"must be from 1 to n_fft ({self.n_fft})",
            ),
            (
                self.hop_length > self.n_fft,
                "hop_length",
                f"must be at most n_fft ({self.n_fft}): what lies between two frames would go unheard",
            ),
            (
                self.fmax is not None and not self.fmin < self.fmax <= nyquist_hz,
                "fmax",
                f"must lie above fmin ({self.fmin:g} Hz) and at or below half the sample rate ({nyquist_hz:g} Hz)",
            ),
            (
                self.fmax is None and self.fmin >= nyquist_hz,
                "fmin",
                f"must lie below half the sample rate ({nyquist_hz:g} Hz)",
            ),
            (
                self.window_s > MAX_WINDOW_S,
                "frames",
                f"must make a window of at most {MAX_WINDOW_S:g} s; {self.frames} frames of "
                f"{self.hop_length} samples make {self.window_s:.0f} s",
            ),
            (self.ref != "max" and self.ref < _MIN_NUMBER, "ref", "must be greater than 0, or max"),
            (self.top_db is not None and self.top_db < 0, "top_db", "must be 0 or more"),
            (self.top_db is not None and self.log != "db", "top_db", "goes with log: db only"),
            (self.ref != 1.0 and self.log != "db", "ref", "goes with log: db only"),
        ):
            if broken:
                raise FieldError((name,), reason)
        if self.normalization is not None:
            self._check_normalization(self.normalization)

    def _check_normalization(self, normalization: Normalization) -> None:
        for name in ("mean", "std"):
            keys = ("normalization", name)
            values = getattr(normalization, name)
            listed = values if isinstance(values, tuple) else (values,)
            if isinstance(values, tuple) and len(values) != self.n_mels:
                raise FieldError(keys, f"has {len(values)} values for {self.n_mels} mel bands")
            if not all(abs(value) < _MAX_NUMBER for value in listed):
                raise FieldError(keys, "must be finite numbers that float32 can hold")
            if name == "std" and not all(value >= _MIN_NUMBER for value in listed):
                raise FieldError(keys, "must be greater than 0")
        if normalization.per_window and (normalization.mean != 0.0 or normalization.std != 1.0):
            raise FieldError(("normalization",), "per_window takes no mean and no std")
