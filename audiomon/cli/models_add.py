"""``audiomon models add``: a model package from a bare .tflite file."""

import os
import sys
from pathlib import Path

import click

from audiomon.cli.settings import labels_option
from audiomon.errors import ModelError, UserError
from audiomon.foreign import shown
from audiomon.models.importing.add import Addition, Asked, IncompleteError, ManifestItem, default_name, examine
from audiomon.models.importing.write import MAX_CLIPPED, STAGES, write_package
from audiomon.models.package import MANIFEST, MAX_WEIGHTS_BYTES, model_folders, unreadable
from audiomon.models.plain_file import read_plain_file

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("file", type=_FOLDER)
@click.option("--name", help="What `model:` will call it; otherwise the file's own name.")
@click.option(
    "--to", "target", type=_FOLDER, help="Folder of the package, instead of one by its name where models are."
)
@labels_option
@click.option("--sample-rate", type=int, metavar="HZ", help="Of the sound that the model was trained on.")
@click.option("--feature", "features", multiple=True, metavar="KEY=VALUE", help="What its input is; may be repeated.")
@click.option(
    "--activation",
    type=click.Choice(["softmax", "sigmoid", "logits", "sigmoid-logits"]),
    help="What its scores are; for logits, softmax or a sigmoid is still due.",
)
@click.option("--output", default="", metavar="NAME", help="Which output has the scores, if it has several.")
@click.option("--license", "licence", help="Licence of the weights.")
@click.option("--describe", "description", type=_FOLDER, help="YAML file that says the same, as for audiomon convert.")
@click.option("--no-calibration", is_flag=True, help="Leave out the calibration of scores that the metadata has.")
@click.option("--replace", is_flag=True, help="Replace a package that is there.")
def add(
    file: Path,
    name: str | None,
    target: Path | None,
    labels: str | None,
    sample_rate: int | None,
    features: tuple[str, ...],
    activation: str | None,
    output: str,
    licence: str | None,
    description: Path | None,
    no_calibration: bool,
    replace: bool,
) -> None:
    """Make a model package of FILE, a .tflite model, so that `model:` can name it.

    What the file says of itself (tensors, embedded metadata, packed label files) is taken from it; what follows from
    that is shown as inferred; what is still missing is listed, with the flag that says it.

    \b
    Examples:
      audiomon models add yamnet.tflite
      audiomon models add soundclassifier.tflite --labels labels.txt --sample-rate 44100
      audiomon models add mine.tflite --labels labels.txt --sample-rate 16000 \\
        --feature n_fft=1024 --feature hop_length=256
    """
    if target is not None:
        name = target.resolve().name
    folder = target or model_folders()[0] / (name or default_name(file))
    if (folder / MANIFEST).exists() and not replace:
        raise UserError(f"{folder}: is a model package already; --replace to replace it, or another --name")
    _check_writable(folder)
    content = _read(file)
    asked = Asked(
        name or "",
        labels or "",
        sample_rate,
        features,
        activation,
        output,
        licence,
        description,
        calibrated=not no_calibration,
    )
    try:
        addition = examine(file, content, asked)
    except IncompleteError as error:
        _show(error.items)
        raise
    _show(addition.items)
    with click.progressbar(
        length=STAGES, file=sys.stderr, hidden=not sys.stderr.isatty(), item_show_func=lambda stage: stage or ""
    ) as bar:
        clipped = write_package(
            folder,
            content,
            addition.manifest,
            _card(file, addition),
            tolerance=addition.tolerance,
            progress=lambda stage: bar.update(1, stage),
        )
    if clipped > MAX_CLIPPED:
        click.echo(
            f"\nnote: {clipped:.0%} of the values lie outside of what the model's integer input holds; is its "
            f"normalisation missing? (--feature …, or --describe)",
            err=True,
        )
    click.echo(f"\n{folder}: written, self-test passed; try it: audiomon classify --model {_as_model(folder)} FILE.wav")


def _read(path: Path) -> bytes:
    try:
        return read_plain_file(path, MAX_WEIGHTS_BYTES)
    except OSError as error:
        raise ModelError(unreadable(error), path=path) from None


def _check_writable(folder: Path) -> None:
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not os.access(there, os.W_OK):
        raise UserError(
            "may not be written by this user: run it again with sudo, or give a folder with --to", path=there
        )


def _show(items: list[ManifestItem]) -> None:
    for item in items:
        click.echo(f"{item.key:<20} {shown(item.value)}  {click.style(f'[{shown(item.origin)}]', dim=True)}")


def _card(file: Path, addition: Addition) -> str:
    lines = "\n".join(f"| {one.key} | {shown(one.value)} | {shown(one.origin)} |" for one in addition.items)
    return (
        f"# {addition.manifest.name}\n\n{addition.manifest.description}\n\n"
        f"Added from `{file.name}` by `audiomon models add`, which found out:\n\n"
        f"| what | value | says who |\n| --- | --- | --- |\n{lines}\n"
    )


def _as_model(folder: Path) -> str:
    if folder.parent in model_folders():
        return folder.name
    return str(folder) if "/" in str(folder) else f"./{folder}"
