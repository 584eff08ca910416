"""A model package on disk: ``models/<name>/`` with ``model.yaml``, ``model.tflite`` and a model card.

Reading one never runs it; `audiomon.models.classifier` does that, after the checking process has.
"""

import errno
import hashlib
import os
from pathlib import Path
from typing import Self

import msgspec

from audiomon.clock import SystemClock
from audiomon.config import Document, read_document, validate
from audiomon.errors import ConfigError, ModelError
from audiomon.models.manifest import Manifest
from audiomon.models.plain_file import read_plain_file
from audiomon.shipped import checkout, packaged

MANIFEST = "model.yaml"
WEIGHTS = "model.tflite"
# A Raspberry Pi 3B+ has 1 GB, and the service may take 320 MB of it: the running model, the next, and its check.
MAX_WEIGHTS_BYTES = 64 << 20
MAX_MANIFEST_BYTES = 1 << 20
_LINK = "is a link, which a package may not hold; put the file itself there"
_NO_PACKAGE = f"is not a model package: it has no {MANIFEST}"
# Between its two renames a writer leaves a package whose checksum is wrong: how long to wait before each further look.
_TORN_PAUSES_S = (0.0, 0.01, 0.05, 0.1)


class ModelPackage(msgspec.Struct, frozen=True):
    """What a package says, and the bytes of its model, read once: what was checked is what runs.

    Attributes:
        folder: where it lies.
        manifest: its ``model.yaml``.
        document: the same with line numbers, for errors.
        content: its ``model.tflite``.
        digest: see `PackageFiles.digest`; empty for one that was not read from files.
    """

    folder: Path
    manifest: Manifest
    document: Document
    content: bytes
    digest: str = ""

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


class PackageFiles(msgspec.Struct, frozen=True):
    """The bytes of a package. What they mean, and whether they belong together, is not looked at here.

    Attributes:
        folder: where they lie.
        manifest: of ``model.yaml``.
        content: of ``model.tflite``.
        checksum: SHA-256 of the content.
    """

    folder: Path
    manifest: bytes
    content: bytes
    checksum: str

    @property
    def digest(self) -> str:
        """SHA-256 that no other two files have: what was checked is known again by it, and what failed."""
        return hashlib.sha256(self.manifest + bytes.fromhex(self.checksum)).hexdigest()


class _Folder:
    """A package's folder, opened once: its files are reached through it, whatever happens to its name.

    A package may be anybody's. A link in it, as an archive can hold, would have another file read, and quoted in an
    error, on behalf of its author: none is followed. The folder itself may be a link, made by its owner.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def read(self, name: str, max_bytes: int) -> bytes:
        """Read one of its files.

        Raises:
            FileNotFoundError: there is none.
            ModelError: it cannot be read, is not a plain file, or is larger than ``max_bytes``.
        """
        path = self.path / name
        try:
            return read_plain_file(path, max_bytes, self._descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ModelError(_LINK if error.errno == errno.ELOOP else unreadable(error), path=path) from None


def unreadable(error: OSError) -> str:
    """Say that a file or folder cannot be read, and why."""
    return f"cannot be read: {error.strerror}"


def read_manifest(folder: Path) -> tuple[Manifest, Document]:
    """Read a package's manifest alone.

    Raises:
        ModelError: there is no such package.
        ConfigError: the manifest is wrong.
    """
    try:
        with _Folder(folder) as opened:
            return _parsed(folder, _manifest(opened))
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(_NO_PACKAGE, path=folder) from None
    except OSError as error:
        raise ModelError(unreadable(error), path=folder) from None


def _manifest(folder: _Folder) -> bytes:
    try:
        return folder.read(MANIFEST, MAX_MANIFEST_BYTES)
    except FileNotFoundError:
        raise ModelError(_NO_PACKAGE, path=folder.path) from None


def _parsed(folder: Path, manifest: bytes) -> tuple[Manifest, Document]:
    document = read_document(folder / MANIFEST, manifest)
    return validate(document, Manifest), document


def package_file(folder: Path, name: str) -> Path:
    """Return the path of another file of a package, such as its sample recording.

    Raises:
        ModelError: it is a link.
    """
    path = folder / name
    if path.is_symlink():
        raise ModelError(_LINK, path=path)
    return path


def read_files(folder: Path) -> PackageFiles:
    """Read the files of a package, and understand nothing of them.

    Raises:
        ModelError: one is missing or cannot be read.
    """
    try:
        with _Folder(folder) as opened:
            manifest, content = _manifest(opened), opened.read(WEIGHTS, MAX_WEIGHTS_BYTES)
    except FileNotFoundError as error:
        name = folder / WEIGHTS if error.filename == WEIGHTS else folder
        raise ModelError(unreadable(error), path=name) from None
    except OSError as error:
        raise ModelError(unreadable(error), path=folder) from None
    return PackageFiles(folder, manifest, content, hashlib.sha256(content).hexdigest())


def parse_package(files: PackageFiles) -> ModelPackage:
    """Understand what has been read of a package.

    A stranger's manifest takes as long as it is made to: `audiomon.models.checking_process` tries that out first.

    Raises:
        ConfigError: the manifest is wrong, or the checksum differs.
    """
    manifest, document = _parsed(files.folder, files.manifest)
    if files.checksum != manifest.sha256:
        raise document.error(
            ("sha256",),
            f"{WEIGHTS} has the checksum {files.checksum[:12]}…, not {manifest.sha256[:12]}…: it is damaged or "
            f"belongs to another manifest",
        )
    return ModelPackage(files.folder, manifest, document, files.content, files.digest)


def read_package(folder: Path) -> ModelPackage:
    """Read a package and compare its checksum.

    No lock: to hold one, permission to read is enough, and any user of the machine could keep it. A package that is
    being replaced shows by its checksum, and is read once more.

    Raises:
        ModelError: something is missing.
        ConfigError: the manifest is wrong, or the checksum differs.
    """
    clock = SystemClock()
    for pause_s in _TORN_PAUSES_S:
        try:
            return parse_package(read_files(folder))
        except ConfigError as error:
            if error.key != "sha256":
                raise
            clock.sleep(pause_s)
    return parse_package(read_files(folder))


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
            if folder.is_file():
                raise ModelError(f"is a file, not a folder{_hint(name)}", path=folder)
            if not folder.is_dir():
                raise ModelError("no such folder", path=folder)
            return folder
        for parent in model_folders():
            if (parent / name / MANIFEST).exists():
                return parent / name
    except (OSError, ValueError, RuntimeError) as error:  # too long, a zero byte, the home of an unknown user
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{name[:100]!r} cannot be a model's name or folder: {reason}") from None
    there = sorted({folder.name for folder in installed_packages()})
    raise ModelError(
        f"there is no model {name!r}{_hint(name)}; "
        + (f"there are: {', '.join(there)}" if there else "none is installed")
    )


def _hint(name: str) -> str:
    """Say what makes a package of what was named, where that is a bare model file or a published model."""
    from audiomon.models.importing.catalogue import CATALOGUE  # read only where a model is missing

    if name in {model.name for model in CATALOGUE}:
        return f" (sudo audiomon models get {name} fetches it)"
    return f" (audiomon models add {name} makes a package of a model file)" if name.endswith(".tflite") else ""


def installed_packages() -> list[Path]:
    """Return the folders of all packages that can be named, in search order."""
    return [
        manifest.parent
        for parent in model_folders()
        if parent.is_dir()
        for manifest in sorted(parent.glob(f"*/{MANIFEST}"))
    ]
