"""What a bare .tflite file says of itself, as far as a manifest depends on it. Reads; never runs the model."""

from dataclasses import dataclass

from audiomon.models.importing.tflite_file import TfliteFile, TfliteTensor, read_tflite

# Operators that change how scores are stored, but not what they are.
_REPACKING = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST")
# Custom operators that TFLite's runtimes bring along all the same.
_KNOWN_CUSTOM = ("Mfcc", "AudioSpectrogram", "TFLite_Detection_PostProcess", "NumericVerify")


@dataclass(frozen=True, slots=True)
class BareTensor:
    """An input or output.

    Attributes:
        name: as the file has it.
        shape: with the batch dimension; -1 where a size is not fixed.
        dtype: ``float32``, ``int8`` …
        quantised: whether its integers stand for real numbers.
        made_by: the operator that makes its values, those left out that only store them in another way; empty for an
            input.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantised: bool
    made_by: str = ""

    @property
    def axes(self) -> tuple[int, ...]:
        """Its shape without a batch of any size and without sizes of 1."""
        shape = self.shape[1:] if len(self.shape) > 1 and self.shape[0] == -1 else self.shape
        return tuple(size for size in shape if size != 1)


@dataclass(frozen=True, slots=True)
class BareModel:
    """A .tflite file.

    Attributes:
        inputs: in the file's order.
        outputs: in the file's order.
        foreign: operators that no TFLite runtime brings along, as ``FlexErf``.
        integers: whether it calculates with 8-bit integers somewhere.
        metadata: what TFLite's tools embedded, a flatbuffer of its own; None if they did not.
    """

    inputs: tuple[BareTensor, ...]
    outputs: tuple[BareTensor, ...]
    foreign: tuple[str, ...]
    integers: bool
    metadata: bytes | None


def read_bare(content: bytes) -> BareModel:
    """Take a .tflite file apart.

    Raises:
        ModelError: it is none, or it is damaged.
    """
    file = read_tflite(content)
    makers = _makers(file)
    return BareModel(
        tuple(_tensor(file.tensors[number], "") for number in file.inputs),
        tuple(_tensor(file.tensors[number], makers.get(number, "")) for number in file.outputs),
        tuple(name for name in file.custom if name not in _KNOWN_CUSTOM),
        any(tensor.dtype in ("int8", "uint8") for tensor in file.tensors),
        file.metadata,
    )


def _makers(file: TfliteFile) -> dict[int, str]:
    """Return, by tensor, the kind of the operator that makes its values."""
    makers: dict[int, str] = {}
    for operator in file.operators:
        kind = operator.kind
        if kind in _REPACKING and operator.inputs:
            kind = makers.get(operator.inputs[0], kind)
        makers.update((output, kind) for output in operator.outputs)
    return makers


def _tensor(tensor: TfliteTensor, made_by: str) -> BareTensor:
    return BareTensor(tensor.name, tensor.signature, tensor.dtype, tensor.quantised, made_by)
