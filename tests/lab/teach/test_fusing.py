"""A network that is cut at its embedding and continued with a head, run by the interpreters that serve."""

import numpy as np
import pytest
import tflite

from audiomon.errors import ModelError, UserError
from audiomon.lab.teach.fusing import Head, cut, features, find_embedding, fused
from audiomon.lab.teach.graph import Graph
from audiomon.models.interpreter import Interpreter, installed_backends
from tests.models.tiny import SCORES, content

# Float and integer networks, weights in half precision and in 8 bits, another order of axes, and a batch of any size.
BASES = ("float32", "int8", "uint8", "float16", "dynamic_int8", "bands_first", "flat", "dynamic_batch", "logits")


def head(size: int, many: bool = False, labels: int = 3) -> Head:
    rng = np.random.default_rng(1)
    weights = rng.normal(0, 3, (labels, size)).astype(np.float32)
    return Head(weights, rng.normal(0, 1, labels).astype(np.float32), many)


@pytest.mark.parametrize("backend", installed_backends())
@pytest.mark.parametrize("name", BASES)
def test_the_fused_file_answers_as_embedding_and_head_do(name, backend):
    base = content(name)
    embedding = find_embedding(base)
    rng = np.random.default_rng(2)
    for many in (False, True):
        own = head(embedding.size, many)
        apart, whole = Interpreter(cut(base, embedding), backend), Interpreter(fused(base, embedding, own), backend)
        seen = []
        for _ in range(10):
            window = rng.normal(0, 0.7, whole.input.shape).astype(np.float32)
            seen.append(whole.run(window))
            expected = own.scores(features(apart.run(window)[np.newaxis], embedding))[0]
            assert np.abs(seen[-1] - expected).max() < 1e-5
        assert np.ptp(seen, axis=0).max() > 0.01  # the window matters
        if not many:
            assert np.sum(seen, axis=1) == pytest.approx(1, abs=1e-5)


def test_an_embedding_of_integers_is_dequantised_and_its_root_is_taken():
    embedding = find_embedding(content("int8"))
    assert (embedding.size, embedding.quantised, embedding.rooted) == (320, True, True)
    kinds = [one.kind for one in Graph(fused(content("int8"), embedding, head(320))).operators]
    assert kinds[-5:] == ["DEQUANTIZE", "SQRT", "L2_NORMALIZATION", "FULLY_CONNECTED", "SOFTMAX"]


def test_an_embedding_that_can_be_negative_is_not_rooted():
    # What the two-output network pools is its input, a window in decibels.
    embedding = find_embedding(content("two_outputs"), SCORES, pooled_tensor())
    assert not embedding.rooted
    kinds = [one.kind for one in Graph(fused(content("two_outputs"), embedding, head(embedding.size))).operators]
    assert "SQRT" not in kinds
    assert kinds[-3:] == ["L2_NORMALIZATION", "FULLY_CONNECTED", "SOFTMAX"]


def test_nothing_is_left_of_what_came_after_the_embedding():
    base = content("float32")
    old = Graph(base)
    scoring = next(one for one in old.operators if one.kind == "FULLY_CONNECTED")
    weights = weights_of(base, scoring.inputs[1])
    assert weights in base
    embedding = find_embedding(base)
    small = cut(base, embedding)
    assert weights not in small
    assert weights not in fused(base, embedding, head(320))
    graph = Graph(small)
    used = {tensor for one in graph.operators for tensor in (*one.inputs, *one.outputs)} | {*graph.inputs}
    assert used == {tensor.number for tensor in graph.tensors}
    model = tflite.Model.GetRootAs(small, 0)
    assert model.MetadataLength() == model.SignatureDefsLength() == 0
    assert model.OperatorCodesLength() == len({one.kind for one in graph.operators})


def test_weights_lie_where_the_runtimes_want_them():
    small = fused(content("float32"), find_embedding(content("float32")), head(320))
    model = tflite.Model.GetRootAs(small, 0)
    for number in range(1, model.BuffersLength()):
        buffer = model.Buffers(number)
        assert buffer._tab.Vector(buffer._tab.Offset(4)) % 16 == 0


def test_silence_has_features_that_are_numbers():
    embedding = find_embedding(content("float32"))
    assert features(np.zeros((1, 320), dtype=np.float32), embedding).tolist() == [[0.0] * 320]


@pytest.mark.parametrize(
    ("name", "output", "message"),
    [
        ("waveform", None, "has no embedding to build on: the layer before its scores has 6 values"),
        ("many", None, "has no embedding to build on: its scores come from"),
        ("float32", "absent", "has no output 'absent'"),
    ],
)
def test_a_network_without_an_embedding_is_refused(name, output, message):
    with pytest.raises(ModelError, match=message):
        find_embedding(content(name), output)


def test_a_tensor_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(UserError, match=r"no tensor 'wide' that could be an embedding; it has \S+ \(320\)"):
        find_embedding(content("float32"), wanted="wide")


def test_a_named_tensor_is_taken():
    found = find_embedding(content("float32"))
    assert find_embedding(content("float32"), wanted=found.name) == found


@pytest.mark.parametrize("length", [8, 40, 400, 2000, 6000])
def test_a_file_that_was_cut_short_is_refused(length):
    base = content("float32")[:length]
    with pytest.raises(ModelError):
        fused(base, find_embedding(base), head(320))


def weights_of(base: bytes, tensor: int) -> bytes:
    model = tflite.Model.GetRootAs(base, 0)
    data: bytes = model.Buffers(model.Subgraphs(0).Tensors(tensor).Buffer()).DataAsNumpy().tobytes()
    return data


def pooled_tensor() -> str:
    graph = Graph(content("two_outputs"))
    return next(tensor.name for tensor in graph.tensors if len(tensor.shape) == 2 and tensor.size == 80)
