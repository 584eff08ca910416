"""Specs that cover every option: a fixed list, and a hypothesis strategy for the combinations nobody thinks of."""

import msgspec
from hypothesis import strategies as st

from audiomon.features import LogMelSpec, Normalization

_BASE = LogMelSpec(frames=8)


def _but(**changes: object) -> LogMelSpec:
    return msgspec.structs.replace(_BASE, **changes)


# The default spec with one thing changed, and the front ends of well-known models.
SPECS = {
    "default": _but(),
    "16 kHz": _but(sample_rate=16_000),
    "n_fft 512, hop 160": _but(n_fft=512, hop_length=160, sample_rate=16_000),
    "n_fft 1000": _but(n_fft=1000, hop_length=250),
    "n_fft 1023": _but(n_fft=1023, hop_length=301),
    "hop equals n_fft": _but(n_fft=512, hop_length=512),
    "win_length 1200": _but(win_length=1200),
    "win_length 1201": _but(win_length=1201),
    "hamming": _but(window="hamming"),
    "blackman": _but(window="blackman"),
    "rectangular": _but(window="rectangular"),
    "1 band": _but(n_mels=1),
    "13 bands": _but(n_mels=13),
    "128 bands": _but(n_mels=128, frames=4),
    "bands narrower than a bin": _but(n_fft=256, hop_length=128, n_mels=64),
    "fmin and fmax": _but(fmin=125.0, fmax=7500.0),
    "one octave": _but(fmin=1000.0, fmax=2000.0),
    "htk": _but(mel_scale="htk"),
    "norm none": _but(norm="none"),
    "htk, norm none": _but(mel_scale="htk", norm="none"),
    "magnitude": _but(power=1),
    "magnitude, amin and ref": _but(power=1, amin=1e-5, ref=20.0),
    "ln": _but(log="ln", amin=1e-6),
    "log10": _but(log="log10"),
    "linear": _but(log="none"),
    "linear magnitude": _but(log="none", power=1),
    "ref 100": _but(ref=100.0),
    "ref below amin": _but(ref=1e-12),
    "ref max": _but(ref="max"),
    "magnitude, ref max": _but(ref="max", power=1, amin=1e-5),
    "amin 1e-3": _but(amin=1e-3),
    "top_db 80": _but(top_db=80.0),
    "top_db 20, ref max": _but(top_db=20.0, ref="max"),
    "top_db 0": _but(top_db=0.0),
    "magnitude, top_db 40": _but(power=1, top_db=40.0),
    "normalised": _but(normalization=Normalization(mean=-30.0, std=20.0)),
    "normalised by band": _but(
        n_mels=3, normalization=Normalization(mean=(-30.0, -20.0, -10.0), std=(20.0, 10.0, 5.0))
    ),
    "normalised by window": _but(normalization=Normalization(per_window=True)),
    "YAMNet": LogMelSpec(
        sample_rate=16_000,
        n_fft=512,
        win_length=400,
        hop_length=160,
        n_mels=64,
        fmin=125.0,
        fmax=7500.0,
        mel_scale="htk",
        norm="none",
        power=1,
        log="ln",
        amin=1e-3,
        frames=10,
    ),
    "Whisper": LogMelSpec(sample_rate=16_000, n_fft=400, hop_length=160, n_mels=80, log="log10", frames=10),
}


@st.composite
def specs(draw: st.DrawFn) -> LogMelSpec:
    """Any spec that is cheap enough to compute."""
    sample_rate = draw(st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]))
    n_fft = draw(st.one_of(st.sampled_from([256, 400, 512, 1024, 2048]), st.integers(16, 2048)))
    fmin = draw(st.sampled_from([0.0, 20.0, 125.0, 1000.0]))
    n_mels = draw(st.integers(1, 130))
    log = draw(st.sampled_from(["db", "ln", "log10", "none"]))
    band = st.floats(0.1, 100)
    normalization = st.one_of(
        st.none(),
        st.just(Normalization(per_window=True)),
        st.builds(Normalization, mean=st.floats(-50, 50), std=band),
        st.builds(Normalization, std=st.lists(band, min_size=n_mels, max_size=n_mels).map(tuple)),
    )
    return LogMelSpec(
        sample_rate=sample_rate,
        n_fft=n_fft,
        win_length=draw(st.one_of(st.none(), st.integers(max(1, n_fft // 3), n_fft))),
        hop_length=draw(st.integers(max(1, n_fft // 8), n_fft)),
        window=draw(st.sampled_from(["hann", "hamming", "blackman", "rectangular"])),
        n_mels=n_mels,
        fmin=fmin,
        fmax=draw(st.one_of(st.none(), st.floats(fmin + 500, sample_rate / 2))),
        mel_scale=draw(st.sampled_from(["slaney", "htk"])),
        norm=draw(st.sampled_from(["slaney", "none"])),
        power=draw(st.sampled_from([1, 2])),
        log=log,
        ref=draw(st.sampled_from([1.0, 0.01, 50.0, "max"])) if log == "db" else 1.0,
        amin=draw(st.sampled_from([1e-10, 1e-5, 1e-2])),
        top_db=draw(st.sampled_from([None, 0.0, 30.0, 80.0])) if log == "db" else None,
        frames=draw(st.integers(1, 12)),
        normalization=draw(normalization),
    )
