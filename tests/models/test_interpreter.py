"""Both TFLite runtimes behind one interface."""

import importlib
import sys

import numpy as np
import pytest

from audiomon.errors import ModelError
from audiomon.models.classifier import self_test_window
from audiomon.models.importing.write import SIGNALS
from audiomon.models.interpreter import Interpreter, choose_backend, installed_backends
from audiomon.models.self_test import make_signal
from tests.models.tiny import LOG_MEL, RUNNABLE, SCORES, WAVEFORM, content

MODULES = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}


def windows(model: str) -> list[np.ndarray]:
    """The self-test sounds as the model's input tensor holds them."""
    found = [self_test_window(signal, RUNNABLE[model][0]) for signal in SIGNALS]
    if model == "waveform_pcm":
        return [window * 32768 for window in found]
    return [window.T for window in found] if model == "bands_first" else found


def load(model: str, backend: str) -> Interpreter:
    return Interpreter(content(model), backend, output=SCORES if model == "two_outputs" else None)


def bare_loop(model: str, backend: str) -> list[np.ndarray]:
    """What the runtime's own documentation does."""
    engine = importlib.import_module(MODULES[backend]).Interpreter(model_content=content(model), num_threads=1)
    engine.allocate_tensors()
    given = engine.get_input_details()[0]
    got = next(one for one in engine.get_output_details() if one["name"] == SCORES or model != "two_outputs")
    answers = []
    for window in windows(model):
        value = window.reshape(given["shape"])
        if given["quantization"][0]:
            scale, zero_point = given["quantization"]
            limits = np.iinfo(given["dtype"])
            value = np.clip(np.rint(value / np.float32(scale)) + zero_point, limits.min, limits.max)
        engine.set_tensor(given["index"], value.astype(given["dtype"]))
        engine.invoke()
        answer = engine.get_tensor(got["index"]).ravel()
        if got["dtype"] != np.float32:
            scale, zero_point = got["quantization"]
            answer = (answer.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
        answers.append(answer)
    return answers


@pytest.mark.parametrize("model", RUNNABLE)
def test_scores_are_those_of_a_bare_interpreter_loop_to_the_bit(model, backend):
    interpreter = load(model, backend)
    for window, expected in zip(windows(model), bare_loop(model, backend), strict=True):
        answer = interpreter.run(window)
        assert answer.dtype == np.float32
        assert answer.shape == (4,)
        np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize(
    ("model", "bound"),
    [("float16", 0.002), ("dynamic_int8", 0.02), ("int8", 0.03), ("uint8", 0.03), ("dynamic_batch", 1e-6)],
)
def test_smaller_models_agree_with_float32_and_on_every_label(model, bound, backend):
    exact, smaller = Interpreter(content("float32"), backend), Interpreter(content(model), backend)
    answers = [(exact.run(window), smaller.run(window)) for window in windows("float32")]
    assert max(float(np.abs(a - b).max()) for a, b in answers) < bound
    assert [int(a.argmax()) for a, _ in answers] == [int(b.argmax()) for _, b in answers]
    assert len({int(a.argmax()) for a, _ in answers}) == 4, "the sounds no longer tell the labels apart"


@pytest.mark.parametrize("model", RUNNABLE)
@pytest.mark.skipif(len(installed_backends()) < 2, reason="one TFLite runtime is installed")
def test_both_runtimes_agree(model):
    first, second = (load(model, backend) for backend in installed_backends())
    bound = 0.02 if "int8" in model else 1e-5
    for window in windows(model):
        np.testing.assert_allclose(first.run(window), second.run(window), rtol=bound, atol=bound)


def test_answers_are_fresh_arrays(backend):
    interpreter = Interpreter(content("float32"), backend)
    first, second = windows("float32")[:2]
    answer = interpreter.run(first)
    kept = answer.copy()
    interpreter.run(second)
    np.testing.assert_array_equal(answer, kept)


@pytest.mark.parametrize(("model", "dtype"), [("int8", np.int8), ("uint8", np.uint8)])
def test_real_numbers_become_the_nearest_integers_of_a_quantised_input_and_stay_in_its_range(model, dtype, backend):
    interpreter = Interpreter(content(model), backend)
    tensor = interpreter.input
    assert tensor.dtype == dtype
    limits = np.iinfo(dtype)
    step = np.float32(tensor.scale)
    rng = np.random.default_rng(1)
    for _ in range(20):
        stored = rng.integers(limits.min, limits.max + 1, tensor.shape).astype(dtype)
        real = (stored.astype(np.float32) - tensor.zero_point) * step
        for off in (0, step / 3, -step / 3):
            np.testing.assert_array_equal(interpreter.run(real + off), answer_to_integers(model, stored, backend))
    for real, end in ((1e9, limits.max), (-1e9, limits.min)):
        answer = interpreter.run(np.full(tensor.shape, real, dtype=np.float32))
        np.testing.assert_array_equal(answer, answer_to_integers(model, np.full(tensor.shape, end, dtype), backend))


def answer_to_integers(model: str, stored: np.ndarray, backend: str) -> np.ndarray:
    engine = importlib.import_module(MODULES[backend]).Interpreter(model_content=content(model), num_threads=1)
    engine.allocate_tensors()
    engine.set_tensor(engine.get_input_details()[0]["index"], stored)
    engine.invoke()
    got = engine.get_output_details()[0]
    assert got["quantization"][0] == 1 / 256
    return (engine.get_tensor(got["index"]).ravel().astype(np.float32) - got["quantization"][1]) / np.float32(256)


def test_a_quantised_output_is_told_in_real_numbers(backend):
    interpreter = Interpreter(content("int8"), backend)
    assert (interpreter.output.scale, interpreter.output.zero_point) == (1 / 256, -128)
    for window in windows("int8"):
        answer = interpreter.run(window)
        np.testing.assert_array_equal(answer * 256, np.rint(answer * 256))
        assert answer.min() >= 0
        assert abs(answer.sum() - 1) < 0.02


def test_loading_prints_nothing(backend, capfd):
    Interpreter(content("float32"), backend).run(windows("float32")[0])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (b"", "is not a TFLite model"),
        (b"TFL3", "is not a TFLite model"),
        (b"# not a model at all\n" * 50, "is not a TFLite model"),
        (content("two_inputs"), "has 2 inputs and 1 outputs; audiomon needs one input and an output"),
        (content("words"), "reads int32; it must be float32, or integers with a scale and a zero point"),
        (content("flex"), "needs the operator FlexMatrixDeterminant, which "),
        (content("custom"), "needs the operator MatrixDeterminant, which "),
        (content("any_length"), "reads windows of no fixed length: convert it with a fixed input shape"),
        (content("two_outputs"), "has 2 outputs; say which one has the scores (output.tensor): 0: Stateful"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(damaged, said, backend):
    with pytest.raises(ModelError) as caught:
        Interpreter(damaged, backend)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_of_several_outputs_is_chosen_by_name_or_by_number(backend):
    window = windows("two_outputs")[0]
    by_name = Interpreter(content("two_outputs"), backend, output=SCORES)
    number = [tensor.name for tensor in by_name.outputs].index(SCORES)
    by_number = Interpreter(content("two_outputs"), backend, output=number)
    assert np.array_equal(by_name.run(window), by_number.run(window))
    assert Interpreter(content("two_outputs"), backend, output=1 - number).run(window).shape == (6,)
    with pytest.raises(ModelError, match=r"^has no output 'scores'; it has 0: .* \(1×[46]\), 1: "):
        Interpreter(content("two_outputs"), backend, output="scores")


def test_auto_takes_the_first_that_works_here():
    assert choose_backend("auto") == installed_backends()[0]
    for backend in installed_backends():
        assert choose_backend(backend) == backend


@pytest.fixture
def lacking(monkeypatch):
    """Make packages look as if they were not installed."""

    def lack(*packages: str) -> None:
        for package in packages:
            monkeypatch.setitem(sys.modules, package, None)

    return lack


def test_without_any_runtime_it_says_what_to_install(lacking):
    lacking("ai_edge_litert", "tflite_runtime")
    with pytest.raises(ModelError, match="no TFLite interpreter is installed: pip install ai-edge-litert"):
        choose_backend("auto")


def test_a_runtime_that_is_asked_for_and_missing_is_named_with_what_there_is(lacking):
    lacking("tflite_runtime")
    there = "; installed here: litert" if "litert" in installed_backends() else ""
    with pytest.raises(ModelError) as caught:
        choose_backend("tflite-runtime")
    assert str(caught.value) == f"interpreter: tflite-runtime is not installed: pip install tflite-runtime{there}"


def test_tflite_runtime_beside_numpy_2_is_said_to_need_numpy_1(monkeypatch, tmp_path):
    (tmp_path / "tflite_runtime").mkdir()
    (tmp_path / "tflite_runtime" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tflite_runtime", raising=False)
    monkeypatch.setattr(np, "__version__", "2.1.0")
    assert "tflite-runtime" not in installed_backends()
    with pytest.raises(ModelError, match=r"tflite-runtime needs NumPy 1, here is 2\.1\.0: pip install 'numpy<2'"):
        choose_backend("tflite-runtime")


def test_a_runtime_whose_library_does_not_load_is_said_not_to_work(monkeypatch, tmp_path, backend):
    package = tmp_path / MODULES[backend].split(".")[0]
    package.mkdir()
    (package / "__init__.py").write_text("__version__ = '0'\n")
    (package / "interpreter.py").write_text("raise ImportError('libfoo.so.1: cannot open shared object file')\n")
    for module in [name for name in sys.modules if name.split(".")[0] == package.name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"is installed but does not work here: libfoo\.so\.1: cannot open"):
        Interpreter(content("float32"), backend)


def test_the_self_test_sounds_never_change():
    # Every published package expects these.
    rate = WAVEFORM.sample_rate
    assert not make_signal("silence", 100, rate).any()
    clicks = make_signal("clicks", rate, rate)
    assert np.flatnonzero(clicks).tolist() == list(range(0, rate, rate // 8))
    assert set(clicks[clicks != 0].tolist()) == {32767}
    state, expected = 1, []
    for _ in range(1000):
        state = (1_664_525 * state + 1_013_904_223) % 2**32
        expected.append(state // 2**18 - 8192)
    assert make_signal("noise", 1000, rate).tolist() == expected
    chirp = make_signal("chirp", rate, rate)
    assert chirp.dtype == np.int16
    assert np.abs(chirp).max() == 8192
    # Rising exponentially from 100 Hz to 7 kHz in one second: (7000 - 100) / ln(70) whole turns, two crossings each.
    crossings = int(np.count_nonzero(np.diff(np.signbit(chirp))))
    assert abs(crossings - 2 * 6900 / np.log(70)) <= 2


def test_a_self_test_window_has_the_shape_that_the_model_reads():
    assert self_test_window("noise", LOG_MEL).shape == (20, 16)
    assert self_test_window("noise", WAVEFORM).shape == (1600,)
