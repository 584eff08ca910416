"""What is in force: settings, the model that they name, and when its scores become events."""

import msgspec
from msgspec.structs import replace

from audiomon.config import DecisionRules
from audiomon.config.settings import Settings
from audiomon.models.classifier import Classifier
from audiomon.pipeline.clips import ClipRules, clip_rules
from audiomon.pipeline.listener import Announce, Replacement, announce_nothing


class Running(msgspec.Struct, frozen=True):
    """What is in force.

    Attributes:
        settings: read and applied.
        classifier: the model that they name.
        rules: their decisions laid over the model's.
    """

    settings: Settings
    classifier: Classifier
    rules: DecisionRules

    @property
    def asked_hop_s(self) -> float:
        """Seconds from one prediction to the next that are asked for."""
        return self.settings.config.asked_hop_s(self.classifier.spec.window_s)

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.classifier.package.manifest.name

    @property
    def clip_rules(self) -> ClipRules:
        """Which events' sound is kept, with this model."""
        package = self.classifier.package
        return clip_rules(self.classifier.labels, self.settings.config.clips, self.model, package.fingerprint)

    def replacement(self, announce: Announce = announce_nothing) -> Replacement:
        """Return this as a listener takes it over."""
        gate_dbfs = self.settings.config.gate_dbfs
        return Replacement(self.classifier, self.rules, self.asked_hop_s, gate_dbfs, announce, self.clip_rules)

    def has_settings_of(self, other: "Running") -> bool:
        """Say whether another one differs at most in its copy of the model."""
        return self.settings is other.settings

    def with_fresh_model(self) -> "Running":
        """Return the same with its model loaded once more: a thread that hangs is in this copy, and stays there.

        Raises:
            ModelError: it cannot be loaded again.
        """
        before = self.classifier
        classifier = Classifier(before.package, before.interpreter.backend, self.settings.config.threads)
        classifier.warm()
        return replace(self, classifier=classifier)
