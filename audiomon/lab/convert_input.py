"""What a trained model reads, inferred from the shape of its input where the user does not say it, as for a .tflite."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audiomon.errors import ModelError
from audiomon.lab.keras_files import check_existence, read_keras
from audiomon.lab.tensorflow_process import Progress, TensorFlowProcess
from audiomon.models.importing.bare import BareTensor
from audiomon.models.importing.describe import missing_features, what_is_said
from audiomon.models.importing.infer import infer_input
from audiomon.models.importing.metadata import TensorNote


def inferred_features(
    tensorflow: TensorFlowProcess,
    model: Path,
    weights: Path | None,
    description: Path | None,
    features: tuple[str, ...],
    output: str,
) -> dict[str, Any]:
    """Find out what is not said of a model's input.

    Args:
        tensorflow: where the model is read, if anything is missing.
        model: its file or folder.
        weights: its weights, if it is an architecture .json.
        description: YAML file that says something of it, or None.
        features: what the options say, ``n_fft=2048`` and so on.
        output: name or number of the output that has the scores.

    Returns:
        Keys and values of a manifest's ``input`` that follow from the model's shape, and were not said.

    Raises:
        ModelError: there is no such model, or audiomon cannot give it what it reads.
    """
    given = what_is_said(description, {}, features).data.get("input") or {}
    if not isinstance(given, Mapping):
        return {}  # refused with everything else
    kind = given.get("kind", "waveform" if "samples" in given else "log-mel")
    if not missing_features({**given, "kind": kind}):
        return {}
    check_existence(model, weights)
    shape = tensorflow.call(_input_shape, model, weights, output, _window(given))
    try:
        found = infer_input(BareTensor("input", (1, *shape), "float32", False), TensorNote(), given)
    except ModelError as error:
        raise ModelError(f"{model}: {error}") from None
    return {key: value for key, value in found.spec.items() if key not in given}


def _window(given: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return a window's shape as far as it is said."""
    samples, frames, bands = (given.get(key) for key in ("samples", "frames", "n_mels"))
    if isinstance(samples, int):
        return (samples,)
    if isinstance(frames, int) and isinstance(bands, int):
        return (bands, frames) if given.get("layout") == "bands-frames" else (frames, bands)
    return None


def _input_shape(
    progress: Progress, model: Path, weights: Path | None, output: str, window: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Return the shape of one window. Runs in TensorFlow's process."""
    progress("loading TensorFlow and the model")
    return read_keras(model, weights, output=output, window=window).input_shape
