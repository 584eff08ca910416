"""Writes the metadata that TFLite's own tools embed, true or false, into ``metadata_room.tflite``.

By the published schema: each table's fields in its order, None where a field is left out.
"""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import flatbuffers
import numpy as np

from tests.models.tiny import METADATA_ROOM, content

AUDIO, NORMALIZATION, CALIBRATION, THRESHOLDING = 4, 1, 2, 3
LABELS, SCORE_CALIBRATION = 2, 4


class Table:
    """A table of a flatbuffer: strings, tables, lists of tables or floats, arrays, (kind of number, number)."""

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def write(self, builder: flatbuffers.Builder) -> int:
        offsets = [self._written(builder, field) for field in self._fields]
        builder.StartObject(len(self._fields))
        for slot, (field, offset) in enumerate(zip(self._fields, offsets, strict=True)):
            if offset is not None:
                builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
            elif field is not None:
                kind, number = field
                getattr(builder, f"Prepend{kind}Slot")(slot, number, 0)
        return builder.EndObject()

    def _written(self, builder: flatbuffers.Builder, field: Any) -> int | None:
        if isinstance(field, str):
            return builder.CreateString(field)
        if isinstance(field, Table):
            return field.write(builder)
        if isinstance(field, np.ndarray):
            return builder.CreateNumpyVector(field)
        if isinstance(field, list) and field and isinstance(field[0], Table):
            items = [item.write(builder) for item in field]
            builder.StartVector(4, len(items), 4)
            for item in reversed(items):
                builder.PrependUOffsetTRelative(item)
            return builder.EndVector()
        if isinstance(field, list):
            builder.StartVector(4, len(field), 4)
            for number in reversed(field):
                builder.PrependFloat32(number)
            return builder.EndVector()
        return None


def tensor(
    name: str,
    *,
    rate: int | None = None,
    channels: int = 1,
    units: list[Table] | None = None,
    files: Mapping[str, int] | None = None,
) -> Table:
    audio = None
    if rate is not None:
        audio = Table(("Uint8", AUDIO), Table(("Uint32", rate), ("Uint32", channels)))
    associated = [Table(file, None, ("Int8", kind)) for file, kind in (files or {}).items()]
    return Table(name, None, None, audio, units or None, None, associated or None)


def unit(kind: int, *fields: Any) -> Table:
    return Table(("Uint8", kind), Table(*fields))


def model_metadata(*, inputs: list[Table], outputs: list[Table], license: str = "Apache 2.0") -> bytes:  # noqa: A002
    root = Table("tiny", "Never trained.", None, [Table(None, None, inputs, outputs)], "Nobody", license)
    builder = flatbuffers.Builder(1024)
    builder.Finish(root.write(builder), b"M001")
    return bytes(builder.Output())


def with_metadata(metadata: bytes, files: Mapping[str, bytes] | None = None) -> bytes:
    """The waveform model with this metadata, and with files packed behind it."""
    assert len(metadata) <= len(METADATA_ROOM)
    model = content("metadata_room")
    assert model.count(METADATA_ROOM) == 1
    model = model.replace(METADATA_ROOM, metadata.ljust(len(METADATA_ROOM), b"\0"))
    if not files:
        return model
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return model + packed.getvalue()


def described_model(
    labels: bytes = b"background\nbaby_cry\ndog_bark\nspeech\n",
    *,
    rate: int = 16_000,
    channels: int = 1,
    units: list[Table] | None = None,
    input_units: list[Table] | None = None,
    files: Mapping[str, bytes] | None = None,
    kinds: Mapping[str, int] | None = None,
) -> bytes:
    """The waveform model as TFLite's tools would describe it; every part may be made to lie."""
    return with_metadata(
        model_metadata(
            inputs=[tensor("audio_clip", rate=rate, channels=channels, units=input_units)],
            outputs=[tensor("probability", units=units, files={"labels.txt": LABELS, **(kinds or {})})],
        ),
        {"labels.txt": labels, **(files or {})},
    )
