"""Which model is on trial and which one is proven, for the next process, should this one end without a word.

A small file in the runtime folder, which outlives a restart of the service and no reboot. A model that crashes, hangs
or is killed for its memory cannot be noticed by the process that runs it; the one after it finds the record.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from audiomon.daemon.running import Running
from audiomon.errors import AudiomonError, UserError
from audiomon.foreign import MAX_SHOWN, shown
from audiomon.models.package import ModelPackage, PackageFiles, parse_package, read_files
from audiomon.runtime_files import read_runtime

FILE = "model.json"

_MAX_FAILED = 20
_Text = Annotated[str, Meta(max_length=4096)]


class ModelRecord(msgspec.Struct, frozen=True):
    """What runs, and what to run instead.

    Attributes:
        running: digest of the files of the package that runs.
        folder: of that package.
        before: digest of the package that was proven before it; empty once the one that runs is proven itself.
        before_folder: of that package.
        failed: digests of packages that failed, and what they did.
    """

    running: _Text
    folder: _Text
    before: _Text = ""
    before_folder: _Text = ""
    failed: Annotated[dict[_Text, _Text], Meta(max_length=_MAX_FAILED)] = {}

    @property
    def proven(self) -> tuple[str, Path]:
        """Digest and folder of the package that is known to work."""
        return (self.before, Path(self.before_folder)) if self.before else (self.running, Path(self.folder))

    def failure(self, files: PackageFiles) -> str:
        """Return what a package did the last time; empty if it is not known to have failed."""
        if self.before and files.digest == self.running:
            name = shown(files.folder.name, MAX_SHOWN)
            return f"audiomon ended without a word while it listened with the model {name} for the first time"
        return self.failed.get(files.digest, "")


def record_of(running: Running, before: Running | None, failed: dict[str, str]) -> ModelRecord:
    """Return the record of what runs.

    Args:
        running: in force.
        before: in force before it, while it is on trial.
        failed: packages that failed, by digest, and what they did.
    """
    package, proven = running.classifier.package, before and before.classifier.package
    return ModelRecord(
        running=package.digest,
        folder=str(package.folder),
        before=proven.digest if proven else "",
        before_folder=str(proven.folder) if proven else "",
        failed=dict(list(failed.items())[-_MAX_FAILED:]),
    )


def read_record(folder: Path | None) -> ModelRecord | None:
    """Return what the process before left behind; None if it ended in order, or there was none."""
    if folder is None:
        return None
    try:
        return read_runtime(folder, FILE, ModelRecord)
    except UserError:
        return None


def proven_package(record: ModelRecord) -> ModelPackage | None:
    """Return the package that is known to work, if it is still the same; None otherwise."""
    digest, folder = record.proven
    try:
        files = read_files(folder)
        return parse_package(files) if files.digest == digest else None
    except AudiomonError:
        return None
