"""What can go wrong, named for who has to act.

Raised anywhere, turned into one line and an exit status in one place: ``audiomon.cli``.
"""


class AudiomonError(Exception):
    """Something failed that is nobody's mistake; the message is one line for the user.

    Args:
        message: what failed. What cannot be printed is escaped: it may name a file, or quote what is in one.
    """

    exit_status = 1

    def __init__(self, message: str) -> None:
        if not message.isprintable():
            message = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in message)
        super().__init__(message)


class UserError(AudiomonError):
    """The user asked for something that cannot be; the message says what to change."""

    exit_status = 2


class ConfigError(UserError):
    """A YAML file is not what it should be; the message starts with ``FILE:LINE: key:``."""


class ModelError(UserError):
    """A model package is damaged, or disagrees with itself."""


class InputError(UserError):
    """An audio file or standard input cannot be used as audio."""


class DeviceError(UserError):
    """A microphone does not exist or cannot be opened."""


class CaptureError(DeviceError):
    """The capture thread failed, through no fault of the microphone."""


class OtherDeviceError(DeviceError):
    """The microphone is not there, and another one that its name fits may not take its place."""


class SoundSystemError(DeviceError):
    """The sound system holds on to a thread of this process; only a new process can try again."""

    exit_status = 1


class StageError(AudiomonError):
    """A stage fails again and again; only a new process can go on."""


def forget_frames(error: BaseException) -> None:
    """Let go of the frames that an error, and those before it, came through, where it is to be kept.

    They keep every variable in them, and one of those is often what keeps the error: a circle, which only the cyclic
    collector frees, and that looks at old objects once in hours.

    Args:
        error: to be kept for what it says; where it came from is lost.
    """
    passed: BaseException | None = error
    while passed is not None:
        passed.__traceback__ = None
        passed = passed.__context__
