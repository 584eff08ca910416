"""Writing a model package, whole or not at all: what training, conversion and adding a bare file have in common."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from audiomon.errors import ConfigError, ModelError
from audiomon.models.checking_process import CheckingProcess
from audiomon.models.interpreter import Backend, choose_backend
from audiomon.models.manifest import Manifest, SelfTest
from audiomon.models.package import MANIFEST, WEIGHTS, read_package
from audiomon.models.self_test import Signal

CARD = "README.md"

SIGNALS: tuple[Signal, ...] = ("silence", "noise", "chirp", "clicks")
STAGES = 2
# Share of the self-test windows' values outside of what a quantised input holds from which that is worth a word.
MAX_CLIPPED = 0.05
# Scores that a self-test remembers: all of them would be most of a manifest with hundreds of labels, and slow to read.
_SCORES_EXPECTED = 20


def write_package(
    folder: Path,
    content: bytes,
    manifest: Manifest,
    card: str,
    *,
    tolerance: float = 0.001,
    backend: Backend | None = None,
    progress: Callable[[str], None] = lambda _stage: None,
) -> float:
    """Write a package, replacing one that is there; the old one stays whole until the new one has passed.

    Args:
        folder: the package's own folder; other files in it (a sample recording, pictures) stay.
        content: the .tflite file.
        manifest: its ``name``, ``sha256`` and ``self_test`` are filled in here.
        card: the model card, Markdown.
        tolerance: of the self-test's scores; quantised models differ more between machines than float32 ones.
        backend: which runtime answers the self-test; the best one installed if None.
        progress: called with what begins next, `STAGES` times.

    Returns:
        The share of the self-test windows' values that the model's quantised input cannot hold; 0 if it is float32.

    Raises:
        ModelError, ConfigError: the model and the manifest disagree, the runtime refuses the model, or the folder may
            not be written.
    """
    try:
        return _write_package(folder, content, manifest, card, tolerance, backend, progress)
    except OSError as error:
        raise ModelError(f"cannot be written: {error.strerror}", path=folder) from None


def _write_package(
    folder: Path,
    content: bytes,
    manifest: Manifest,
    card: str,
    tolerance: float,
    backend: Backend | None,
    progress: Callable[[str], None],
) -> float:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        draft = Path(scratch)
        try:
            written, clipped = _write_draft(
                draft, content, card, _self_tested(manifest, folder.name, content, tolerance), backend, progress
            )
        except (ConfigError, ModelError) as error:
            # The draft is gone when this is read: name the package that was to be.
            path = error.path and folder / error.path.name
            reason = error.reason.replace(scratch, str(folder))
            raise type(error)(reason, path=path, line=error.line, key=error.key) from None
        folder.mkdir(exist_ok=True)
        for name in (WEIGHTS, CARD, MANIFEST):
            os.replace(draft / name, folder / name)
    with contextlib.suppress(ConfigError, ModelError):
        if read_package(folder).fingerprint == written:
            return clipped
    raise ModelError("another process wrote it at the same time; run this again", path=folder)


def _self_tested(manifest: Manifest, name: str, content: bytes, tolerance: float) -> Manifest:
    """Fill in what the content decides, and self-tests that are still to be answered."""
    tests = tuple(
        SelfTest(signal=signal, expected={manifest.labels[0]: 0.0}, tolerance=tolerance) for signal in SIGNALS
    )
    return msgspec.structs.replace(manifest, name=name, sha256=hashlib.sha256(content).hexdigest(), self_test=tests)


def _write_draft(
    draft: Path,
    content: bytes,
    card: str,
    manifest: Manifest,
    backend: Backend | None,
    progress: Callable[[str], None],
) -> tuple[str, float]:
    """Write a package that passes its check; return its fingerprint, and `Verdict.clipped`.

    The model may be anybody's: it runs in checking processes only.
    """
    backend = backend or choose_backend("auto")
    (draft / WEIGHTS).write_bytes(content)
    (draft / CARD).write_text(card, encoding="utf-8")
    _write_manifest(draft / MANIFEST, manifest)
    progress("asking the model for its self-test")
    answers = CheckingProcess(draft, backend).answers()
    answered = tuple(
        msgspec.structs.replace(test, expected=_expected(manifest.labels, scores))
        for test, scores in zip(manifest.self_test, answers, strict=True)
    )
    _write_manifest(draft / MANIFEST, msgspec.structs.replace(manifest, self_test=answered))
    progress("checking the package")
    package = read_package(draft)
    checking = CheckingProcess(draft, backend)
    checking.wait()
    for name in (WEIGHTS, CARD, MANIFEST):
        with (draft / name).open("rb") as file:
            os.fsync(file.fileno())  # a power cut must not leave an empty file under a good name
    return package.fingerprint, checking.clipped


def _expected(labels: tuple[str, ...], scores: tuple[float, ...]) -> tuple[float, ...] | dict[str, float]:
    """Return what a self-test expects: every score, or the highest of many."""
    if len(labels) <= _SCORES_EXPECTED:
        return tuple(round(score, 6) for score in scores)
    highest = sorted(range(len(labels)), key=lambda index: -scores[index])[:_SCORES_EXPECTED]
    return {labels[index]: round(scores[index], 6) for index in highest}


def _write_manifest(path: Path, manifest: Manifest) -> None:
    data: dict[str, Any] = msgspec.to_builtins(manifest)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
    path.write_text(
        "# A model package; audiomon/models/manifest.py says what every key means.\n" + text, encoding="utf-8"
    )
