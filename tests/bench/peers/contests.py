"""Who is compared with whom, on what, and what audiomon must reach."""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.audio.file import FileSource
from audiomon.audio.mono import MonoStream
from audiomon.errors import InputError, ModelError
from audiomon.features import LogMelSpec, WaveformSpec
from audiomon.lab.bench.pipeline.plan import Plan
from audiomon.lab.bench.pipeline.sounds import varied_sound, write_wav
from audiomon.models.importing.write import write_package
from audiomon.models.interpreter import Backend
from audiomon.models.manifest import Manifest, OutputSpec
from tests.bench.live.measure import librosa_arguments, librosa_levels
from tests.bench.live.tutorial_loop import LOOP_SCRIPT
from tests.bench.peers.contest import LOOPS, Contender, Contest, LeftOut
from tests.bench.peers.environments import Environment

_HOPS_S = {0.5: 1 / 3, 0.1: 1 / 5}
_OF_MEDIAPIPE = 0.75
_OF_WAKEWORD = 1 / 50

_SOUND_S = 30.0
_SHORTEST_S = 3.0
_YAMNET = WaveformSpec(sample_rate=16_000, samples=15_600)
_YAMNET_LABELS = 521
# What the voice assistants' front ends are made for, in Hz.
_PEERS_RATE = 16_000
# What pymicro-features computes, as nearly as a log-mel spec can say it.
_MICRO = LogMelSpec(
    sample_rate=_PEERS_RATE, n_fft=512, win_length=480, hop_length=160, n_mels=40, fmin=125, fmax=7500, frames=50
)

_RUNTIMES: dict[Backend, tuple[str, str, tuple[str, ...]]] = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert", ()),
    # built against NumPy 1
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime", ("numpy<2",)),
}
_MEDIAPIPE = Environment("mediapipe", ("mediapipe>=1.2",), 600)
_WAKEWORD = Environment("pyopen-wakeword", ("pyopen-wakeword>=1.1",), 100)
_MICRO_FEATURES = Environment("pymicro-features", ("pymicro-features>=2.0",), 30)


def contests(plan: Plan, yamnet: Path | None, scratch: Path) -> tuple[list[Contest], list[LeftOut]]:
    """List the contests, and those that cannot be held.

    Args:
        plan: the model package, and the runtime: the first of its backends.
        yamnet: the file of MediaPipe's YAMNet; None leaves those contenders out.
        scratch: folder for what is made on the way.

    Raises:
        ModelError: ``yamnet`` is another model.
    """
    backend = plan.backends[0]
    found = [_against_loop(plan, backend, hop_s, reach) for hop_s, reach in _HOPS_S.items()]
    left_out = []
    if yamnet is None:
        why = (
            "needs the model file that MediaPipe's guide to audio classification offers, which audiomon does not ship: "
            "--yamnet yamnet.tflite"
        )
        left_out.append(LeftOut("YAMNet with audiomon, MediaPipe's AudioClassifier and a plain loop", why))
    else:
        found.append(_yamnet(yamnet, backend, scratch))
    return [*found, _against_wakeword(plan, backend), _front_ends()], left_out


def tutorial_environment(backend: Backend) -> Environment:
    """Return what the tutorial loop needs, with the same runtime as here."""
    _, distribution, more = _RUNTIMES[backend]
    name = "tutorial-loop" if backend == "litert" else f"tutorial-loop-{backend}"
    return Environment(name, ("librosa>=0.10.2", _same_version(distribution), "sounddevice>=0.4.6", *more), 550)


def _same_version(distribution: str) -> str:
    return f"{distribution}=={importlib.metadata.version(distribution)}"


def _listener(folder: Path, sample_rate: int, backend: Backend, hop_s: float) -> Contender:
    options = {"model": str(folder), "backend": backend, "hop_s": hop_s}
    return Contender("audiomon", LOOPS / "audiomon_listener.py", options, sample_rate)


def _against_loop(plan: Plan, backend: Backend, hop_s: float, reach: float) -> Contest:
    spec, hop = plan.spec, plan.hop_s(hop_s)
    loop = Contender(
        "tutorial loop",
        LOOP_SCRIPT,
        {
            "model": str(plan.folder / "model.tflite"),
            "backend": backend,
            "mel": librosa_arguments(spec),
            "levels": librosa_levels(spec),
            "window_samples": spec.window_samples,
            "hop_samples": round(hop * spec.sample_rate),
        },
        spec.sample_rate,
        tutorial_environment(backend),
        reach,
    )
    title = f"{plan.folder.name}, a prediction every {hop:.3f} s"
    return Contest(f"hop-{hop_s}", title, (_listener(plan.folder, spec.sample_rate, backend, hop_s), loop))


