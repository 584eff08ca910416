"""What a model file does not say about itself: labels, sample rate, features. Asked for, checked, and never guessed.

It comes from a small YAML file, from options, or from both (options win), and is the part of a manifest that people
know:

    labels: [baby_cry, dog_bark, rain, speech]
    input: {sample_rate: 22050, n_fft: 2048, hop_length: 512, n_mels: 40, frames: 43}
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta

from audiomon.config import Decisions, Document, read_document, validate
from audiomon.errors import ConfigError, UserError
from audiomon.features import InputSpec
from audiomon.models.classifier import fitting_layout, misfit
from audiomon.models.manifest import Label, OutputSpec, check_labels

_MUST_BE_SAID: dict[str, tuple[str, ...]] = {kind.title: kind.must_be_said for kind in get_args(InputSpec)}
_FEATURES = {"kind", *(field for kind in get_args(InputSpec) for field in kind.__struct_fields__)}

# What scores are, by the operator that makes them.
ACTIVATIONS = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}
# Where values come from that no file has.
_OPTIONS = Path("options")


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The YAML file given with ``--describe``; keys as in a manifest."""

    labels: Annotated[tuple[Label, ...], Meta(min_length=1, max_length=10_000, description="In the output's order.")]
    input: Annotated[InputSpec, Meta(description="What the model reads.")]
    output: OutputSpec | None = None
    description: str = ""
    license: Annotated[str, Meta(min_length=1)] = "not stated"
    decisions: Decisions = Decisions()

    def __post_init__(self) -> None:
        """Refuse what a manifest would refuse, before anything is converted.

        Raises:
            FieldError: as `check_labels`.
        """
        check_labels(self.labels, self.decisions)


@dataclass(frozen=True, slots=True)
class Described:
    """A description, and what of it is assumed.

    Attributes:
        description: complete.
        presumed: feature options that were not given, with the value that they have by default.
    """

    description: Description
    presumed: dict[str, Any]


def describe(path: Path | None, options: Mapping[str, Any], features: tuple[str, ...]) -> Described:
    """Put a description together.

    Args:
        path: of the YAML file, or None.
        options: ``labels`` and so on, laid over it; those that are None count for nothing.
        features: ``n_fft=2048`` and so on, laid over its ``input``.

    Raises:
        ConfigError: the YAML or an option has a value that cannot be.
        UserError: something is missing; the message names all of it.
    """
    said = what_is_said(path, options, features)
    spec = said.data.get("input")
    if not spec:
        said.data["input"] = spec = {}
    if isinstance(spec, dict):
        spec.setdefault("kind", "waveform" if "samples" in spec else "log-mel")
    missing = [*([] if "labels" in said.data else ["--labels"]), *missing_features(spec)]
    if missing and not _has_unknown_keys(said.data):  # a misspelt key is not missing: its line is what to show
        raise UserError(
            f"a model file does not say what it listens to; please give {', '.join(missing)}, or a YAML file with "
            f"--describe (see audiomon convert --help)"
        )
    return described(said)


def _has_unknown_keys(data: dict[str, Any]) -> bool:
    spec = data["input"] if isinstance(data["input"], dict) else {}
    return not (data.keys() <= set(Description.__struct_fields__) and spec.keys() <= _FEATURES)


def what_is_said(path: Path | None, options: Mapping[str, Any], features: tuple[str, ...]) -> Document:
    """Lay options over a YAML file, as `describe` does; nothing is checked yet, and all of it may be missing.

    Raises:
        ConfigError: the YAML file is no such file.
        UserError: a feature is not ``KEY=VALUE`` with a key that there is.
    """
    document = read_document(path) if path else Document(_OPTIONS, {}, {})
    if not isinstance(document.data, dict | None):
        raise document.error((), "must be a list of `key: value` lines")
    data = {**(document.data or {}), **{key: value for key, value in options.items() if value is not None}}
    spec = data.get("input") or {}
    if isinstance(spec, dict):
        data["input"] = {**spec, **dict(feature_option(feature) for feature in features)}
    return Document(document.path, data, document.lines)


def missing_features(spec: Any) -> list[str]:
    """Return the flags that would say what an ``input`` still lacks."""
    if not isinstance(spec, dict):
        return []
    return [
        "--sample-rate" if key == "sample_rate" else f"--feature {key}=…"
        for key in _MUST_BE_SAID.get(str(spec.get("kind")), ())
        if key not in spec
    ]


def described(said: Document) -> Described:
    """Check all that is said, nothing of which is missing.

    Raises:
        ConfigError: the YAML has a value that cannot be.
        UserError: an option has.
    """
    try:
        description = validate(said, Description)
    except ConfigError as error:
        if said.path is _OPTIONS:
            raise UserError(error.reason, key=error.key) from None
        raise
    spec = said.data["input"]
    given = set(spec)
    presumed = {
        field: getattr(description.input, field)
        for field in type(description.input).__struct_fields__
        if field in description.input.assumable and field not in given
    }
    return Described(description, presumed)


def check_shapes(description: Description, input_shape: tuple[int, ...], scores: int) -> None:
    """Compare a description with the model's tensors.

    Args:
        description: of the model.
        input_shape: of the model, without the batch dimension.
        scores: that the model gives.

    Raises:
        UserError: they disagree; the message says about what.
    """
    spec = description.input
    if misfit(spec, input_shape):
        hint = ""
        if layout := fitting_layout(spec, input_shape):
            hint = f"; the axes are the other way round in this model: layout={layout}"
        raise UserError(
            f"the model reads windows of {times(input_shape)}, the description says {spec.axes} = "
            f"{times(spec.shape)}{hint}"
        )
    if scores != len(description.labels):
        raise UserError(
            f"the model gives {scores} scores, but there are {len(description.labels)} labels: "
            f"{', '.join(description.labels[:12])}"
        )


def activation(description: Description, last_operators: list[str]) -> OutputSpec:
    """Say what the scores are, from the operators that the model ends with.

    Args:
        description: may say it too, and must where the operators do not.
        last_operators: kinds of all the model's operators, in order.

    Raises:
        UserError: neither says, or the two disagree.
    """
    kinds = [kind for kind in last_operators if kind not in ("QUANTIZE", "DEQUANTIZE", "RESHAPE")]
    last = kinds[-1] if kinds else ""
    found = ACTIVATIONS.get(last)
    said = description.output.activation if description.output else None
    if said is None and found is None:
        raise UserError(
            f"the model ends with {last or 'nothing'}, which does not say what its scores are: --activation logits if "
            f"softmax is still due, sigmoid-logits if a sigmoid is, else softmax or sigmoid"
        )
    if said is not None and found is not None and said != found:
        raise UserError(f"the model ends with {last}, so its scores are {found}, not {said}")
    return OutputSpec(activation=found or said)  # type: ignore[arg-type]


def times(shape: tuple[int | None, ...]) -> str:
    """Write a shape as ``43×40×1``."""
    return "×".join("?" if size is None else str(size) for size in shape)


def feature_option(text: str) -> tuple[str, Any]:
    """Read a ``--feature`` option.

    Raises:
        UserError: it is not ``KEY=VALUE``, or there is no such key.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--feature {text}: must be KEY=VALUE, as in n_fft=2048")
    if key not in _FEATURES:
        raise UserError(f"--feature {text}: there is no such option; there are {', '.join(sorted(_FEATURES))}")
    words = {"true": True, "false": False, "null": None}
    if value in words:
        return key, words[value]
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return key, number(value)
    return key, value
