"""ffmpeg, run to write sound to a listener: its command line, which tells nothing, and what its complaints mean."""

import os
import re
import subprocess
from collections.abc import Mapping
from typing import IO

from audiomon.errors import AudiomonError
from audiomon.foreign import shown
from audiomon.sources.address import PROTOCOLS, Address

_MAX_SAID = 160
# What it needs of this process's environment.
_PASSED_ON = ("PATH", "HOME", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")
# Of all that it writes, two things are passed on: what kind of sound comes, in its own words; and why there is none,
# which it writes after the name of its input, a pipe, in words of the C library's or its own.
_SOUND = re.compile(r"^\s*Stream #0:\d+.*?: Audio: (.+)$")
_CODE = re.compile(r" \((?:\[\d+\]|\w+)+ / 0x[0-9A-F]+\)")
_BEGUN = re.compile(r"^Output #0, wav")
_WHY = re.compile(r"^(?:pipe:\d+|(?:\[in#0[^\]]*\] )?Error (?:opening input|during demuxing)): (.+)$")
_NO_SOUND = re.compile(r"matches no streams|Output file .*does not contain any stream")


def start(address: Address, sample_rate: int, to: int) -> subprocess.Popen[bytes]:
    """Start ffmpeg.

    Args:
        address: of the sound. It goes through a file in memory: a command line is everybody's to read.
        sample_rate: to write, in Hz.
        to: descriptor of the listener's socket.

    Raises:
        AudiomonError: there is no ffmpeg here.
    """
    script = os.memfd_create("address", os.MFD_CLOEXEC)
    try:
        os.write(script, address.script())
        os.lseek(script, 0, os.SEEK_SET)
        return subprocess.Popen(
            _command(address, sample_rate, script),
            stdin=subprocess.DEVNULL,
            stdout=to,
            stderr=subprocess.PIPE,
            pass_fds=(script,),
            env=_environment(os.environ),
        )
    except FileNotFoundError:
        raise AudiomonError("there is no ffmpeg here: sudo apt install ffmpeg") from None
    except OSError as error:
        raise AudiomonError(f"ffmpeg cannot be started: {error.strerror}") from None
    finally:
        os.close(script)


class Complaints:
    """What ffmpeg says, as it says it.

    Args:
        address: that it was given, no part of which is passed on.

    Attributes:
        begun: whether it has written something.
        sound: what kind of sound comes.
        why: it ends, or has ended; empty while nothing is known.
    """

    def __init__(self, address: Address) -> None:
        self.begun = False
        self.sound = self.why = ""
        self._address = address

    def take(self, line: bytes) -> None:
        """Take in a line."""
        text = line.decode(errors="replace").rstrip("\r\n")
        if match := _WHY.match(text):
            self.why = shown(self._address.hidden(match[1]), _MAX_SAID)
        elif _NO_SOUND.search(text):
            self.why = "there is no sound in it"
        elif _BEGUN.match(text):
            self.begun = True
        elif not self.begun and (match := _SOUND.match(text)):
            self.sound = shown(self._address.hidden(_CODE.sub("", match[1])), _MAX_SAID)


def lines_of(stderr: IO[bytes], held: bytearray) -> list[bytes] | None:
    """Read what has come, without waiting for the rest of a line; None at the end.

    Args:
        stderr: with something to read.
        held: what has been read and is no line yet; changed.
    """
    piece = os.read(stderr.fileno(), 65_536)
    if not piece:
        return None
    *lines, rest = (bytes(held) + piece).split(b"\n")
    held[:] = rest[-65_536:]
    return lines


def _command(address: Address, sample_rate: int, script: int) -> list[str]:
    pace = [] if address.is_paced else ["-re"]
    return [
        *("ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "info"),
        *("-protocol_whitelist", PROTOCOLS, *pace, "-threads", "1"),
        *("-f", "concat", "-safe", "0", "-i", f"pipe:{script}"),
        *("-map", "0:a:0", "-ac", "1", "-ar", str(sample_rate), "-c:a", "pcm_s16le"),
        # A header that says nothing but the format; every packet at once.
        *("-fflags", "+bitexact", "-map_metadata", "-1", "-flush_packets", "1", "-f", "wav", "pipe:1"),
    ]


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    return {**{name: own[name] for name in _PASSED_ON if name in own}, "LC_ALL": "C"}
