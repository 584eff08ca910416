"""What libsndfile cannot read (M4A, WebM, MP4, WMA …), decoded by ffmpeg where it is installed, as a stream of floats.

ffmpeg is a process of its own with a small pipe: it waits for its reader, and dies with it. It opens the one file it is
given, by its contents, and neither playlists nor addresses.
"""

import ctypes
import os
import select
import shutil
import signal
import struct
import subprocess
import weakref
from pathlib import Path

import numpy as np

from audiomon.audio.sndfile import Samples
from audiomon.errors import InputError

SUFFIXES = frozenset(
    (
        *(".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".aac", ".webm", ".mkv", ".mka", ".wma", ".asf", ".avi"),
        *(".amr", ".ac3", ".dts", ".wv", ".ape", ".tta", ".mpc", ".ts", ".flv"),
    )
)
HINT = "ffmpeg reads it, where it is installed: sudo apt install ffmpeg"
# ffmpeg's names of what it may take a file for. No playlists, no lists of files, no text: they lead elsewhere.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,asf_o,avi,aac,adts,amr,amrnb,amrwb,ac3,eac3,dts,dtshd,wv,ape,tta,mpc,"
    "mpc8,mpegts,mpeg,flv,ogg,caf,wav,w64,aiff,au,flac,mp3,oma,truehd,tak,shn,rm,act,dsf,iff,voc,nistsphere,sox"
)
# An ffmpeg that gives nothing for so long will not.
_PATIENCE_S = 60.0
_MAX_COMPLAINT_BYTES = 4000
_MAX_HEADER_BYTES = 1 << 16
_PR_SET_PDEATHSIG = 1
_C = ctypes.CDLL(None, use_errno=True)


def is_installed() -> bool:
    """Whether ffmpeg can be run."""
    return shutil.which("ffmpeg") is not None


def is_likely(path: Path, head: bytes) -> bool:
    """Whether a file looks like one that ffmpeg reads and libsndfile does not, by its first bytes or its name."""
    return (
        head[4:8] == b"ftyp"
        or head.startswith((b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75", b"#!AMR", b"FLV", b"wvpk", b"MAC ", b"OggS"))
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or path.suffix.lower() in SUFFIXES
    )


class FfmpegDecoder:
    """A recording that ffmpeg decodes; it can be read once, from its beginning.

    Args:
        path: of the file, for messages.
        fd: of the file, which ffmpeg reads.

    Attributes:
        sample_rate: the file's own, in Hz.
        channels: the file's own.
        is_int16: False.
        may_be_infinite: True.
        frames: None: unknown.

    Raises:
        InputError: ffmpeg reads no audio in it.
    """

    is_int16 = False
    may_be_infinite = True
    frames: int | None = None

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd
        self._complaints = b""
        self._waiting = b""
        command = ["ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-threads", "1"]
        command += ["-format_whitelist", _FORMATS, "-protocol_whitelist", "file", "-i", f"file:/proc/self/fd/{fd}"]
        command += ["-map", "0:a:0", "-c:a", "pcm_f32le", "-bitexact", "-f", "wav", "-"]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(fd,),
                preexec_fn=_die_with_parent,  # noqa: PLW1509  # one system call, and no lock can be held in it
            )
        except OSError as error:
            raise InputError(f"ffmpeg cannot be run ({error.strerror})", path=path) from None
        self._ending = weakref.finalize(self, _end, self._process)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out, self._err = self._process.stdout.fileno(), self._process.stderr.fileno()
        self.sample_rate, self.channels = self._header()

    def read(self, out: Samples, position: int) -> int:
        """Fill an array from its beginning.

        Args:
            out: float32, shape (frames, channels).
            position: of its first frame, for messages.

        Returns:
            How many frames: fewer only at the end.

        Raises:
            InputError: ffmpeg gives nothing, or could not decode all of the file; what it could has been returned.
        """
        view = memoryview(out.reshape(-1).view(np.uint8).data)
        filled = len(self._waiting[: len(view)])
        view[:filled] = self._waiting[:filled]
        self._waiting = self._waiting[filled:]
        while filled < len(view):
            piece = self._receive(len(view) - filled)
            if not piece:
                break
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        count = filled // (4 * self.channels)
        if count == 0 and len(out):
            self._check_ended(position / self.sample_rate)
        return count

    def seek(self, position: int) -> bool:  # noqa: ARG002  # the decoders' signature
        """Return False: a pipe keeps nothing."""
        return False

    def end(self) -> None:
        """End ffmpeg, and with it a read in another thread."""
        self._process.kill()

    def close(self) -> None:
        """End ffmpeg, and close its pipes."""
        self._ending()

    def _header(self) -> tuple[int, int]:
        """Read the WAV's header: sample rate and channels."""
        head = b""
        while len(head) < _MAX_HEADER_BYTES:
            at = head.find(b"fmt ")
            data = head.find(b"data", at + 24) if at >= 0 else -1
            if 0 <= data <= len(head) - 8:
                channels, rate = struct.unpack_from("<HI", head, at + 10)
                self._waiting = head[data + 8 :]
                return rate, channels
            piece = self._receive(4096)
            if not piece:
                break
            head += piece
        self._process.wait()
        self.close()
        raise InputError(f"{self._path}: is not audio that libsndfile or ffmpeg reads ({self._complaint()})")

    def _receive(self, count: int) -> bytes:
        """Return some bytes of sound; none at the end."""
        while True:
            ready = select.select([self._out, *([self._err] if self._err >= 0 else [])], [], [], _PATIENCE_S)[0]
            if not ready:
                self.close()
                raise InputError(f"{self._path}: ffmpeg gives nothing for {_PATIENCE_S:.0f} s")
            if self._err in ready:
                self._listen_to_complaints()
            if self._out in ready:
                return os.read(self._out, count)

    def _listen_to_complaints(self) -> None:
        said = os.read(self._err, 4096)
        if not said:
            self._err = -1
        if len(self._complaints) < _MAX_COMPLAINT_BYTES:
            self._complaints += said

    def _check_ended(self, at_s: float) -> None:
        while self._err >= 0 and select.select([self._err], [], [], _PATIENCE_S)[0]:
            self._listen_to_complaints()
        try:
            status = self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        self.close()
        if status or self._complaints:
            raise InputError(f"{self._path}: damaged or truncated after {at_s:.2f} s (ffmpeg: {self._complaint()})")

    def _complaint(self) -> str:
        lines = self._complaints.decode(errors="replace").strip().splitlines()
        # `[mov,mp4,m4a,3gp,3g2,mj2 @ 0x55d0c0] moov atom not found`, `file:/proc/self/fd/5: Invalid data found …`
        words = [line.rsplit("] ", 1)[-1].split(f"/fd/{self._fd}: ", 1)[-1] for line in lines]
        return words[0][:120] if words else "no reason given"


def _die_with_parent() -> None:
    _C.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    process.wait()
