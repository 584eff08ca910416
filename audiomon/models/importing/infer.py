"""What a model reads, inferred from its input tensor and its metadata: raw samples, or frames × mel bands."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audiomon.errors import ModelError
from audiomon.features import LogMelSpec
from audiomon.models.importing.bare import BareTensor
from audiomon.models.importing.describe import times
from audiomon.models.importing.metadata import TensorNote

# A flat input of fewer values may as well be features.
_SHORTEST_WAVEFORM = 4000
_RATES_HZ = range(1000, 192_001)
# What says that a spec is of features, where the user does not say its kind.
_FEATURE_KEYS = set(LogMelSpec.__struct_fields__) - {"sample_rate"}


@dataclass(slots=True)
class Input:
    """What is known of an input.

    Attributes:
        spec: keys and values of a manifest's ``input``.
        items: (key, value, origin) of each.
        missing: flags that would say what cannot be inferred, with their meaning.
    """

    spec: dict[str, Any]
    items: list[tuple[str, object, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def add(self, key: str, value: object, origin: str) -> None:
        """Take in what is not known yet."""
        if key not in self.spec:
            self.spec[key] = value
            self.items.append((key, value, origin))


def infer_input(tensor: BareTensor, note: TensorNote, given: Mapping[str, Any]) -> Input:
    """Put together what an input is.

    Args:
        tensor: of the model.
        note: what the metadata says of it.
        given: what the user says; wins.

    Raises:
        ModelError: it is something that audiomon cannot give, or the metadata says what cannot be.
    """
    found = Input(dict(given), [(key, value, "you") for key, value in given.items()])
    tensor = _fixed(tensor, given)
    axes = tensor.axes
    if note.channels > 1 or (len(axes) == 2 and min(axes) == 2):
        who = "says its metadata" if note.channels > 1 else f"its input is {times(tensor.shape)}"
        raise ModelError(f"reads sound of {max(2, note.channels)} channels ({who}); audiomon gives one")
    kind, origin = _kind(tensor, note, given)
    if not kind:
        found.missing.append(
            f"--feature kind=waveform or --feature kind=log-mel (whether its {axes[0]} values are samples or features)"
        )
        if "sample_rate" not in given:
            found.missing.append("--sample-rate")
        return found
    found.add("kind", kind, origin)
    if note.sample_rate and "sample_rate" not in given:
        if note.sample_rate not in _RATES_HZ:
            raise ModelError(
                f"has a sample rate of {note.sample_rate} Hz in its metadata, which cannot be; say the right one with "
                "--sample-rate"
            )
        found.add("sample_rate", note.sample_rate, "metadata")
    if kind == "waveform":
        _waveform(found, tensor, note)
    elif kind == "log-mel":
        _log_mel(found, tensor)
    return found


def _fixed(tensor: BareTensor, given: Mapping[str, Any]) -> BareTensor:
    """Give an input's dimension of any size the size that the user says."""
    axes = tensor.axes
    if axes and -1 not in axes:
        return tensor
    key = "samples" if len(axes) == 1 else "frames"
    size = given.get(key)
    if axes.count(-1) == 1 and isinstance(size, int) and size > 0:
        batch = tensor.shape[:1] if len(tensor.shape) > 1 and tensor.shape[0] == -1 else ()
        rest = (size if one == -1 else one for one in tensor.shape[len(batch) :])
        return dataclasses.replace(tensor, shape=(*batch, *rest))
    shape = times(tuple(None if one == -1 else one for one in tensor.shape))
    hint = f"fix it with --feature {key}=…, or " if axes.count(-1) == 1 else ""
    raise ModelError(f"reads windows of no fixed length ({shape}): {hint}convert it with a fixed input shape")


def _kind(tensor: BareTensor, note: TensorNote, given: Mapping[str, Any]) -> tuple[str, str]:
    axes = tensor.axes
    if "kind" in given:
        return str(given["kind"]), "you"
    if "samples" in given or note.sample_rate or note.channels:
        return "waveform", "you give samples" if "samples" in given else "metadata: audio"
    if _FEATURE_KEYS & given.keys():
        return "log-mel", "you give features"
    if tensor.dtype == "int16" and not tensor.quantised:
        return "waveform", "inferred: it reads plain 16-bit integers"
    if len(axes) == 1:
        long = axes[0] >= _SHORTEST_WAVEFORM
        return ("waveform", f"inferred: it reads {axes[0]} values in a row") if long else ("", "")
    if len(axes) == 2:
        return "log-mel", f"inferred: it reads {times(axes)} values"
    raise ModelError(f"reads windows of {times(tensor.shape)}; neither samples nor frames × mel bands look like that")


def _waveform(found: Input, tensor: BareTensor, note: TensorNote) -> None:
    if len(tensor.axes) != 1:
        raise ModelError(f"reads windows of {times(tensor.shape)}, which cannot be samples of one channel")
    found.add("samples", tensor.axes[0], "the shape of its input")
    if note.std and not any(note.mean) and len(set(note.std)) == 1 and note.std[0] > 0:
        if note.std[0] != 1:
            found.add("full_scale", 1 / note.std[0], "metadata: its normalisation")
    elif (note.std or note.mean) and "full_scale" not in found.spec:
        found.missing.append(
            f"--feature full_scale=… (its metadata subtracts {note.mean} and divides by {note.std}; audiomon can "
            "only scale samples)"
        )


def _log_mel(found: Input, tensor: BareTensor) -> None:
    spec, axes = found.spec, tensor.axes
    if len(axes) == 1:
        # One axis of a window that is a single frame or band, or the whole of it in a row.
        for key, other in (("n_mels", "frames"), ("frames", "n_mels")):
            size = spec.get(key)
            if isinstance(size, int) and size > 0 and axes[0] % size == 0:
                found.add(other, axes[0] // size, f"inferred: {axes[0]} values / {size}")
        return
    turned = spec.get("layout") == "bands-frames" or (
        spec.get("layout") is None
        and axes[0] != axes[1]
        and (spec.get("frames") == axes[1] or spec.get("n_mels") == axes[0])
    )
    frames, bands = reversed(axes) if turned else axes
    said = "layout" in spec or "frames" in spec or "n_mels" in spec
    shape = "the shape of its input"
    origin = shape if said else f"{shape}; inferred: time comes first (if not, --feature layout=bands-frames)"
    found.add("frames", frames, origin)
    found.add("n_mels", bands, origin)
    found.add("layout", "bands-frames" if turned else "frames-bands", origin)
