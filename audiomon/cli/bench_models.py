"""``audiomon bench models``: one network called in every way there is, in a table and a picture."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from audiomon.cli.bench import say
from audiomon.errors import AudiomonError
from audiomon.lab.bench.models.measure import Timing, interpreters_for_engines, measure_all, missing
from audiomon.lab.bench.models.original import run_original
from audiomon.lab.bench.models.table import document, table
from audiomon.lab.bench.models.variants import SEED, Network, write_variants
from audiomon.lab.keras_files import check_existence
from audiomon.lab.plots import check_plotting, plot_models
from audiomon.lab.tensorflow_process import TensorFlowProcess

_PATH = click.Path(path_type=Path)
# Options that `bench explain` has too.
model_argument = click.argument("model", type=_PATH, required=False)
weights_option = click.option("--weights", type=_PATH, help="The .h5 that belongs to an architecture .json.")
runs_option = click.option(
    "--runs", type=click.IntRange(1), default=100, show_default=True, help="Calls of each contender."
)
pythons_option = click.option(
    "--python",
    "pythons",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Another Python for engines that this one lacks; may be repeated.",
)
plot_option = click.option("--plot", type=_PATH, help="Picture to write (PNG, SVG, PDF).")


@click.command()
@model_argument
@weights_option
@runs_option
@click.option(
    "--full", is_flag=True, help="Every combination of precision, kernels, threads and batch (15 to 30 minutes)."
)
@click.option("--original", is_flag=True, help="Only the original measurement: predict and TFLite, in its two lines.")
@pythons_option
@plot_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def models(
    model: Path | None,
    weights: Path | None,
    runs: int,
    full: bool,
    original: bool,
    pythons: tuple[Path, ...],
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure one call of a model, in every way there is of making it: Keras's, and TFLite's in all its forms.

    Every contender is a process of its own. MODEL is a Keras model as `audiomon convert` reads it; without one it is
    the small CNN that audiomon began with. Only engines that are installed take part.

    \b
    Examples:
      audiomon bench models
      audiomon bench models --original
      audiomon bench models vd_model.json --weights model.30-0.97.h5 --plot models.png
    """
    for option, given in (("--full", full), ("--python", pythons), ("--plot", plot)):
        if original and given:
            raise click.UsageError(f"{option} does not go with --original, which is predict and TFLite alone")
    if plot:
        check_plotting(plot)
    with benchmarked(model, weights) as network:
        if original:
            _original(network, runs, as_json)
            return
        engines = interpreters_for_engines(list(pythons))
        results = list(measure_all(network, runs, full, engines, say))
    say("")
    absent = missing(engines)
    if as_json:
        click.echo(json.dumps(document(results, absent, network.name, runs), indent=1))
    else:
        click.echo(f"{network.name}, {runs} calls each, one process each\n\n{table(results, absent)}")
    timings = [result for result in results if isinstance(result, Timing)]
    if not timings:
        raise AudiomonError("no contender could run")
    if plot:
        plot_models(timings, f"One call of {network.name}: median, and 99th percentile (tick)", plot)


def _original(network: Network, runs: int, as_json: bool) -> None:
    with TensorFlowProcess() as tensorflow:
        averages = tensorflow.call(run_original, network, runs)
    if as_json:
        click.echo(json.dumps({"predict_s": averages.predict_s, "tflite_s": averages.tflite_s, "runs": runs}))
    else:
        click.echo(f"model.predict average: {averages.predict_s:.6f} s over {runs} random inputs")
        click.echo(f"TFLite average:        {averages.tflite_s:.6f} s over {runs} random inputs")
    if averages.close != runs:
        raise AudiomonError(f"np.isclose: the outputs differ for {runs - averages.close} of {runs} inputs")


@contextmanager
def benchmarked(model: Path | None, weights: Path | None) -> Iterator[Network]:
    """Return the network to measure: the built-in one, or one's own, converted to every form first."""
    if model is None:
        yield SEED
        return
    check_existence(model, weights)
    with tempfile.TemporaryDirectory(prefix="audiomon-bench-") as folder, TensorFlowProcess() as tensorflow:
        network = Network(model.name, Path(folder), model.resolve(), weights and weights.resolve())
        say(f"converting {model}")
        tensorflow.call(write_variants, network)
        yield network
