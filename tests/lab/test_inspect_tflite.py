"""What is said of a converted model, by a model whose layers and sizes are known."""

from audiomon.lab.inspect_tflite import contents
from tests.models.hostile import File


def test_operators_and_bytes_are_counted_without_tensorflow():
    made = File()
    graph = made.graph()
    window = graph.input((1, 3), name="window")
    scaled = graph.operator("MUL", [window, graph.constant([[1.0, 2.0, 3.0]])], (1, 3), ("Int8", 1), name="a/scale/mul")
    whole = graph.operator("CAST", [scaled], (1, 3), dtype="int32", name="Identity")
    graph.outputs.append(graph.operator("EQUAL", [whole, whole], (1, 3), dtype="bool", name="Identity"))
    found = contents(made.content(), {"first": "scale", "none": "absent"})
    assert [(one.kind, one.activation, one.shape, one.dtype) for one in found.operators] == [
        ("MUL", "RELU", (1, 3), "float32"),
        ("CAST", "NONE", (1, 3), "int32"),
        ("EQUAL", "NONE", (1, 3), "bool"),
    ]
    # The converter keeps no names at the end: it is the last layer that was found.
    assert [one.layers for one in found.operators] == [("first",)] * 3
    assert (found.weight_bytes, found.activation_bytes) == (3 * 4, 3 * (4 + 4 + 4 + 1))
    assert found.file_bytes == len(made.content())
