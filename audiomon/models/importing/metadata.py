"""The metadata that TFLite's own tools embed in a model: what its tensors mean, and files such as the labels.

Two parts: a flatbuffer, of which the fields used here are read by the places that the published schema gives them (no
maintained package has it), and a zip archive after the model's last byte. Their makers may have been wrong, so
nothing here is believed: it is returned, to be compared with the model.
"""

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import Literal

from flatbuffers import number_types
from flatbuffers.table import Table

from audiomon.errors import ModelError
from audiomon.models.importing.tflite_file import damage_refused

IDENTIFIER = b"M001"
# Members of the schema's unions and enumerations.
_AUDIO_PROPERTIES = 4
_NORMALIZATION, _SCORE_CALIBRATION, _SCORE_THRESHOLDING = 1, 2, 3
_AXIS_LABELS, _AXIS_SCORE_CALIBRATION = 2, 4
_TRANSFORMS: tuple[Literal["identity", "log", "inverse-logistic"], ...] = ("identity", "log", "inverse-logistic")

_MAX_ITEMS = 10_000
_MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TensorNote:
    """What the metadata says of an input or output.

    Attributes:
        name: the author's; need not be the tensor's own.
        sample_rate: in Hz, of an input of audio; 0 where nothing is said.
        channels: of an input of audio; 0 where nothing is said.
        mean: subtracted from an input, empty for nothing.
        std: an input is divided by, empty for nothing.
        label_file: name of the embedded file that has the labels of an output; empty for none.
        calibration_file: name of the embedded file that has the calibration of an output's scores; empty for none.
        transform: of scores before they are calibrated.
        default_score: of a label that has no calibration.
        threshold: below which scores are not to be trusted; None where nothing is said.
    """

    name: str = ""
    sample_rate: int = 0
    channels: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    label_file: str = ""
    calibration_file: str = ""
    transform: Literal["identity", "log", "inverse-logistic"] = "identity"
    default_score: float = 0.0
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """What the metadata says of the model.

    Attributes:
        name: of the model.
        description: of the model.
        author: of the model.
        license: of the model.
        inputs: in the model's order.
        outputs: in the model's order.
    """

    name: str = ""
    description: str = ""
    author: str = ""
    license: str = ""
    inputs: tuple[TensorNote, ...] = ()
    outputs: tuple[TensorNote, ...] = ()


def read_embedded(metadata: bytes) -> Embedded:
    """Read the flatbuffer.

    Raises:
        ModelError: it is damaged, or something else.
    """
    if metadata[4:8] != IDENTIFIER:
        raise ModelError(f"its metadata is damaged (the identifier {IDENTIFIER.decode()} is missing)")
    with damage_refused("its metadata"):
        root = _Fields(metadata, Table(metadata, struct.unpack_from("<I", metadata)[0]))
        graph = next(iter(root.tables(3)), None)
        return Embedded(
            root.text(0),
            root.text(1),
            root.text(4),
            root.text(5),
            tuple(_note(tensor) for tensor in graph.tables(2)) if graph else (),
            tuple(_note(tensor) for tensor in graph.tables(3)) if graph else (),
        )


def embedded_file(content: bytes, name: str) -> bytes:
    """Read one of the files that are packed behind a model.

    Raises:
        ModelError: it is not there, is too large, or the archive is damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(name) as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except KeyError:
        raise ModelError(f"its metadata names a file {name!r} that is not packed in it") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, struct.error) as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise ModelError(f"the archive behind it, with {name!r}, is damaged or cut off: {reason}") from None
    if len(data) > _MAX_FILE_BYTES:
        raise ModelError(f"the file {name!r} that is packed in it is larger than {_MAX_FILE_BYTES >> 20} MiB")
    return data


def _note(tensor: "_Fields") -> TensorNote:
    content, audio = tensor.table(3), None
    if content is not None and content.number(0) == _AUDIO_PROPERTIES:
        audio = content.table(1)
    units = {unit.number(0): unit.table(1) for unit in tensor.tables(4)}
    normalization, calibration = units.get(_NORMALIZATION), units.get(_SCORE_CALIBRATION)
    thresholding = units.get(_SCORE_THRESHOLDING)
    files = [(file.number(2), file.text(0)) for file in tensor.tables(6)]
    return TensorNote(
        tensor.text(0),
        audio.number(0, number_types.Uint32Flags) if audio else 0,
        audio.number(1, number_types.Uint32Flags) if audio else 0,
        normalization.floats(0) if normalization else (),
        normalization.floats(1) if normalization else (),
        # Of several, for several languages, the first is the default.
        next((name for kind, name in files if kind == _AXIS_LABELS), ""),
        next((name for kind, name in files if kind == _AXIS_SCORE_CALIBRATION), ""),
        _TRANSFORMS[calibration.number(0)] if calibration else "identity",
        calibration.real(1) if calibration else 0.0,
        thresholding.real(0) if thresholding else None,
    )


class _Fields:
    """One table of the flatbuffer, its fields by their numbers in the schema."""

    def __init__(self, buffer: bytes, table: Table) -> None:
        self._buffer = buffer
        self._table = table

    def number(self, field: int, flags: type = number_types.Uint8Flags) -> int:
        return int(self._table.GetSlot(4 + 2 * field, 0, flags))

    def real(self, field: int) -> float:
        return float(self._table.GetSlot(4 + 2 * field, 0.0, number_types.Float32Flags))

    def text(self, field: int) -> str:
        offset = self._table.Offset(4 + 2 * field)
        return self._table.String(offset + self._table.Pos).decode(errors="replace") if offset else ""

    def table(self, field: int) -> "_Fields | None":
        offset = self._table.Offset(4 + 2 * field)
        if not offset:
            return None
        return _Fields(self._buffer, Table(self._buffer, self._table.Indirect(offset + self._table.Pos)))

    def tables(self, field: int) -> list["_Fields"]:
        start, count = self._vector(field)
        places = range(start, start + 4 * count, 4)
        return [_Fields(self._buffer, Table(self._buffer, self._table.Indirect(place))) for place in places]

    def floats(self, field: int) -> tuple[float, ...]:
        start, count = self._vector(field)
        return struct.unpack_from(f"<{count}f", self._buffer, start)

    def _vector(self, field: int) -> tuple[int, int]:
        offset = self._table.Offset(4 + 2 * field)
        if not offset:
            return 0, 0
        count = self._table.VectorLen(offset)
        if count > _MAX_ITEMS:
            raise ValueError(count)
        return self._table.Vector(offset), count
