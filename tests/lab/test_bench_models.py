"""The benchmark of a model's calls: who takes part, what their table says, and how the explanation adds up."""

import json
import sys
from pathlib import Path

import pytest

from audiomon.errors import AudiomonError, UserError
from audiomon.lab.bench.explain.experiments import Explanation, Line, Step
from audiomon.lab.bench.explain.text import factor_table, sentences
from audiomon.lab.bench.models.measure import (
    Absent,
    Call,
    Timing,
    calls,
    interpreters_for_engines,
    measure,
    measure_all,
    missing,
)
from audiomon.lab.bench.models.table import document, table
from audiomon.lab.bench.models.variants import SEED, SEED_FOLDER
from audiomon.lab.plots import check_plotting, plot_explanation, plot_models
from audiomon.models.interpreter import installed_backends
from tests.cli.command import Audiomon

BACKEND = installed_backends()[0]
PREDICT = Timing(Call("keras", "predict", threads=0), "2.21", 9e5, 50_000, 49_000, 60_000, 40_000, 3.0, 0.5, 600)
TFLITE = Timing(Call("litert"), "2.3.0", 300, 50, 40, 80, 35, 0.2, 0.01, 53)
ABSENT = Absent(Call("litert", file="int8"), "it would not")


def explanation(**changed: object) -> Explanation:
    steps = (
        Step("model.predict(x, batch_size=1)", "", 50_000, 1),
        Step("model.predict_on_batch(x)", "no callbacks", 1000, 50),
        Step("tf.function(model)(x)", "no checks", 800, 1.25),
        Step("TFLite, reference kernels", "no TensorFlow", 1600, 0.5),
        Step("TFLite, built-in kernels", "other kernels", 200, 8),
        Step("TFLite, XNNPACK", "XNNPACK's kernels", 50, 4),
    )
    points = ((1, 1.0), (4, 2.0), (16, 3.0))
    lines = (
        Line("model.predict", 40_000, 100, points),
        Line("tf.function", 700, 100, points),
        Line("TFLite", -3, 50, points),
    )
    facts = {
        "machine": "this one",
        "engine": "litert 2.3.0",
        "tensorflow": "2.21",
        "steps": steps,
        "lines": lines,
        "eager_us": 8000.0,
        "graph_us": 800.0,
        "graph_one_thread_us": 400.0,
        "fused_us": 200.0,
        "unfused_us": 250.0,
        "replanned_us": 210.0,
        "threads_us": {1: 50.0, 2: 40.0, 4: 100.0},
        "instructions": {},
        "left_out": (),
    }
    return Explanation(**{**facts, **changed})  # type: ignore[arg-type]


def test_the_full_table_has_every_combination_once():
    listed = calls(full=True)
    assert len(set(listed)) == len(listed)
    lite = [call for call in listed if call.engine != "keras"]
    assert {call.way for call in listed if call.engine == "keras"} == {
        *("predict", "predict-batch-size", "predict-on-batch", "call", "function")
    }
    assert {call.engine for call in lite} == {"tf.lite", "tflite-runtime", "litert"}
    precisions = ("float32", "float16", "dynamic", "int8")
    assert {call.file for call in lite} == {*precisions, *(f"{precision}-any-batch" for precision in precisions)}
    assert len(lite) == 3 * 8 * 2 * 4  # engines, files, kernels, threads


@pytest.mark.parametrize("full", [False, True])
def test_every_contender_has_its_file_and_a_title_of_its_own(full):
    listed = calls(full)
    assert all((SEED_FOLDER / f"{call.file}.tflite").exists() for call in listed)
    assert len({call.title for call in listed}) == len(listed)


@pytest.mark.parametrize("file", sorted(path.stem for path in SEED_FOLDER.glob("*.tflite")))
def test_a_contender_measures_itself_in_a_process_of_its_own(file):
    call = Call(BACKEND, file=file)
    timing = measure(call, SEED, 5, Path(sys.executable))
    assert isinstance(timing, Timing), timing
    assert 0 < timing.least_us <= timing.median_us <= timing.p99_us
    assert timing.rss_mb > 1
    assert timing.version


