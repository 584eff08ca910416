"""From a bare .tflite file to a model package: what the file says, what follows from that, what only people know.

Nothing is guessed silently: whatever goes into the manifest is returned with where it comes from, and what is missing
is refused with the flags that would say it. Nothing runs the model; writing the package does, in a process of its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiomon.config import Document
from audiomon.errors import ModelError, UserError
from audiomon.models.importing.bare import BareModel, BareTensor, read_bare
from audiomon.models.importing.describe import (
    ACTIVATIONS,
    Description,
    described,
    missing_features,
    times,
    what_is_said,
)
from audiomon.models.importing.infer import Input, infer_input
from audiomon.models.importing.labels import read_calibration, read_labels, said_labels
from audiomon.models.importing.metadata import Embedded, TensorNote, embedded_file, read_embedded
from audiomon.models.manifest import Calibration, Manifest, OutputSpec

_SELF_TEST_TOLERANCE = 0.001
# A quantised model turns the last bit of a sum into a step, and every layer passes it on: YAMNet's scores of white
# noise differ by 0.09 between LiteRT and tflite-runtime on one machine.
_SELF_TEST_TOLERANCE_INTEGERS = 0.2
_LABELS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user says about a file.

    Attributes:
        name: of the package; empty for one made of the file's.
        labels: a file of labels, or the labels themselves separated by commas; empty if nothing is said.
        sample_rate: in Hz.
        features: ``n_fft=2048`` and so on.
        activation: what the scores are.
        output: which output has them, by name or number; empty if nothing is said.
        license: of the weights.
        description: a YAML file that says the same things, or None.
        calibrated: whether scores are to be calibrated as the metadata says.
        source: where the file is from, if that is an address.
    """

    name: str = ""
    labels: str = ""
    sample_rate: int | None = None
    features: tuple[str, ...] = ()
    activation: str | None = None
    output: str = ""
    license: str | None = None
    description: Path | None = None
    calibrated: bool = True
    source: str = ""


@dataclass(frozen=True, slots=True)
class ManifestItem:
    """Something that goes into the manifest.

    Attributes:
        key: what.
        value: in words.
        origin: who says so: the metadata, an option, or what it was inferred from.
    """

    key: str
    value: str
    origin: str


class IncompleteError(UserError):
    """Something is missing that only people know.

    Attributes:
        items: what is not missing.
    """

    def __init__(self, text: str, items: list[ManifestItem]) -> None:
        super().__init__(text)
        self.items = items


@dataclass(frozen=True, slots=True)
class Addition:
    """What is to be written.

    Attributes:
        manifest: its checksum and self-test are still to be filled in.
        items: all that it says, and why.
        tolerance: that its self-test is to have.
    """

    manifest: Manifest
    items: list[ManifestItem]
    tolerance: float


@dataclass(slots=True)
class _Knowledge:
    """What is known so far, and what is not."""

    data: dict[str, Any]
    items: list[ManifestItem] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def note(self, key: str, value: object, origin: str) -> None:
        self.items.append(ManifestItem(key, str(value), origin))


def examine(path: Path, content: bytes, asked: Asked) -> Addition:
    """Find out everything that a manifest needs.

    Args:
        path: of the .tflite file, for messages and a name.
        content: of it.
        asked: what the user says; wins over what the file says.

    Raises:
        IncompleteError: something is missing.
        ModelError: the file is damaged, contradicts itself, or is a model that audiomon cannot run.
        UserError: what the user says cannot be.
    """
    try:
        model = read_bare(content)
        _check_runnable(model)
        embedded = Embedded() if model.metadata is None else read_embedded(model.metadata)
        options = {"license": asked.license, "output": {"activation": asked.activation} if asked.activation else None}
        said = what_is_said(asked.description, options, asked.features)
        known = _Knowledge(dict(said.data))
        _name_and_licence(known, path, asked, embedded)
        _input(known, model, embedded, asked)
        number = _output(known, model, embedded, asked)
        if number is not None:
            note = _note(embedded.outputs, number)
            _labels(known, model.outputs[number], note, content, asked)
            _scores(known, model.outputs[number], note, content, asked)
    except ModelError as error:
        raise ModelError(f"{error}", path=path) from None
    if known.missing:
        raise IncompleteError(f"{path}: still to be said: {'; '.join(known.missing)}", known.items)
    return _addition(asked.source or path.name, model, embedded, known, said)


