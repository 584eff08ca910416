"""Options that several commands share."""

from pathlib import Path

import click

from audiomon.outputs.selection import SCORES_WRITTEN
from audiomon.runtime_files import FIRST_INSTANCE


def _installed_models(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """Complete a model's name in the shell."""
    from audiomon.models.package import installed_packages

    return [folder.name for folder in installed_packages() if folder.name.startswith(begun)]


def _instance(_context: click.Context, _option: click.Parameter, name: str) -> str:
    """Take an instance's name out of its unit's, which is what people copy from systemctl and journalctl."""
    return name.removesuffix(".service").removeprefix(f"{FIRST_INSTANCE}@")


instance_option = click.option(
    "-u",
    "--instance",
    default=FIRST_INSTANCE,
    show_default=True,
    callback=_instance,
    metavar="NAME",
    help="Which listener of several: `kitchen` for audiomon@kitchen.",
)
config_option = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Configuration to use. Otherwise the checkout's config/audiomon.yaml, else /etc/audiomon/audiomon.yaml, "
    "else the defaults.",
)
model_option = click.option(
    "-m",
    "--model",
    shell_complete=_installed_models,
    help="Model package: a name (see `audiomon models`) or a folder.",
)
interpreter_option = click.option(
    "--interpreter", type=click.Choice(["auto", "litert", "tflite-runtime"]), help="What runs the model."
)
scores_option = click.option(
    "--scores",
    type=click.IntRange(1, 10_000),
    default=SCORES_WRITTEN,
    show_default=True,
    help="Scores in a JSON line, of a model that has more: the highest ones.",
)
labels_option = click.option(
    "--labels",
    metavar="FILE|A,B,…",
    help="Labels in the order of the model's scores: a file with one a line, or themselves, separated by commas.",
)
hop_option = click.option(
    "--hop", "hop_s", type=click.FloatRange(0.01, 60), help="Seconds from one prediction to the next."
)
