"""Writing a model package, whole or not at all: what training, conversion and adding a bare file have in common."""

import hashlib
import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import yaml

from audiomon.errors import ModelError
from audiomon.models.classifier import Classifier, self_test_window
from audiomon.models.interpreter import Backend, choose_backend
from audiomon.models.manifest import Manifest, SelfTest
from audiomon.models.package import MANIFEST, WEIGHTS, read_package
from audiomon.models.self_test import Signal

CARD = "README.md"

_SIGNALS: tuple[Signal, ...] = ("silence", "noise", "chirp", "clicks")


def write_package(
    folder: Path,
    content: bytes,
    manifest: Manifest,
    card: str,
    *,
    tolerance: float = 0.001,
    backend: Backend | None = None,
) -> None:
    """Write a package, replacing one that is there; the old one stays whole until the new one has passed.

    Args:
        folder: the package's own folder; other files in it (a sample recording, pictures) stay.
        content: the .tflite file.
        manifest: its ``name``, ``sha256`` and ``self_test`` are filled in here.
        card: the model card, Markdown.
        tolerance: of the self-test's scores; quantised models differ more between machines than float32 ones.
        backend: which runtime answers the self-test; the best one installed if None.

    Raises:
        ModelError: the model and the manifest disagree, or the runtime refuses the model.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        draft = Path(scratch)
        (draft / WEIGHTS).write_bytes(content)
        (draft / CARD).write_text(card, encoding="utf-8")
        unanswered = tuple(
            SelfTest(signal=signal, expected=(0.0,) * len(manifest.labels), tolerance=tolerance) for signal in _SIGNALS
        )
        manifest = msgspec.structs.replace(
            manifest, name=folder.name, sha256=hashlib.sha256(content).hexdigest(), self_test=unanswered
        )
        _write_manifest(draft / MANIFEST, manifest)
        classifier = Classifier(read_package(draft), backend or choose_backend("auto"))
        answered = tuple(
            msgspec.structs.replace(
                test,
                expected=tuple(
                    round(float(score), 6) for score in classifier.scores(self_test_window(test.signal, manifest.input))
                ),
            )
            for test in unanswered
        )
        if not all(math.isfinite(score) for test in answered for score in test.expected):
            raise ModelError(f"{folder.name}: the model answers a self-test sound with scores that are not numbers")
        _write_manifest(draft / MANIFEST, msgspec.structs.replace(manifest, self_test=answered))
        Classifier(read_package(draft), classifier.interpreter.backend).self_test()
        folder.mkdir(exist_ok=True)
        for name in (WEIGHTS, CARD, MANIFEST):
            shutil.copyfile(draft / name, folder / f".{name}")
            os.replace(folder / f".{name}", folder / name)


def _write_manifest(path: Path, manifest: Manifest) -> None:
    data: dict[str, Any] = msgspec.to_builtins(manifest)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
    path.write_text(
        "# A model package; audiomon/models/manifest.py says what every key means.\n" + text, encoding="utf-8"
    )
