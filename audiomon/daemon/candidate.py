"""New settings on their way to being in force: read, compared with what runs, their model checked and loaded.

Nothing here touches what runs; a candidate that fails leaves no trace.
"""

from collections.abc import Mapping

from audiomon.clock import Clock
from audiomon.config.diff import changed_keys
from audiomon.config.settings import Settings
from audiomon.daemon.running import Running
from audiomon.errors import ModelError
from audiomon.models.classifier import Classifier
from audiomon.models.package import ModelPackage
from audiomon.pipeline.loading import LoadingModel, named_files, rules_for
from audiomon.pipeline.prediction import Facts

# Keys that the model is loaded by, besides its package.
_LOADED_BY = {"interpreter", "threads"}


class Candidate:
    """What will run if all goes well.

    Args:
        running: what runs now.
        settings: what shall.
        failed: digests of packages that failed while they listened, and what they did.
        clock: times the steps.

    Attributes:
        changes: keys that differ.
        reopens: whether the microphone has to be closed and opened again.

    Raises:
        ModelError, ConfigError: it will not do.
    """

    def __init__(self, running: Running, settings: Settings, failed: Mapping[str, str], clock: Clock) -> None:
        self._running = running
        self._clock = clock
        self._began_ns = clock.monotonic_ns()
        self.settings = settings
        self.changes = changed_keys(running.settings.config, settings.config)
        files, before = named_files(settings), running.classifier.package
        digest, folder = files.digest, files.folder
        del files  # the check may need the memory
        if digest in failed:
            raise ModelError(f"{failed[digest]}; it is not tried again until its files change")
        self._loads_again = any(change.key in _LOADED_BY for change in self.changes)
        self._other_model = digest != before.digest
        self._loading = LoadingModel(settings, folder) if self.swaps else None
        self.reopens = any(change.reload == "reopen" for change in self.changes)
        self._checked_s = 0.0
        self._loaded_s = 0.0

    @property
    def swaps(self) -> bool:
        """Whether another model, or the same in another way, is loaded; before it is checked, whether that may be."""
        return self._loads_again or self._other_model

    @property
    def empty(self) -> bool:
        """Whether all is as it was."""
        return not self.changes and not self.swaps

    @property
    def ready(self) -> bool:
        """Whether `running` returns, or raises, without a wait."""
        return self._loading is None or self._loading.checked

    def running(self) -> Running:
        """Load the model if it is another one, and return what can be put in force.

        Raises:
            ModelError, ConfigError: it failed its check.
        """
        if self._loading is None:
            rules = rules_for(self._package, self.settings)
        else:
            rules = self._loading.rules
            # Files may differ, in a comment, and say the same.
            before = self._running.classifier.package
            self._other_model = self._loading.package.fingerprint != before.fingerprint
        return Running(self.settings, self._classifier(), rules)

    def abandon(self) -> None:
        """Stop what is being checked."""
        if self._loading is not None:
            self._loading.cancel()

    def times(self) -> Facts:
        """Return how long checking and loading took, in seconds."""
        return {"checked_s": round(self._checked_s, 3), "loaded_s": round(self._loaded_s, 3)} if self.swaps else {}

    def words(self) -> str:
        """Say what changes, from what to what."""
        before, after = self._running.classifier.package, self._package
        parts = [str(change) for change in self.changes if change.key != "model"]
        if self.swaps:
            parts.insert(0, f"model {_names(before, after)}")
        elif any(change.key == "model" for change in self.changes):
            parts.insert(0, f"the same model by another name ({self.settings.config.model})")
        return ", ".join(parts) or "nothing"

    def facts(self) -> Facts:
        """Return the same as `words`, for programs."""
        before, after = self._running.classifier.package, self._package
        facts: Facts = {"changes": ", ".join(map(str, self.changes)), **self.times()}
        if self.swaps:
            facts |= {
                "model": after.manifest.name,
                "model_sha256": after.fingerprint,
                "model_before": before.manifest.name,
                "model_before_sha256": before.fingerprint,
            }
        return facts

    @property
    def _package(self) -> ModelPackage:
        return self._loading.package if self._loading and self.swaps else self._running.classifier.package

    def _classifier(self) -> Classifier:
        if self._loading is None or not self.swaps:
            return self._running.classifier
        checked_ns = self._clock.monotonic_ns()
        classifier = self._loading.classifier()
        self._checked_s = (checked_ns - self._began_ns) / 1e9
        self._loaded_s = (self._clock.monotonic_ns() - checked_ns) / 1e9
        return classifier


def _names(before: ModelPackage, after: ModelPackage) -> str:
    if before.manifest.name != after.manifest.name:
        return f"{before.manifest.name} → {after.manifest.name}"
    if before.fingerprint != after.fingerprint:
        return f"{before.manifest.name} {before.fingerprint[:8]} → {after.fingerprint[:8]}"
    return f"{before.manifest.name} reloaded"
