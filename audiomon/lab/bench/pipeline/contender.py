"""The offline contenders of ``audiomon bench pipeline``: our path over samples in memory, and its bare arithmetic.

``python -m audiomon.lab.bench.pipeline.contender ours|bare FOLDER BACKEND HOP_S BURST_S`` works off one burst of audio
for every line on standard input and says what it cost. Two such processes that take turns meet the same disturbances.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from audiomon.audio.source import Block
from audiomon.clock import SystemClock
from audiomon.config import Decisions, decision_rules
from audiomon.features import LogMelSpec
from audiomon.features.mel import mel_filter_bank, window_function
from audiomon.lab.bench.pipeline.sounds import varied_sound
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import Backend, import_runtime
from audiomon.models.package import ModelPackage, read_package
from audiomon.pipeline.listener import Listener

# One round of sound in memory; it is heard over and over.
_SOUND_S = 30

# Rows that are transformed at once: scratch stays in the cache, as it does in `LogMel`.
_ROWS = 11


class EndlessSource:
    """Sound in memory as a source at its native rate: nothing is decoded, nothing is waited for.

    Args:
        sound: int16, shape (n,); repeated without end.
        sample_rate: in Hz.
    """

    def __init__(self, sound: NDArray[np.int16], sample_rate: int) -> None:
        self.name = "memory"
        self.sample_rate = sample_rate
        self.channels = 1
        self.live = False
        self._sound = sound[:, np.newaxis]
        self._position = 0

    def read(self, frames: int) -> Block | None:
        """See `Source.read`."""
        start = self._position % len(self._sound)
        samples = self._sound[start : start + frames]
        block = Block(self._position, samples, 0, time.monotonic_ns())
        self._position += len(samples)
        return block

    @property
    def captured_end(self) -> int:
        """See `Source`."""
        return self._position

    def rewind(self, frames: int) -> int:
        """See `Source.rewind`."""
        frames = min(frames, self._position)
        self._position -= frames
        return frames

    def close(self) -> None:
        """See `Source.close`."""


def ours(package: ModelPackage, spec: LogMelSpec, backend: Backend, hop_s: float) -> Callable[[], object]:
    """Return what our listener does for one window: samples, frames, scores, decisions, prediction."""
    manifest = package.manifest
    listener = Listener(
        EndlessSource(varied_sound(_SOUND_S, spec.sample_rate), spec.sample_rate),
        Classifier(package, backend),
        decision_rules(manifest.labels, manifest.decisions, Decisions()),
        hop_s=hop_s,
        channel="mix",
        clock=SystemClock(),
    )
    return listener.next


def bare(package: ModelPackage, spec: LogMelSpec, backend: Backend, hop_s: float) -> Callable[[], object]:
    """Return the arithmetic of one window and nothing else.

    int16 to float32, window, rfft, power, mel product, logarithm, and the interpreter's set_tensor, invoke and
    get_tensor, each one NumPy call on what `LogMel` uses too: its precision, its chunks of rows, its bins up to fmax,
    memory preallocated wherever NumPy lets one. The mel product is one matrix product for all rows. There is no stream,
    no position, no bit kept equal, no decision and no prediction.
    """
    hop = spec.hop_frames(hop_s)
    bank = mel_filter_bank(spec)
    bins = int(np.flatnonzero(bank.any(axis=0)).max()) + 1
    bank_t = np.ascontiguousarray(bank.T[:bins], dtype=np.float32)
    window = window_function(spec)
    spectrum_out = np.empty((_ROWS, spec.n_fft // 2 + 1), dtype=np.complex128)
    rfft: Callable[..., NDArray[np.complex128]] = np.fft.rfft
    takes_out = np.lib.NumpyVersion(np.__version__) >= "2.0.0"
    windowed = np.empty((_ROWS, spec.n_fft))
    power = np.empty((_ROWS, bins), dtype=np.float32)
    sound = varied_sound(_SOUND_S, spec.sample_rate)
    samples = np.zeros(spec.n_fft + (hop - 1) * spec.hop_length, dtype=np.float32)
    rows = np.lib.stride_tricks.sliding_window_view(samples, spec.n_fft)[:: spec.hop_length]
    model_input = np.zeros(spec.shape, dtype=np.float32)
    new_frames = model_input[-hop:]
    runtime, _ = import_runtime(backend)
    engine = runtime.Interpreter(model_content=package.content, num_threads=1)
    engine.allocate_tensors()
    tensor, result = engine.get_input_details()[0], engine.get_output_details()[0]["index"]
    batch = model_input.reshape(tensor["shape"])
    chunks = [slice(first, min(first + _ROWS, hop)) for first in range(0, hop, _ROWS)]
    position = 0

    def step() -> None:
        nonlocal position
        # The samples under all the new frames, less those that the last window has converted already.
        fresh = hop * spec.hop_length
        samples[:-fresh] = samples[fresh:]
        np.multiply(sound[position : position + fresh], np.float32(1 / 32768), out=samples[-fresh:])
        position = (position + fresh) % (len(sound) - fresh)
        for chunk in chunks:
            frames = new_frames[chunk]
            n = len(frames)
            np.multiply(rows[chunk], window, out=windowed[:n])
            spectrum = rfft(windowed[:n], out=spectrum_out[:n]) if takes_out else rfft(windowed[:n])
            parts = spectrum.view(np.float64)[:, : 2 * bins]
            np.multiply(parts, parts, out=parts)
            np.add(parts[:, 0::2], parts[:, 1::2], out=power[:n], casting="same_kind")
            np.matmul(power[:n], bank_t, out=frames)
        np.maximum(new_frames, np.float32(spec.amin), out=new_frames)
        np.log10(new_frames, out=new_frames)
        np.multiply(new_frames, np.float32(10), out=new_frames)
        engine.set_tensor(tensor["index"], batch)
        engine.invoke()
        engine.get_tensor(result)

    return step


def main() -> None:
    """Work off bursts until standard input ends."""
    contender, folder, backend, hop_s, burst_s = sys.argv[1:]
    package = read_package(Path(folder))
    spec = cast(LogMelSpec, package.manifest.input)
    make = {"ours": ours, "bare": bare}[contender]
    step = make(package, spec, cast(Backend, backend), float(hop_s))
    window_s = spec.hop_frames(float(hop_s)) * spec.hop_length / spec.sample_rate
    windows = max(1, round(float(burst_s) / window_s))
    for _ in range(3):
        step()
    for _ in sys.stdin:
        started_s = time.process_time()
        for _ in range(windows):
            step()
        cpu_s = time.process_time() - started_s
        print(json.dumps({"cpu_s": cpu_s, "audio_s": windows * window_s}), flush=True)


if __name__ == "__main__":
    main()
