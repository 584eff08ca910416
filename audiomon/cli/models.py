"""``audiomon models``: what can be named in ``model:``, what a package says about itself, and making one of a file."""

from pathlib import Path

import click

from audiomon.cli.lazy import LazyGroup
from audiomon.errors import AudiomonError
from audiomon.foreign import MAX_SHOWN, shown
from audiomon.models.manifest import Manifest
from audiomon.models.package import find_package, installed_packages, model_folders, read_manifest, read_package

# A thousand labels, in full.
_MAX_LABELS_SHOWN = 50_000

_COMMANDS = {
    "list": ("audiomon.cli.models:list_", "List the packages that `model:` can name."),
    "show": ("audiomon.cli.models:show", "Show what a package says about itself."),
    "get": ("audiomon.cli.models_get:get", "Fetch a published model, such as YAMNet."),
    "add": ("audiomon.cli.models_add:add", "Make a package of a bare .tflite file."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List, show, fetch and add model packages.

    \b
    Examples:
      audiomon models
      audiomon models show home
      audiomon models get yamnet
      audiomon models add mine.tflite
    """
    if context.invoked_subcommand is None:
        context.invoke(list_)


@click.command("list")
def list_() -> None:
    """List the packages that `model:` can name."""
    folders = installed_packages()
    if not folders:
        click.echo("no models in " + ", ".join(map(str, model_folders())))
    for folder in folders:
        try:
            manifest, _ = read_manifest(folder)
        except AudiomonError as error:
            click.echo(f"{shown(folder.name):<20} broken: {error}")
        else:
            click.echo(f"{shown(folder.name):<20} {len(manifest.labels):>4} labels  {shown(manifest.description)}")


@click.command()
@click.argument("name")
def show(name: str) -> None:
    """Show what the package NAME (or the folder NAME) says about itself."""
    package = read_package(find_package(name, Path()))
    manifest = package.manifest
    for title, value in (
        ("name", manifest.name),
        ("folder", package.folder),
        ("description", manifest.description),
        ("labels", ", ".join(map(_quoted, manifest.labels))),
        ("input", _input(manifest)),
        ("output", manifest.output.activation),
        ("size", f"{len(package.content) / 1024:.1f} KiB"),
        ("sha256", manifest.sha256),
        ("fingerprint", package.fingerprint),
        ("license", manifest.license),
    ):
        click.echo(f"{title:<12} {shown(str(value), _MAX_LABELS_SHOWN if title == 'labels' else MAX_SHOWN)}")
    for title, value in manifest.training.items():
        if not isinstance(value, dict):  # settings in their hundreds; model.yaml has them
            click.echo(f"{shown(title, 40):<12} {shown(str(value))}")


def _quoted(label: str) -> str:
    """Write a label as a cell of a table in CSV, so that a comma in it is no separator."""
    return '"' + label.replace('"', '""') + '"' if set(label) & {",", '"'} else label


def _input(manifest: Manifest) -> str:
    spec = manifest.input
    return f"{spec.summary}, {spec.window_s:.3f} s at {spec.sample_rate} Hz"
