"""From settings to a classifier that is ready: find the package, have it checked, load it, warm it."""

from pathlib import Path

from audiomon.config import DecisionRules, decision_rules
from audiomon.config.settings import Settings
from audiomon.errors import ConfigError, FieldError, ModelError
from audiomon.models.checking_process import CheckingProcess
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import choose_backend
from audiomon.models.package import ModelPackage, PackageFiles, find_package, read_files, read_package
from audiomon.pipeline.clips import clip_rules


class LoadingModel:
    """A model on its way: being checked in its own process while the caller does something else.

    Args:
        settings: names the model.
        folder: of the package that it names, if that has been found already.

    Raises:
        ModelError, ConfigError: there is no such package.
    """

    def __init__(self, settings: Settings, folder: Path | None = None) -> None:
        self._settings = settings
        self._backend = choose_backend(settings.config.interpreter)
        self._checking = CheckingProcess(folder or named_folder(settings), self._backend)
        self._rules: DecisionRules | None = None

    @property
    def checked(self) -> bool:
        """Whether the checking process has ended, well or not."""
        return self._checking.ended

    @property
    def package(self) -> ModelPackage:
        """The package, once the checking process has understood it; its model may still be in its check.

        Raises:
            ModelError, ConfigError: it is none.
        """
        try:
            return self._checking.package()
        except ModelError as error:
            raise _at_model_key(error, self._settings) from None

    @property
    def rules(self) -> DecisionRules:
        """The decisions, those of the configuration laid over the package's.

        Raises:
            ModelError, ConfigError: they contradict each other, or it is no package.
        """
        if self._rules is None:
            try:
                self._rules = rules_for(self.package, self._settings)
            except ConfigError:
                self.cancel()
                raise
        return self._rules

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


def named_folder(settings: Settings) -> Path:
    """Return the folder of the package that the settings name.

    Raises:
        ModelError, ConfigError: there is none.
    """
    try:
        return find_package(settings.config.model, settings.folder)
    except ModelError as error:
        raise _at_model_key(error, settings) from None


def named_files(settings: Settings) -> PackageFiles:
    """Read the files of the package that the settings name, and understand nothing of them.

    Raises:
        ModelError, ConfigError: there is none.
    """
    try:
        return read_files(named_folder(settings))
    except ModelError as error:
        raise _at_model_key(error, settings) from None


def named_package(settings: Settings) -> ModelPackage:
    """Read the package that the settings name, in this process.

    Raises:
        ModelError, ConfigError: there is none, or it is wrong.
    """
    try:
        return read_package(named_folder(settings))
    except ModelError as error:
        raise _at_model_key(error, settings) from None


def _at_model_key(error: ModelError, settings: Settings) -> ModelError | ConfigError:
    """Name the line that chose the model, where a file did and no option laid another over it."""
    document = settings.document
    chosen_there = document is not None and (document.data or {}).get("model") == settings.config.model
    return document.error(("model",), str(error)) if document is not None and chosen_there else error
