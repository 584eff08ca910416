"""A configuration as a command uses it: the file, found and read, with the command line's options on top."""

from pathlib import Path
from typing import Any

import msgspec

from audiomon.config import Config, Document, convert, load_config
from audiomon.errors import MAX_PATH, FieldError, UserError, dotted
from audiomon.foreign import shown
from audiomon.shipped import checkout, packaged

SYSTEM_CONFIG = Path("/etc/audiomon/audiomon.yaml")
_MAX_DEVICE_DIGITS = 9


class Settings(msgspec.Struct, frozen=True):
    """A configuration and where it came from.

    Attributes:
        config: with the command line's options on top.
        document: the file behind it, None for the defaults.
    """

    config: Config
    document: Document | None

    @property
    def source(self) -> str:
        """What to call it, printable."""
        return shown(self.document.path, MAX_PATH) if self.document else "the defaults"

    def with_options(self, *, device: str | None, predictions: Any) -> "Settings":
        """Put the command line's microphone and output options on top (those that are not None)."""
        config = self.config
        if device is not None:
            is_number = device.isdecimal() and len(device) <= _MAX_DEVICE_DIGITS
            chosen = int(device) if is_number else device
            microphone = msgspec.structs.replace(config.microphone, device=chosen)
            config = msgspec.structs.replace(config, microphone=microphone)
        if predictions is not None:
            journal = msgspec.structs.replace(config.journal, predictions=predictions)
            config = msgspec.structs.replace(config, journal=journal)
        return Settings(config, self.document)

    def with_model(self, folder: Path) -> "Settings":
        """Lay another model over it, by its package's folder."""
        return Settings(msgspec.structs.replace(self.config, model=str(folder)), self.document)

    @property
    def folder(self) -> Path:
        """Where relative paths in it start."""
        return self.document.path.parent if self.document else Path()


def load_settings(config_path: Path | None, **overrides: Any) -> Settings:
    """Read the configuration and put options on top (those that are not None).

    Raises:
        ConfigError: the file is not what it should be.
        UserError: an option has a value that its key cannot have.
    """
    path = config_path or default_config()
    config, document = load_config(path) if path else (Config(), None)
    given = {key: value for key, value in overrides.items() if value is not None}
    try:
        convert(given, Config)
    except FieldError as error:
        raise UserError(error.reason, key=dotted(error.keys)) from None
    if "hop_s" in given:
        given["hop_fraction"] = None  # an option wins over the file, also over its other way to say the same
    if "model" in given and "/" in given["model"]:
        given["model"] = str(Path(given["model"]).resolve())  # the command line's paths start from here
    return Settings(msgspec.structs.replace(config, **given), document)


def default_config() -> Path | None:
    """Return the configuration that is used when none is named: the checkout's, the system's, or the wheel's."""
    candidates = [SYSTEM_CONFIG, packaged() / "config" / "audiomon.yaml"]
    if (source := checkout()) is not None:
        candidates.insert(0, source / "config" / "audiomon.yaml")
    return next((path for path in candidates if path.exists()), None)
