"""What can go wrong, named for who has to act.

Raised anywhere, turned into one line and an exit status in one place: ``audiomon.cli``. An error carries what it is
about (path, line, key) as fields; its text is made from them, and never taken apart again.
"""

from pathlib import Path

from audiomon.foreign import shown

# Long enough for a full sentence with two quoted names, short enough for a terminal and a journal entry.
MAX_REASON = 800
MAX_PATH = 300
_MAX_KEY = 120

KeyPath = tuple[str | int, ...]


def dotted(keys: KeyPath) -> str:
    """Write a path of keys as ``decisions.labels.speech`` or ``labels[3]``."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


class AudiomonError(Exception):
    """Something failed that is not the user's mistake.

    ``str`` gives one line: ``FILE:LINE: key: reason``, without the parts that are unknown.

    Args:
        reason: what failed. It may quote anything: it is escaped and cut by `audiomon.foreign.shown`.
        path: the file that it is about.
        line: in that file, from 1.
        key: in that file, dotted as in ``microphone.device``; escaped and cut too.

    Attributes:
        path: as given: `str` of it may hold what cannot be printed.
        line: None if unknown.
        key: empty if unknown.
        reason: printable.
    """

    exit_status = 1

    def __init__(self, reason: str, *, path: Path | None = None, line: int | None = None, key: str = "") -> None:
        self.reason = shown(reason, MAX_REASON)
        super().__init__(self.reason)
        self.path = path
        self.line = line
        self.key = shown(key, _MAX_KEY)

    def __str__(self) -> str:
        """Write it as one printable line."""
        place = [] if self.path is None else [shown(self.path, MAX_PATH) + (f":{self.line}" if self.line else "")]
        return ": ".join([*place, *([self.key] if self.key else []), self.reason])


class UserError(AudiomonError):
    """The user asked for something that cannot be; the message says what to change."""

    exit_status = 2


class ConfigError(UserError):
    """A YAML file is not what it should be."""


class ModelError(UserError):
    """A model package is damaged, or disagrees with itself."""


class InputError(UserError):
    """An audio file or standard input cannot be used as audio."""


class DeviceError(UserError):
    """A microphone does not exist or cannot be opened."""


class CaptureError(DeviceError):
    """The capture thread failed, through no fault of the microphone."""


class OtherDeviceError(DeviceError):
    """The microphone is missing, and another one that matches its name may not replace it."""


class SoundSystemError(DeviceError):
    """The sound system blocks a thread of this process; only a new process can try again."""

    exit_status = 1


class StageError(AudiomonError):
    """A stage keeps failing; only a new process can go on."""


class FieldError(ValueError):
    """A value that cannot be, found by code that knows its key but not the file it came from.

    Raised where settings are converted, and by a struct's ``__post_init__``. `audiomon.config.Document.error` makes the
    user's error of it.

    Args:
        keys: path of the key, from the struct that is checked; empty for all of it.
        reason: what is wrong with its value.
    """

    def __init__(self, keys: KeyPath, reason: str) -> None:
        super().__init__(f"{dotted(keys)}: {reason}" if keys else reason)
        self.keys = keys
        self.reason = reason
