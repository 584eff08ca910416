"""``audiomon models add``: a model package from a bare .tflite file, here or at an address."""

import hashlib
from pathlib import Path

import click

from audiomon.cli.making_package import (
    FOLDER,
    fetched,
    file_name,
    make_package,
    package_folder,
    replace_option,
    target_option,
)
from audiomon.cli.settings import labels_option
from audiomon.errors import ModelError, UserError
from audiomon.models.importing.download import is_address
from audiomon.models.package import MAX_WEIGHTS_BYTES, unreadable
from audiomon.models.plain_file import read_plain_file


@click.command()
@click.argument("file")
@click.option("--name", help="What `model:` will call it; otherwise the file's own name.")
@target_option
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
@click.option("--describe", "description", type=FOLDER, help="YAML file that says the same, as for audiomon convert.")
@click.option("--no-calibration", is_flag=True, help="Leave out the calibration of scores that the metadata has.")
@click.option("--sha256", metavar="HEX", help="Checksum that the file must have; needed for an address.")
@replace_option
def add(
    file: str,
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
    sha256: str | None,
    replace: bool,
) -> None:
    """Make a model package of FILE, a .tflite model or its https:// address, so that `model:` can name it.

    What the file says of itself (tensors, embedded metadata, packed label files) is taken from it; what follows from
    that is shown as inferred; what is still missing is listed, with the flag that says it.

    \b
    Examples:
      audiomon models add yamnet.tflite
      audiomon models add soundclassifier.tflite --labels labels.txt --sample-rate 44100
      audiomon models add mine.tflite --labels labels.txt --sample-rate 16000 \\
        --feature n_fft=1024 --feature hop_length=256
      audiomon models add https://example.org/birds.tflite --sha256 10c95ea3…
    """
    from audiomon.models.importing.add import Asked

    if target is not None:
        name = target.resolve().name
    distant = is_address(file)
    if distant and not sha256:
        raise UserError("an address needs --sha256: what comes over the network is not believed otherwise")
    path = file_name(file) if distant else Path(file)
    folder = package_folder(path, name, target, replace=replace)
    content = fetched(file, sha256 or "", folder) if distant else _read(path, sha256)
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
        source=file if distant else "",
    )
    make_package(folder, path, content, asked)


def _read(path: Path, sha256: str | None) -> bytes:
    try:
        content = read_plain_file(path, MAX_WEIGHTS_BYTES)
    except OSError as error:
        raise ModelError(unreadable(error), path=path) from None
    if sha256 and hashlib.sha256(content).hexdigest() != sha256.lower():
        raise ModelError(f"has another SHA-256 than {sha256}", path=path)
    return content