def default_name(path: Path) -> str:
    """Make a package's name of a file's."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("._-")[:100] or "model"


def _check_runnable(model: BareModel) -> None:
    if model.foreign:
        kind = "TensorFlow's own (Flex)" if all(name.startswith("Flex") for name in model.foreign) else "custom"
        raise ModelError(
            f"needs {kind} operators that no TFLite runtime here has: {', '.join(model.foreign[:8])}; "
            f"convert it with TFLite's built-in operators alone"
        )
    if len(model.inputs) != 1 or not model.outputs:
        names = ", ".join(tensor.name for tensor in model.inputs)
        raise ModelError(f"has {len(model.inputs)} inputs ({names}); audiomon feeds one, with sound")
    if model.inputs[0].dtype not in ("float32", "int8", "uint8", "int16"):
        raise ModelError(f"reads {model.inputs[0].dtype}, which is neither sound nor features of it")


def _name_and_licence(known: _Knowledge, path: Path, asked: Asked, embedded: Embedded) -> None:
    known.note("name", asked.name or default_name(path), "you" if asked.name else "the file's name")
    if known.data.get("description"):
        known.note("description", known.data["description"], "you")
    else:
        words = " ".join((embedded.description or embedded.name).split())
        known.data["description"] = words or f"Added from {path.name}"
        known.note("description", known.data["description"], "metadata" if words else "the file's name")
    if known.data.get("license"):
        known.note("license", known.data["license"], "you")
    elif embedded.license:
        known.data["license"] = " ".join(embedded.license.split())
        known.note("license", known.data["license"], "metadata")
    else:
        known.note("license", "not stated", "not in the file; --license says it")


def _input(known: _Knowledge, model: BareModel, embedded: Embedded, asked: Asked) -> None:
    tensor, note = model.inputs[0], _note(embedded.inputs, 0)
    given = known.data.get("input") or {}
    if not isinstance(given, Mapping):
        return  # checked, and refused, with everything else
    if asked.sample_rate is not None:
        given = {**given, "sample_rate": asked.sample_rate}
    found: Input = infer_input(tensor, note, given)
    known.data["input"] = found.spec
    known.items += [ManifestItem(f"input.{key}", str(value), origin) for key, value, origin in found.items]
    known.missing += found.missing or [f"{flag} ({_MEANINGS.get(flag, '')})" for flag in missing_features(found.spec)]


_MEANINGS = {
    "--sample-rate": "of the sound that it was trained on, in Hz",
    "--feature n_fft=…": "samples in a Fourier transform",
    "--feature hop_length=…": "samples from one frame to the next",
    "--feature n_mels=…": "mel bands",
    "--feature frames=…": "frames in a window",
}


def _output(known: _Knowledge, model: BareModel, embedded: Embedded, asked: Asked) -> int | None:
    """Return the number of the output that has the scores."""
    said = known.data.get("output")
    wanted = asked.output or (said.get("tensor") if isinstance(said, dict) else None)
    names = [(tensor.name, _note(embedded.outputs, number).name) for number, tensor in enumerate(model.outputs)]
    shown = ", ".join(
        f"{number}: {label or name} ({times(model.outputs[number].shape)})"
        for number, (name, label) in enumerate(names)
    )
    if wanted not in (None, ""):
        for number, (name, label) in enumerate(names):
            if str(wanted) in (str(number), name, label):
                known.note("output.tensor", label or name, "you")
                return number
        raise ModelError(f"has no output {wanted!r}; it has {shown}")
    if len(model.outputs) == 1:
        return 0
    labelled = [number for number in range(len(names)) if _note(embedded.outputs, number).label_file]
    if len(labelled) == 1:
        known.note("output.tensor", names[labelled[0]][1] or names[labelled[0]][0], "metadata: the one with labels")
        return labelled[0]
    known.missing.append(f"--output (which one has the scores; there are {shown})")
    return None


def _labels(known: _Knowledge, output: BareTensor, note: TensorNote, content: bytes, asked: Asked) -> None:
    scores = output.axes[0] if len(output.axes) == 1 else 1 if not output.axes else 0
    if scores <= 0:
        raise ModelError(f"gives scores of the shape {times(output.shape)}; audiomon reads one for each label")
    flag = "give the right ones with --labels FILE, one a line"
    if asked.labels:
        labels, origin = said_labels(asked.labels)
    elif known.data.get("labels") is not None:
        labels, origin = known.data["labels"], "you"
    elif note.label_file:
        where = f"its label file {note.label_file}"
        try:
            labels, remark = read_labels(embedded_file(content, note.label_file), where)
        except ModelError as error:
            raise ModelError(f"{error}; {flag}") from None
        origin = f"metadata, {note.label_file}" + (f", {remark}" if remark else "")
    else:
        known.missing.append(f"--labels FILE ({scores} labels, one a line, in the order of the scores)")
        return
    if isinstance(labels, tuple | list) and len(labels) != scores:
        who = f"its label file {note.label_file}" if origin.startswith("metadata") else origin
        raise ModelError(f"gives {scores} scores, but {who} has {len(labels)} labels; {flag}")
    known.data["labels"] = labels
    some = "; ".join(map(str, labels[:_LABELS_SHOWN])) + ("; …" if scores > _LABELS_SHOWN else "")
    known.note("labels", f"{scores}: {some}", origin)


def _scores(known: _Knowledge, output: BareTensor, note: TensorNote, content: bytes, asked: Asked) -> None:
    said = known.data.get("output")
    said = dict(said) if isinstance(said, dict) else {}
    found = ACTIVATIONS.get(output.made_by)
    activation = said.get("activation")
    if activation is None and found is None:
        known.missing.append(
            f"--activation (the scores come from {output.made_by or 'the input itself'}: logits if softmax is still "
            "due, sigmoid-logits if a sigmoid is, else softmax or sigmoid)"
        )
    elif activation is not None and found not in (None, activation):
        raise ModelError(f"gives scores that come from {output.made_by}, so they are {found}, not {activation}")
    else:
        origin = "you" if activation else f"inferred: the scores come from {output.made_by}"
        known.note("output.activation", activation or found, origin)
        said["activation"] = activation or found
    if any(item.key == "output.tensor" for item in known.items):
        said["tensor"] = output.name
    if note.calibration_file and asked.calibrated:
        _calibration(known, note, content)
    if note.threshold is not None and 0 < note.threshold < 1 and "decisions" not in known.data:
        off = round(min(0.4, 0.7 * note.threshold), 4)
        known.data["decisions"] = {"on": round(note.threshold, 4), "off": off}
        known.note("decisions.on", f"{note.threshold:.4g}", "metadata: its recommended threshold")
        known.note("decisions.off", f"{off:g}", "inferred: a little below that")
    known.data["output"] = said


def _calibration(known: _Knowledge, note: TensorNote, content: bytes) -> None:
    try:
        parameters = read_calibration(
            embedded_file(content, note.calibration_file), f"its calibration file {note.calibration_file}"
        )
        labels = known.data.get("labels", parameters)
        if len(parameters) != len(labels):
            raise ModelError(
                f"its calibration file {note.calibration_file} has {len(parameters)} lines for {len(labels)} labels"
            )
    except ModelError as error:
        raise ModelError(f"{error}; --no-calibration does without") from None
    known.data["calibration"] = Calibration(parameters, note.transform, note.default_score)
    known.note("output.calibration", f"of {sum(map(bool, parameters))} labels", f"metadata, {note.calibration_file}")


def _note(notes: tuple[TensorNote, ...], number: int) -> TensorNote:
    return notes[number] if number < len(notes) else TensorNote()


def _addition(source: str, model: BareModel, embedded: Embedded, known: _Knowledge, said: Document) -> Addition:
    calibration = known.data.pop("calibration", None)
    found = described(Document(said.path, known.data, said.lines))
    description: Description = found.description
    if found.presumed:
        options = ", ".join(f"{key}={'null' if value is None else value}" for key, value in found.presumed.items())
        known.note("input (the rest)", options, "librosa's defaults; --feature KEY=VALUE says otherwise")
    output = description.output or OutputSpec()
    origins = {item.key: f"{item.value} ({item.origin})" for item in known.items}
    manifest = Manifest(
        format=1,
        name=next(item.value for item in known.items if item.key == "name"),
        description=description.description,
        sha256="0" * 64,
        labels=description.labels,
        input=description.input,
        self_test=(),
        license=description.license,
        output=OutputSpec(output.activation, output.tensor, calibration),
        decisions=description.decisions,
        training={
            "added_from": source,
            **({"author": embedded.author} if embedded.author else {}),
            "said_by": {key: text for key, text in origins.items() if key not in ("name", "description", "labels")},
        },
    )
    tolerance = _SELF_TEST_TOLERANCE_INTEGERS if model.integers else _SELF_TEST_TOLERANCE
    return Addition(manifest, known.items, tolerance)
