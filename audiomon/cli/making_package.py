"""A model package of a bare file, for `audiomon models add` and `get`: fetched, examined, written, and what is said.

What reads model files is imported when one is read: help, and the list of what there is, need no packages for that.
"""

import os
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import click

from audiomon.errors import UserError
from audiomon.foreign import shown
from audiomon.models.importing.download import download
from audiomon.models.package import MANIFEST, MAX_WEIGHTS_BYTES, model_folders

if TYPE_CHECKING:
    from audiomon.models.importing.add import Addition, Asked, ManifestItem

FOLDER = click.Path(path_type=Path)
target_option = click.option(
    "--to", "target", type=FOLDER, help="Folder of the package, instead of one by its name where models are."
)
replace_option = click.option("--replace", is_flag=True, help="Replace a package that is there.")


def package_folder(file: Path, name: str | None, target: Path | None, *, replace: bool) -> Path:
    """Return the folder that a package goes into.

    Args:
        file: that it is made of; names it if nothing else does.
        name: that `model:` will call it.
        target: the folder, where that has been said.
        replace: whether a package that is there may be replaced.

    Raises:
        UserError: there is a package already, or this user may not write there.
    """
    from audiomon.models.importing.add import default_name

    folder = target or model_folders()[0] / (name or default_name(file))
    if (folder / MANIFEST).exists() and not replace:
        raise UserError(f"{folder}: is a model package already; --replace to replace it, or another --name")
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not os.access(there, os.W_OK):
        raise UserError(
            "may not be written by this user: run it again with sudo, or give a folder with --to", path=there
        )
    return folder


def file_name(address: str) -> Path:
    """Return what an address calls its file."""
    return Path(PurePosixPath(unquote(urlsplit(address).path)).name or "model.tflite")


def fetched(address: str, sha256: str, folder: Path) -> bytes:
    """Fetch a model file, and show how far that is.

    Args:
        address: of it.
        sha256: that it must have.
        folder: of the package to be; what has come so far is kept beside it.

    Raises:
        UserError, ModelError: see `audiomon.models.importing.download.download`.
    """
    partial = folder.absolute().parent / f".{sha256[:64].lower()}.part"
    with click.progressbar(length=1, label="fetching", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def progress(there: int, total: int | None) -> None:
            if total:
                bar.length = total
                bar.update(there - bar.pos)

        return download(address, sha256, partial, max_bytes=MAX_WEIGHTS_BYTES, progress=progress)


def make_package(folder: Path, file: Path, content: bytes, asked: "Asked") -> None:
    """Find out what the file says, write the package, and say all of it.

    Args:
        folder: of the package.
        file: where the content is from, for messages.
        content: of the .tflite file.
        asked: what the user says.

    Raises:
        UserError, ModelError, ConfigError: it cannot be made.
    """
    from audiomon.models.importing.add import IncompleteError, examine
    from audiomon.models.importing.write import MAX_CLIPPED, STAGES, write_package

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
            _card(asked.source or file.name, addition),
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


def _show(items: "list[ManifestItem]") -> None:
    for item in items:
        click.echo(f"{item.key:<20} {shown(item.value)}  {click.style(f'[{shown(item.origin)}]', dim=True)}")


def _card(source: str, addition: "Addition") -> str:
    lines = "\n".join(f"| {one.key} | {shown(one.value)} | {shown(one.origin)} |" for one in addition.items)
    return (
        f"# {addition.manifest.name}\n\n{addition.manifest.description}\n\n"
        f"Added from `{shown(source)}` by `audiomon models`, which found out:\n\n"
        f"| what | value | says who |\n| --- | --- | --- |\n{lines}\n"
    )


def _as_model(folder: Path) -> str:
    if folder.parent in model_folders():
        return folder.name
    return str(folder) if "/" in str(folder) else f"./{folder}"
