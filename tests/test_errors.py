import gc
import weakref

from audiomon.errors import ConfigError, DeviceError, forget_frames


class _Microphone:
    """Keeps the error that it failed with, whose frames keep it."""

    def __init__(self) -> None:
        self.failed: Exception | None = None
        try:
            try:
                raise OSError("in the first place")
            except OSError:
                raise DeviceError("gone") from None
        except DeviceError as error:
            forget_frames(error)
            self.failed = error


def test_an_error_that_is_kept_keeps_nothing_alive():
    gc.disable()
    try:
        microphone = _Microphone()
        gone = weakref.ref(microphone)
        del microphone
        assert gone() is None
    finally:
        gc.enable()


def test_an_error_is_one_printable_line_whatever_it_quotes():
    message = str(ConfigError("/etc/über\udcff.yaml:1: no\nsuch \x1b[31mfile\u2028 – »x«"))
    assert message == "/etc/über\\udcff.yaml:1: no\\nsuch \\x1b[31mfile\\u2028 – »x«"
    message.encode()
