"""A model package on disk: ``models/<name>/`` with ``model.yaml``, ``model.tflite`` and a model card.

Reading one never runs it; `audiomon.models.classifier` does that, after the checking process has.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from audiomon.config import Document, read_document, validate
from audiomon.errors import ModelError
from audiomon.models.manifest import Manifest

MANIFEST = "model.yaml"
WEIGHTS = "model.tflite"
_LARGEST_WEIGHTS_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """What a package says, and the bytes of its model, read once: what was checked is what runs.

    Attributes:
        folder: where it lies.
        manifest: its ``model.yaml``.
        document: the same with line numbers, for errors.
        content: its ``model.tflite``.
    """

    folder: Path
    manifest: Manifest
    document: Document
    content: bytes

    @property
    def weights(self) -> Path:
        """Path of the .tflite file."""
        return self.folder / WEIGHTS


def read_manifest(folder: Path) -> tuple[Manifest, Document]:
    """Read a package's manifest alone.

    Raises:
        ModelError: there is no such package.
        ConfigError: the manifest is wrong.
    """
    if not (folder / MANIFEST).exists():
        raise ModelError(f"{folder}: is not a model package: it has no {MANIFEST}")
    document = read_document(folder / MANIFEST)
    return validate(document, Manifest), document


def read_package(folder: Path) -> ModelPackage:
    """Read a package and compare its checksum.

    Raises:
        ModelError: something is missing, or the checksum differs.
        ConfigError: the manifest is wrong.
    """
    manifest, document = read_manifest(folder)
    path = folder / WEIGHTS
    try:
        if path.stat().st_size > _LARGEST_WEIGHTS_BYTES:
            raise ModelError(f"{path}: is larger than {_LARGEST_WEIGHTS_BYTES >> 20} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != manifest.sha256:
        raise document.error(
            ("sha256",),
            f"{WEIGHTS} has the checksum {checksum[:12]}…, not {manifest.sha256[:12]}…: it is damaged or "
            f"belongs to another manifest",
        )
    return ModelPackage(folder, manifest, document, content)


def model_folders() -> list[Path]:
    """Return the folders that are searched for models by name, first match wins.

    ``AUDIOMON_MODELS`` (folders, separated by ``:``), then the checkout that this code runs from, then
    ``/usr/local/share/audiomon/models``.
    """
    folders = [Path(part) for part in os.environ.get("AUDIOMON_MODELS", "").split(":") if part]
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").exists():
        folders.append(checkout / "models")
    return [*folders, Path("/usr/local/share/audiomon/models")]


def find_package(name: str, beside: Path) -> Path:
    """Find a package's folder.

    Args:
        name: of a package in `model_folders`, or a path if it has a slash.
        beside: folder that a relative path starts from.

    Raises:
        ModelError: there is none; the message lists those there are.
    """
    if "/" in name:
        folder = (beside / Path(name).expanduser()).resolve()
        if not folder.is_dir():
            raise ModelError(f"{folder}: no such folder")
        return folder
    for parent in model_folders():
        if (parent / name / MANIFEST).exists():
            return parent / name
    there = sorted({folder.name for folder in installed_packages()})
    raise ModelError(
        f"there is no model {name!r}; " + (f"there are: {', '.join(there)}" if there else "none is installed")
    )


def installed_packages() -> list[Path]:
    """Return the folders of all packages that can be named, in search order."""
    return [
        manifest.parent
        for parent in model_folders()
        if parent.is_dir()
        for manifest in sorted(parent.glob(f"*/{MANIFEST}"))
    ]
