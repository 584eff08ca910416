"""From settings to a classifier that is ready: find the package, have it checked, load it, warm it."""

from audiomon.config import DecisionRules, decision_rules
from audiomon.config.settings import Settings
from audiomon.errors import ConfigError, FieldError, ModelError
from audiomon.models.checking_process import CheckingProcess
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import choose_backend
from audiomon.models.package import ModelPackage, find_package, read_package
from audiomon.pipeline.clips import clip_rules


class LoadingModel:
    """A model on its way: being checked in its own process while the caller does something else.

    Args:
        settings: names the model.
        package: the one that it names, if it has been read already.

    Raises:
        ModelError, ConfigError: the package is wrong, or the configuration names a label that it lacks.
    """

    def __init__(self, settings: Settings, package: ModelPackage | None = None) -> None:
        self._settings = settings
        self.package = package or named_package(settings)
        self.rules = rules_for(self.package, settings)
        self._backend = choose_backend(settings.config.interpreter)
        self._checking = CheckingProcess(self.package, self._backend)

    @property
    def checked(self) -> bool:
        """Whether the checking process has ended, well or not."""
        return self._checking.ended

    def wait(self) -> None:
        """Wait for the check.

        Raises:
            ModelError, ConfigError: it did not pass.
        """
        try:
            self._checking.wait()
        except ModelError as error:
            raise _at_model_key(error, self._settings) from None

    def classifier(self) -> Classifier:
        """Wait for the check, load the model and warm it.

        Raises:
            ModelError, ConfigError: it did not pass.
        """
        self.wait()
        try:
            classifier = Classifier(self.package, self._backend, self._settings.config.threads)
        except ModelError as error:
            raise _at_model_key(error, self._settings) from None
        classifier.warm()
        return classifier

    def cancel(self) -> None:
        """Forget about it: end the checking process."""
        self._checking.kill()


def rules_for(package: ModelPackage, settings: Settings) -> DecisionRules:
    """Lay the configuration's decisions over those of the package's manifest.

    Raises:
        ConfigError: the configuration contradicts itself, or names a label that the model lacks, there or for clips.
    """
    manifest = package.manifest
    if settings.document is not None:
        try:
            clip_rules(manifest.labels, settings.config.clips)
        except FieldError as error:
            raise settings.document.error(("clips", *error.keys), error.reason) from None
    try:
        return decision_rules(manifest.labels, manifest.decisions, settings.config.decisions)
    except FieldError as error:
        document = settings.document or package.document
        raise document.error(("decisions", *error.keys), error.reason) from None


def named_package(settings: Settings) -> ModelPackage:
    """Read the package that the settings name.

    Raises:
        ModelError, ConfigError: there is none, or it is wrong.
    """
    try:
        return read_package(find_package(settings.config.model, settings.folder))
    except ModelError as error:
        raise _at_model_key(error, settings) from None


def _at_model_key(error: ModelError, settings: Settings) -> ModelError | ConfigError:
    """Name the line that chose the model, where a file did and no option laid another over it."""
    document = settings.document
    chosen_there = document is not None and (document.data or {}).get("model") == settings.config.model
    return document.error(("model",), str(error)) if document is not None and chosen_there else error
