"""Makes ``golden.npz``, what librosa computes: ``python -m tests.features.make_golden``, where librosa is.

The file is committed, so that the comparison also runs where librosa cannot be installed.
"""

import librosa
import numpy as np

from tests.features.golden import GOLDEN, SAMPLES
from tests.features.grid import SPECS
from tests.features.oracle import allowed_in_window, librosa_bands, librosa_window
from tests.features.signals import everything


def main() -> None:
    samples = everything(SAMPLES)
    arrays = {"samples": np.round(samples * 32768).astype(np.int16), "librosa": np.array(librosa.__version__)}
    for name, spec in SPECS.items():
        bands = librosa_bands(samples[: spec.window_samples], spec)
        arrays[f"{name}: bands"] = bands.astype(np.float32)
        arrays[f"{name}: window"] = librosa_window(bands, spec)
        arrays[f"{name}: allowed"] = allowed_in_window(bands, spec).astype(np.float32)
    np.savez_compressed(GOLDEN, **arrays)
    print(f"{GOLDEN}: {len(SPECS)} specs, {GOLDEN.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
