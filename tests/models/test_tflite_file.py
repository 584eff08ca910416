"""What is read of a .tflite file, of files made by hand and by the converter; and what is refused."""

import pytest

from audiomon.errors import ModelError
from audiomon.models.importing import tflite_file
from audiomon.models.importing.tflite_file import TfliteOperator, read_tflite
from tests.models.hostile import File
from tests.models.tiny import content

DAMAGED = "is damaged: what it says of its own contents does not fit its size"


def test_tensors_and_operators_are_those_that_the_file_was_made_of():
    made = File()
    graph = made.graph()
    window = graph.input((1, 3), name="window")
    factors = graph.constant([[1.0, 2.0, 3.0]])
    graph.outputs.append(graph.operator("MUL", [window, factors], (1, 3), ("Int8", 1), name="scores"))
    file = read_tflite(made.content())
    assert (file.graphs, file.inputs, file.outputs, file.custom, file.metadata) == (1, (0,), (2,), (), None)
    assert [(one.name, one.shape, one.dtype, one.constant, one.quantised) for one in file.tensors] == [
        ("window", (1, 3), "float32", False, False),
        ("t1", (1, 3), "float32", True, False),
        ("scores", (1, 3), "float32", False, False),
    ]
    assert file.operators == (TfliteOperator("MUL", (0, 1), (2,), "RELU"),)


def test_a_tensor_of_integers_says_what_they_stand_for():
    file = read_tflite(content("int8"))
    scores = file.tensors[file.outputs[0]]
    assert (scores.dtype, scores.quantised, scores.scale, scores.zero_point) == ("int8", True, 1 / 256, -128)
    kernels = file.tensors[next(one for one in file.operators if one.kind == "CONV_2D").inputs[1]]
    assert (kernels.constant, kernels.quantised, kernels.scale) == (True, True, 0)  # each channel has its own


def test_a_size_that_is_not_fixed_is_in_the_signature_alone():
    file = read_tflite(content("dynamic_batch"))
    window = file.tensors[file.inputs[0]]
    assert (window.shape[0], window.signature[0]) == (1, -1)
    assert window.shape[1:] == window.signature[1:]


def test_an_operator_that_is_not_of_tflite_is_known_by_its_own_name():
    file = read_tflite(content("custom"))
    assert file.custom == ("MatrixDeterminant",)
    assert "CUSTOM" in [one.kind for one in file.operators]


def test_a_tensor_that_there_is_not_is_damage():
    made = File()
    graph = made.graph()
    graph.outputs.append(graph.operator("ABS", [graph.input((1, 3)), 7], (1, 3)))
    with pytest.raises(ModelError, match=DAMAGED):
        read_tflite(made.content())


def test_a_file_of_more_than_any_model_has_is_damage(monkeypatch):
    monkeypatch.setattr(tflite_file, "_MAX_ITEMS", 200)
    with pytest.raises(ModelError, match=DAMAGED):
        read_tflite(content("float32"))
