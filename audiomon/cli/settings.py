"""What several commands share: finding the configuration, laying options over it, loading the model it names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from audiomon.config import Config, DecisionRules, Document, RulesError, decision_rules, load_config
from audiomon.errors import ModelError
from audiomon.models.classifier import CheckingProcess, Classifier
from audiomon.models.interpreter import choose_backend
from audiomon.models.package import find_package, read_package

SYSTEM_CONFIG = Path("/etc/audiomon/audiomon.yaml")

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Configuration to use. Otherwise the checkout's config/audiomon.yaml, else /etc/audiomon/audiomon.yaml, "
    "else the defaults.",
)
model_option = click.option("-m", "--model", help="Model package: a name (see `audiomon models`) or a folder.")
interpreter_option = click.option(
    "--interpreter", type=click.Choice(["auto", "litert", "tflite-runtime"]), help="What runs the model."
)
hop_option = click.option(
    "--hop", "hop_s", type=click.FloatRange(0.01, 60), help="Seconds from one prediction to the next."
)


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration and where it came from.

    Attributes:
        config: with the command line's options laid over it.
        document: the file behind it, None for the defaults.
    """

    config: Config
    document: Document | None

    @property
    def source(self) -> str:
        """What to call it."""
        return str(self.document.path) if self.document else "the defaults"

    def with_options(self, *, device: str | None, predictions: Any) -> "Settings":
        """Lay the command line's microphone and output options over it (those that are not None)."""
        config = self.config
        if device is not None:
            chosen = int(device) if device.isdigit() else device
            microphone = msgspec.structs.replace(config.microphone, device=chosen)
            config = msgspec.structs.replace(config, microphone=microphone)
        if predictions is not None:
            journal = msgspec.structs.replace(config.journal, predictions=predictions)
            config = msgspec.structs.replace(config, journal=journal)
        return Settings(config, self.document)

    @property
    def folder(self) -> Path:
        """Where relative paths in it start."""
        return self.document.path.parent if self.document else Path()


def load_settings(config_path: Path | None, **overrides: Any) -> Settings:
    """Read the configuration and lay options over it (those that are not None).

    Raises:
        ConfigError: the file is not what it should be.
    """
    path = config_path or _default_config()
    config, document = load_config(path) if path else (Config(), None)
    given = {key: value for key, value in overrides.items() if value is not None}
    if "model" in given and "/" in given["model"]:
        given["model"] = str(Path(given["model"]).resolve())  # the command line's paths start from here
    return Settings(msgspec.structs.replace(config, **given), document)


def _default_config() -> Path | None:
    checkout = Path(__file__).resolve().parents[2]
    candidates = [SYSTEM_CONFIG]
    if (checkout / "pyproject.toml").exists():
        candidates.insert(0, checkout / "config" / "audiomon.yaml")
    return next((path for path in candidates if path.exists()), None)


class LoadingModel:
    """A model on its way: being checked in its own process while the caller does something else.

    Args:
        settings: names the model.

    Raises:
        ModelError, ConfigError: the package is wrong, or the configuration names a label that it lacks.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._backend = choose_backend(settings.config.interpreter)
        self.package = read_package(_find(settings))
        self._checking = CheckingProcess(self.package, self._backend)
        self.rules = self._decision_rules()

    def classifier(self) -> Classifier:
        """Wait for the check, load the model and warm it.

        Raises:
            ModelError: it did not pass.
        """
        self._checking.wait()
        classifier = Classifier(self.package, self._backend, self._settings.config.threads)
        classifier.warm()
        return classifier

    def _decision_rules(self) -> DecisionRules:
        manifest = self.package.manifest
        try:
            return decision_rules(manifest.labels, manifest.decisions, self._settings.config.decisions)
        except RulesError as error:
            # The manifest's own are in order, or it would not have been read: the configuration's are not.
            document = self._settings.document or self.package.document
            raise document.error(("decisions", *error.keys), error.problem) from None


def _find(settings: Settings) -> Path:
    try:
        return find_package(settings.config.model, settings.folder)
    except ModelError as error:
        if settings.document and ("model",) in settings.document.lines:
            raise settings.document.error(("model",), str(error)) from None
        raise
