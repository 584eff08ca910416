"""``audiomon convert``: a trained Keras model to a model package, proved to answer alike."""

import sys
from pathlib import Path
from typing import Literal

import click

from audiomon.cli.settings import labels_option
from audiomon.lab.convert import PRECISIONS, Precision
from audiomon.lab.convert_package import STAGES, Request, check_request, convert_package
from audiomon.lab.tensorflow_process import TensorFlowProcess
from audiomon.models.importing.describe import describe
from audiomon.models.importing.labels import said_labels
from audiomon.models.interpreter import Backend, choose_backend, installed_backends

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("model", type=_FOLDER)
@click.option("--weights", type=_FOLDER, help="The .h5 that belongs to an architecture .json.")
@click.option("--to", "target", type=_FOLDER, required=True, help="Folder of the package to write, as in models/mine.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="float32",
    show_default=True,
    help="dynamic: 8-bit weights; int8: 8-bit everything, calibrated on --audio.",
)
@click.option("--describe", "description", type=_FOLDER, help="YAML file with labels, input and so on (see below).")
@labels_option
@click.option("--sample-rate", type=int, help="Hz.")
@click.option("--feature", "features", multiple=True, metavar="KEY=VALUE", help="Feature option; may be repeated.")
@click.option(
    "--activation", type=click.Choice(["softmax", "sigmoid", "logits", "sigmoid-logits"]), help="What the scores are."
)
@click.option("--output", default="", metavar="NAME", help="Which output has the scores, if it has several.")
@click.option("--license", "licence", help="Licence of the weights, and of what they were made from.")
@click.option("--audio", type=_FOLDER, help="Folder of recordings: for the proof, and to calibrate int8.")
@click.option("--labelled", type=_FOLDER, help="Folder with a folder of recordings for each label: for accuracy.")
@click.option(
    "--interpreter", type=click.Choice(["auto", "litert", "tflite-runtime"]), default="auto", help="Prove it here only."
)
@click.option("--replace", is_flag=True, help="Replace a package that is there.")
def convert(
    model: Path,
    weights: Path | None,
    target: Path,
    precision: Precision,
    description: Path | None,
    labels: str | None,
    sample_rate: int | None,
    features: tuple[str, ...],
    activation: str | None,
    output: str,
    licence: str | None,
    audio: Path | None,
    labelled: Path | None,
    interpreter: Literal["auto"] | Backend,
    replace: bool,
) -> None:
    """Convert the Keras model MODEL to a model package, and prove that it answers alike.

    MODEL is an architecture .json (with --weights), a whole-model .h5, a .keras file or a SavedModel folder, of Keras 2
    or 3. The result is compared with it on 100 random windows, and on real ones with --audio, in every TFLite runtime
    that is installed. A float32 model that differs is not written.

    \b
    Example:
      audiomon convert vd_model.json --weights model.30-0.97.h5 --to models/mine \\
        --describe mine.yaml --audio recordings/

    \b
    with mine.yaml:
      labels: [baby_cry, dog_bark, rain, speech]
      input: {sample_rate: 22050, n_fft: 2048, hop_length: 512, n_mels: 40, frames: 43}
      license: CC BY 4.0
    """
    from audiomon.lab.convert_input import inferred_features  # not for --help: it needs the package tflite

    if sample_rate is not None:
        features = (*features, f"sample_rate={sample_rate}")
    options = {
        "labels": None if labels is None else list(said_labels(labels)[0]),
        "output": None if activation is None else {"activation": activation},
        "license": licence,
    }
    first = choose_backend(interpreter)
    backends = [first, *(other for other in installed_backends() if other != first and interpreter == "auto")]
    with TensorFlowProcess() as tensorflow:
        inferred = inferred_features(tensorflow, model, weights, description, features, output)
        for key, value in inferred.items():
            click.echo(f"{f'input.{key}':<20} {value}  {click.style('[inferred: the shape of its input]', dim=True)}")
        features = (*features, *(f"{key}={value}" for key, value in inferred.items()))
        described = describe(description, options, features)
        request = Request(model, weights, target, precision, described, audio, labelled, backends, replace, output)
        check_request(request)
        with click.progressbar(
            length=STAGES, file=sys.stderr, hidden=not sys.stderr.isatty(), item_show_func=_stage
        ) as bar:
            report = convert_package(request, tensorflow, lambda stage: bar.update(1, stage))
    click.echo(report.text)
    click.echo(f"\n{target}: written; try it: audiomon classify --model {_as_model(target)} FILE.wav")


def _stage(stage: str | None) -> str:
    return stage or ""


def _as_model(target: Path) -> str:
    return str(target) if "/" in str(target) else f"./{target}"
