"""``audiomon models get``: a package of a published model, fetched and checked as the catalogue says."""

from pathlib import Path

import click

from audiomon.cli.making_package import (
    fetched,
    file_name,
    make_package,
    package_folder,
    replace_option,
    target_option,
)
from audiomon.models.importing.catalogue import CATALOGUE, published


@click.command()
@click.argument("name", required=False)
@target_option
@replace_option
def get(name: str | None, target: Path | None, replace: bool) -> None:
    """Fetch the published model NAME, and make a package of it; without NAME, say which there are.

    Nothing is believed of what arrives before its SHA-256 is the one in the catalogue. A download that was interrupted
    is continued by the same command.

    \b
    Examples:
      audiomon models get
      sudo audiomon models get yamnet
    """
    if name is None:
        for model in CATALOGUE:
            click.echo(f"{model.name:<12} {model.good_for}; {model.size_bytes / 1e6:.1f} MB, {model.license}")
            click.echo(f"{'':<12} {model.address}")
        return
    from audiomon.models.importing.add import Asked

    model = published(name)
    wanted = target.resolve().name if target is not None else model.name
    folder = package_folder(Path(model.name), wanted, target, replace=replace)
    content = fetched(model.address, model.sha256, folder)
    make_package(
        folder,
        file_name(model.address),
        content,
        Asked(name=wanted, license=model.license, source=model.address),
    )
