"""What is sent to a worker, or to its child, and the model that it becomes there. Knows nothing of a cluster."""

import tempfile
from functools import cached_property
from pathlib import Path

import msgspec

from audiomon.archive.hearing import Hearing
from audiomon.archive.schema import Run
from audiomon.config import DecisionRules
from audiomon.errors import ModelError
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import choose_backend
from audiomon.models.package import MANIFEST, WEIGHTS, ModelPackage, read_package


class Task(msgspec.Struct, frozen=True, dict=True):
    """Everything that a worker needs besides a part.

    Attributes:
        run: what is to be done.
        root: address of what recordings' names start from.
        out: address of where the results go.
        manifest: bytes of the package's ``model.yaml``.
        weights: bytes of its ``model.tflite``.
        rules: when scores become events.
        threads: for the interpreter.
    """

    run: Run
    root: str
    out: str
    manifest: bytes
    weights: bytes
    rules: DecisionRules
    threads: int

    def hearing(self) -> Hearing:
        """Load the model, and see that it is the one that was meant and answers here as it should.

        Raises:
            ModelError: it is not, does not, or the interpreter is missing.
        """
        package = self._package()
        if package.fingerprint != self.run.model_sha256:
            raise ModelError(f"the model came as {package.fingerprint[:12]}…, not {self.run.model_sha256[:12]}…")
        backend = choose_backend(self.run.interpreter)  # type: ignore[arg-type]  # a backend's name, in JSON a string
        classifier = Classifier(package, backend, self.threads)
        classifier.self_test()
        return Hearing(self.run, classifier, self.rules)

    @cached_property
    def loaded(self) -> Hearing:
        """The same, loaded once."""
        return self.hearing()

    def _package(self) -> ModelPackage:
        with tempfile.TemporaryDirectory(prefix="audiomon-") as folder:
            (Path(folder) / MANIFEST).write_bytes(self.manifest)
            (Path(folder) / WEIGHTS).write_bytes(self.weights)
            return read_package(Path(folder))