def _yamnet(file: Path, backend: Backend, scratch: Path) -> Contest:
    folder = scratch / "yamnet"
    manifest = Manifest(
        format=1,
        name="yamnet",
        description="YAMNet, to be measured",
        sha256="0" * 64,
        labels=tuple(map(str, range(_YAMNET_LABELS))),
        input=_YAMNET,
        self_test=(),
        license="not stated",
        output=OutputSpec(activation="sigmoid"),
    )
    try:
        write_package(folder, file.read_bytes(), manifest, "", tolerance=0.04, backend=backend)
    except ModelError as error:
        # Nobody knows the folder, which is gone when this is read.
        reason = str(error).replace(f"{folder / 'model.tflite'}: ", "").replace(f"{folder}: ", "")
        raise ModelError(f"--yamnet {file}: {reason}") from None
    module, distribution, more = _RUNTIMES[backend]
    plain = Contender(
        "plain loop",
        LOOPS / "litert_waveform.py",
        {"model": str(file), "runtime": module},
        _YAMNET.sample_rate,
        Environment(distribution, (_same_version(distribution), *more), 150),
    )
    mediapipe = Contender(
        "AudioClassifier",
        LOOPS / "mediapipe_classifier.py",
        {"model": str(file), "window_samples": _YAMNET.samples, "sample_rate": _YAMNET.sample_rate},
        _YAMNET.sample_rate,
        _MEDIAPIPE,
        _OF_MEDIAPIPE,
    )
    title = f"YAMNet, a prediction every {_YAMNET.window_s:.3f} s"
    ours = _listener(folder, _YAMNET.sample_rate, backend, _YAMNET.window_s)
    return Contest("yamnet", title, (ours, plain, mediapipe))


def _against_wakeword(plan: Plan, backend: Backend) -> Contest:
    ours = _listener(plan.folder, plan.spec.sample_rate, backend, 0.5)
    wakeword = Contender("front end", LOOPS / "open_wakeword.py", {}, _PEERS_RATE, _WAKEWORD, _OF_WAKEWORD)
    title = f"{plan.folder.name}, a prediction every {plan.hop_s(0.5):.3f} s; a speech embedding every 0.080 s"
    return Contest("wakeword", title, (ours, wakeword))


def _front_ends() -> Contest:
    hop_s = _MICRO.frames * _MICRO.hop_length / _MICRO.sample_rate
    spec: dict[str, Any] = msgspec.to_builtins(_MICRO)
    options = {"spec": spec, "hop_s": hop_s}
    ours = Contender("audiomon, front end", LOOPS / "audiomon_frames.py", options, _PEERS_RATE)
    frames = {"frames": _MICRO.frames}
    micro = Contender("front end", LOOPS / "micro_features.py", frames, _PEERS_RATE, _MICRO_FEATURES)
    return Contest("front-end", "100 frames of 40 bands a second and nothing else", (ours, micro))


def write_sounds(contests: Sequence[Contest], recording: Path | None, scratch: Path) -> dict[int, Path]:
    """Write the sound that all contenders hear, once for each sample rate.

    Args:
        contests: who hears it.
        recording: any audio file, of which the first half minute is heard over and over; None for generated sound.
        scratch: folder to write to.

    Returns:
        WAV files of 16 bits and one channel, by sample rate.

    Raises:
        InputError: the recording is not audio, or shorter than a window.
    """
    files = {}
    for rate in sorted({contender.sample_rate for contest in contests for contender in contest.contenders}):
        files[rate] = scratch / f"{rate}.wav"
        write_wav(files[rate], varied_sound(_SOUND_S, rate) if recording is None else _beginning(recording, rate), rate)
    return files


def _beginning(recording: Path, rate: int) -> NDArray[np.int16]:
    source = FileSource(recording)
    try:
        stream = MonoStream(source, rate)
        pieces: list[NDArray[np.float32]] = []
        while sum(map(len, pieces)) < _SOUND_S * rate and (stretch := stream.read(rate)) is not None:
            pieces.append(stretch.samples.copy())
    finally:
        source.close()
    sound = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.float32)
    if len(sound) < _SHORTEST_S * rate:
        raise InputError(f"{recording}: is {len(sound) / rate:.1f} s long; the contenders need {_SHORTEST_S:.0f} s")
    return np.asarray(np.rint(32767 * np.clip(sound, -1, 1)), dtype=np.int16)