def test_a_contender_that_cannot_run_says_why():
    absent = measure(Call(BACKEND, file="none"), SEED, 5, Path(sys.executable))
    assert isinstance(absent, Absent)
    assert "none.tflite" in absent.reason


def test_the_table_relates_everything_to_predict():
    text = table([PREDICT, TFLITE, ABSENT], ["tflite-runtime: pip install tflite-runtime"])
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "1,000.0" in lines["litert float32"]
    assert "1.0" in lines["model.predict(x)"]
    assert "left out: litert int8: it would not" in text
    assert "missing: tflite-runtime" in text
    facts = json.loads(json.dumps(document([PREDICT, TFLITE, ABSENT], [], "a network", 100)))
    assert [one["predict_ratio"] for one in facts["timings"]] == [1, 1000]
    assert facts["left_out"] == [{"title": "litert int8", "reason": "it would not"}]


def test_without_tensorflow_there_are_no_ratios_and_the_table_says_how_to_get_it():
    here = {BACKEND: Path(sys.executable)}
    how = missing(here)
    assert any("TensorFlow" in line for line in how)
    assert " - " in table([TFLITE], how)


def test_with_no_engine_at_all_the_error_names_them():
    with pytest.raises(AudiomonError, match=r"TensorFlow.*ai-edge-litert"):
        next(measure_all(SEED, 1, False, {}, lambda _: None))


def test_this_python_has_the_runtimes_that_it_has():
    assert set(installed_backends()) <= interpreters_for_engines([]).keys()


def test_the_factors_of_an_explanation_multiply_to_its_ratio():
    explained = explanation()
    product = 1.0
    for step in explained.steps:
        product *= step.factor
    assert product == pytest.approx(explained.ratio) == 1000
    assert "50 × 1.25 × 0.5 × 8 × 4 = 1000" in factor_table(explained)


def test_the_answer_is_five_sentences_with_the_measured_numbers():
    answer = sentences(explanation())
    assert len(answer) == 5
    for number, sentence in zip(("1000 times", "40 ms", "700 µs", "250 µs", "1.6 ms"), answer, strict=True):
        assert number in sentence
    assert "next to nothing" in answer[2]  # a line that begins below nothing


def test_without_tensorflow_the_answer_is_what_tflite_alone_can_tell():
    short = explanation(steps=explanation().steps[3:], tensorflow="", lines=(), eager_us=None, graph_us=None)
    assert len(sentences(short)) == 2
    assert "predict" not in factor_table(short)


def test_pictures_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    plot_models([PREDICT, TFLITE], "a title", tmp_path / "models.png")
    plot_explanation(explanation(), tmp_path / "explain.svg")
    assert (tmp_path / "models.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "explain.svg").read_text()
    with pytest.raises(UserError, match="no such folder"):
        check_plotting(tmp_path / "none" / "a.png")
    with pytest.raises(UserError, match=r"\.pdf"):
        check_plotting(tmp_path / "a.doc")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["bench", "models", "none.keras"], "none.keras: no such file"),
        (["bench", "models", "--runs", "0"], "--runs"),
        (["bench", "explain", "none.keras"], "none.keras: no such file"),
        (["bench", "models", "--plot", "nowhere/a.png"], "nowhere: no such folder"),
        (["bench", "models", "--original", "--full"], "--full does not go with --original"),
        (["bench", "modles"], "there is no command 'modles'; did you mean 'models'?"),
        (["convert"], "Missing argument 'MODEL' (see audiomon convert --help)"),
        (["convert", "none.keras", "--to", "a", "--labels", "twice.txt"], "twice.txt: 'a' is on the lines 1, 2"),
    ],
)
def test_a_wrong_command_gets_one_line(tmp_path, options, expected):
    (tmp_path / "twice.txt").write_text("a\na\n")
    assert expected in Audiomon(tmp_path)(*options, model=None).refused()
