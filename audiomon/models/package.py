"""A model package on disk: ``models/<name>/`` with ``model.yaml``, ``model.tflite`` and a model card.

Reading one never runs it; `audiomon.models.classifier` does that, after the checking process has.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from audiomon.config import Document, read_document, validate
from audiomon.errors import ModelError
from audiomon.models.manifest import Manifest
from audiomon.shipped import checkout, packaged

MANIFEST = "model.yaml"
WEIGHTS = "model.tflite"
# A Raspberry Pi 3B+ has 1 GB, and the service may take 320 MB of it: the running model, the next, and its check.
LARGEST_WEIGHTS_BYTES = 64 << 20


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

    @property
    def files(self) -> tuple[Path, Path]:
        """Paths of what it was read from."""
        return self.folder / MANIFEST, self.weights

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that the manifest says, the model's checksum included."""
        return hashlib.sha256(msgspec.json.encode(self.manifest)).hexdigest()


@contextmanager
def package_locked(folder: Path, *, writing: bool) -> Iterator[None]:
    """Keep a package's files as they are while they are read, or all to oneself while they are exchanged.

    Raises:
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if writing else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def read_manifest(folder: Path) -> tuple[Manifest, Document]:
    """Read a package's manifest alone.

    Raises:
        ModelError: there is no such package.
        ConfigError: the manifest is wrong.
    """
    try:
        (folder / MANIFEST).stat()
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{folder}: is not a model package: it has no {MANIFEST}") from None
    except OSError as error:
        raise ModelError(f"{folder}: cannot be read: {error.strerror}") from None
    document = read_document(package_file(folder, MANIFEST))
    return validate(document, Manifest), document


def package_file(folder: Path, name: str) -> Path:
    """Return the path of a package's file, which must lie in it.

    A package may be anybody's: a link in it to a file outside, as an archive can hold, would have that file read, and
    quoted in an error, on behalf of whoever made the package. The folder itself may be a link, made by whoever owns it.

    Raises:
        ModelError: it is a link that leads out of the folder.
    """
    path = folder / name
    try:
        real, inside = path.resolve(), folder.resolve()
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'links in a circle'}") from None
    if not real.is_relative_to(inside):
        raise ModelError(f"{path}: is a link that leads out of its package, to {real}; put the file itself there")
    return path


def read_package(folder: Path) -> ModelPackage:
    """Read a package and compare its checksum.

    Raises:
        ModelError: something is missing.
        ConfigError: the manifest is wrong, or the checksum differs.
    """
    try:
        with package_locked(folder, writing=False):
            manifest, document = read_manifest(folder)
            content = _read_weights(package_file(folder, WEIGHTS))
    except OSError as error:
        raise ModelError(f"{folder}: cannot be read: {error.strerror}") from None
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != manifest.sha256:
        raise document.error(
            ("sha256",),
            f"{WEIGHTS} has the checksum {checksum[:12]}…, not {manifest.sha256[:12]}…: it is damaged or "
            f"belongs to another manifest",
        )
    return ModelPackage(folder, manifest, document, content)


def _read_weights(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path}: is not a file")
        if status.st_size > LARGEST_WEIGHTS_BYTES:
            raise ModelError(f"{path}: is larger than {LARGEST_WEIGHTS_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None


def model_folders() -> list[Path]:
    """Return the folders that are searched for models by name, first match wins.

    ``AUDIOMON_MODELS`` (folders, separated by ``:``), the checkout that this code runs from,
    ``/usr/local/share/audiomon/models``, and last what the wheel brings.
    """
    folders = [Path(part) for part in os.environ.get("AUDIOMON_MODELS", "").split(":") if part]
    if (source := checkout()) is not None:
        folders.append(source / "models")
    return [*folders, Path("/usr/local/share/audiomon/models"), packaged() / "models"]


def find_package(name: str, beside: Path) -> Path:
    """Find a package's folder.

    Args:
        name: of a package in `model_folders`, or a path if it has a slash or is made of dots.
        beside: folder that a relative path starts from.

    Raises:
        ModelError: there is none; the message lists those there are.
    """
    try:
        if "/" in name or name in (".", ".."):
            folder = (beside / Path(name).expanduser()).resolve()
            if not folder.is_dir():
                raise ModelError(f"{folder}: no such folder")
            return folder
        for parent in model_folders():
            if (parent / name / MANIFEST).exists():
                return parent / name
    except (OSError, ValueError, RuntimeError) as error:  # too long, a zero byte, the home of nobody
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{name[:100]!r} cannot be a model's name or folder: {reason}") from None
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
