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
from audiomon.models.manifest import Manifest
from audiomon.pipeline.loading import LoadingModel, named_package, rules_for
from audiomon.pipeline.prediction import Facts

# Keys that the model is loaded by, besides its package.
_LOADED_BY = {"interpreter", "threads"}


class Candidate:
    """What will run if all goes well.

    Args:
        running: what runs now.
        settings: what shall.
        failed: fingerprints of packages that failed while they listened, and what they did.
        clock: times the steps.

    Attributes:
        changes: keys that differ.
        swaps: whether another model, or the same in another way, has to be loaded.
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
        package = named_package(settings)
        if package.fingerprint in failed:
            raise ModelError(f"{failed[package.fingerprint]}; it is not tried again until its files change")
        before = running.classifier.package
        self.swaps = package.fingerprint != before.fingerprint or any(c.key in _LOADED_BY for c in self.changes)
        self._rules = rules_for(package, settings)
        self._loading = LoadingModel(settings, package) if self.swaps else None
        self.reopens = any(change.reload == "reopen" for change in self.changes)
        self._checked_s = 0.0
        self._loaded_s = 0.0

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
        return Running(self.settings, self._classifier(), self._rules)

    def abandon(self) -> None:
        """Stop what is being checked."""
        if self._loading is not None:
            self._loading.cancel()

    def times(self) -> Facts:
        """Return how long checking and loading took, in seconds."""
        return {"checked_s": round(self._checked_s, 3), "loaded_s": round(self._loaded_s, 3)} if self.swaps else {}

    def words(self) -> str:
        """Say what changes, from what to what."""
        before, after = self._running.classifier.package.manifest, self._manifest
        parts = [str(change) for change in self.changes if change.key != "model"]
        if self.swaps:
            parts.insert(0, f"model {_names(before, after)}")
        elif any(change.key == "model" for change in self.changes):
            parts.insert(0, f"the same model by another name ({self.settings.config.model})")
        return ", ".join(parts) or "nothing"

    def facts(self) -> Facts:
        """Return the same as `words`, for programs."""
        before = self._running.classifier.package.manifest
        facts: Facts = {"changes": ", ".join(map(str, self.changes)), **self.times()}
        if self.swaps:
            facts |= {
                "model": self._manifest.name,
                "model_sha256": self._manifest.sha256,
                "model_before": before.name,
                "model_before_sha256": before.sha256,
            }
        return facts

    @property
    def _manifest(self) -> Manifest:
        return self._loading.package.manifest if self._loading else self._running.classifier.package.manifest

    def _classifier(self) -> Classifier:
        if self._loading is None:
            return self._running.classifier
        checked_ns = self._clock.monotonic_ns()
        classifier = self._loading.classifier()
        self._checked_s = (checked_ns - self._began_ns) / 1e9
        self._loaded_s = (self._clock.monotonic_ns() - checked_ns) / 1e9
        return classifier


def _names(before: Manifest, after: Manifest) -> str:
    if before.name != after.name:
        return f"{before.name} → {after.name}"
    if before.sha256 != after.sha256:
        return f"{before.name} {before.sha256[:8]} → {after.sha256[:8]}"
    return f"{before.name} reloaded"
