"""The library PortAudio: loaded late, entered by one thread at a time, silent, and left behind when it hangs.

It is not safe to be called from two threads at once, and opening, listing and closing all look at the same tables. So
all calls go through `portaudio`. Nothing here captures.
"""

import atexit
import contextlib
import ctypes
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audiomon.audio.mono import can_resample
from audiomon.c_stderr import c_stderr_silenced
from audiomon.errors import DeviceError, SoundSystemError

# A call that takes longer hangs in a sound server or a driver, and may do so for ever.
_MAX_CALL_S = 10.0
# Into how many periods PortAudio divides a latency by itself.
_PERIODS = 4
_SHARED_MEMORY = Path("/dev/shm")

_inside = threading.Condition(threading.RLock())
_open_streams = 0


@contextmanager
def portaudio() -> Iterator[Any]:
    """Give the module ``sounddevice`` for some calls, made while no other thread is inside and nothing is printed.

    The first time, it is loaded, which looks at every sound device there is.

    Raises:
        DeviceError: it, or the PortAudio library that it wraps, is not installed or does not start.
        SoundSystemError: another thread of this process is inside and does not come out.
    """
    if not _inside.acquire(timeout=_MAX_CALL_S):
        raise SoundSystemError(f"the sound system holds a thread of this process for more than {_MAX_CALL_S:.0f} s")
    try:
        sounddevice = _loaded()
        with c_stderr_silenced():
            yield sounddevice
    finally:
        _inside.release()


def stream_opened() -> None:
    """Note that a stream is open; `refresh_devices` waits until all are closed."""
    global _open_streams  # noqa: PLW0603  # PortAudio is one per process, and so is this number
    with _inside:
        _open_streams += 1


def stream_closed() -> None:
    """Note that a stream is closed."""
    global _open_streams  # noqa: PLW0603
    with _inside:
        _open_streams -= 1
        _inside.notify_all()


def refresh_devices() -> None:
    """Have PortAudio look again: a device that was plugged in since it was loaded is not seen otherwise. Takes 0.1 s.

    Waits for streams that are being closed, since this would close them under the thread that reads them.

    Raises:
        DeviceError: PortAudio is not installed or does not start.
        SoundSystemError: a stream is still open, or another thread does not come out of PortAudio.
    """
    with portaudio() as sounddevice:
        if not _inside.wait_for(lambda: not _open_streams, _MAX_CALL_S):
            raise SoundSystemError(f"the sound system has not released a microphone for {_MAX_CALL_S:.0f} s")
        try:
            sounddevice._terminate()
            sounddevice._initialize()
        except sounddevice.PortAudioError as error:
            raise DeviceError(f"PortAudio fails: {reason(error)}") from None


def set_periods(sounddevice: Any, kept_s: float, period_s: float) -> float:
    """Have ALSA's buffer divided into short periods: what comes at once, of a sound card.

    Args:
        sounddevice: loaded.
        kept_s: seconds that the buffer is to hold.
        period_s: seconds of a period.

    Returns:
        The latency to open a stream with: shorter where PortAudio, built without ALSA, divides it in its own way.
    """
    try:
        # sounddevice does not wrap what concerns one sound system alone.
        set_count = ctypes.CDLL(sounddevice._libname).PaAlsa_SetNumPeriods
    except (AttributeError, OSError):
        return min(kept_s, _PERIODS * period_s)
    set_count(max(_PERIODS, round(kept_s / period_s)))
    return kept_s


def forget_portaudio() -> None:
    """Let the process end without PortAudio: tidying up under a thread that is stuck in it hangs, or crashes."""
    # Not imported here: that would wait for a thread that is stuck while loading it.
    exit_handler = getattr(sys.modules.get("sounddevice"), "_exit_handler", None)
    if exit_handler is not None:
        atexit.unregister(exit_handler)


def code(error: Exception) -> int | None:
    """Return the number of a PortAudioError."""
    return error.args[1] if len(error.args) > 1 else None


def reason(error: Exception) -> str:
    """Return what the host said, if PortAudio only passes on that it said something."""
    host_error = error.args[2] if len(error.args) > 2 else None
    return str(host_error[2] if host_error else error.args[0]).strip()


def _loaded() -> Any:
    # Capture asks at every look.
    if (loaded := sys.modules.get("sounddevice")) is not None:
        return loaded
    _keep_out_of_strangers_jack()
    if not can_resample():
        # PortAudio then opens sound cards through ALSA's own converter, which makes any sample rate of theirs.
        os.environ.setdefault("PA_ALSA_PLUGHW", "1")
    try:
        with c_stderr_silenced():
            return importlib.import_module("sounddevice")
    except ImportError:
        raise DeviceError("there is no sounddevice here, which reads microphones: pip install sounddevice") from None
    except OSError:
        raise DeviceError(
            "there is no PortAudio here, which sounddevice needs: sudo apt install libportaudio2"
        ) from None
    except Exception as error:
        # A PortAudioError; its class comes with the module that could not be imported.
        raise DeviceError(f"PortAudio does not start: {error}") from None


def _keep_out_of_strangers_jack() -> None:
    """Have JACK's client library, which PortAudio and ALSA both try, talk to a server of this user's or to none.

    It finds a server by a socket in /dev/shm, where any user may have put one that never answers, and believes a
    database there that any user may have made first.

    Raises:
        DeviceError: the database is another user's.
    """
    user = os.getuid()
    os.environ.setdefault("JACK_NO_START_SERVER", "1")
    if _owner(_SHARED_MEMORY / f"jack_default_{user}_0") != user:
        # A name that nobody can guess, and so nobody listens at.
        os.environ.setdefault("JACK_DEFAULT_SERVER", os.urandom(8).hex())
    database = _SHARED_MEMORY / f"jack_db-{user}"
    with contextlib.suppress(OSError):  # there already, or nothing can be made there, by JACK either
        database.mkdir(mode=0o700)
    if _owner(database) not in (user, None):
        raise DeviceError(f"{database} was made by another user, and PortAudio would believe it: remove it")


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid
    except OSError:
        return None
