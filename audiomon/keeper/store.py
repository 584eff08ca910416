"""The keeper's folder: clips as files, whole or not at all, and the index that they agree with.

A clip is written beside the others, brought to disk, renamed, and only then entered into the index; it goes the other
way round. Wherever that is cut off, what is left is a file that no entry names, and the next start removes it.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

from audiomon.clock import date_of
from audiomon.errors import UserError
from audiomon.keeper.copying import copy_to_disk
from audiomon.keeper.index import Index, StoredClip
from audiomon.keeper.settings import KeeperConfig
from audiomon.outputs.clip_protocol import MAX_CLIP_BYTES, MAX_EVENTS, MAX_LABEL, SEALS, Answer, Offer, OfferedSound

_DAY_NS = 86_400_000_000_000
_MB = 1_000_000
_STREAM_INFO = 42  # bytes of FLAC up to the end of what it says of itself
_SUFFIX = ".flac"


class Store:
    """Clips and their index in one folder, which belongs to this process alone.

    Args:
        folder: of the keeper.
        config: what is in force.
        time_ns: wall-clock time, for the age of clips.
        clock_is_set: says whether that can be believed.

    Attributes:
        index: of events and clips.
        config: what is in force.

    Raises:
        UserError: the index is damaged, or gone while its clips are there; or another process has the folder.
        OSError: the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        config: KeeperConfig,
        *,
        time_ns: Callable[[], int],
        clock_is_set: Callable[[], bool],
    ) -> None:
        self.config = config
        self._folder = folder
        self._clips = folder / "clips"
        self._incoming = folder / "incoming"
        self._time_ns = time_ns
        self._clock_is_set = clock_is_set
        for made in (folder, self._clips, self._incoming):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._locked = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._locked)
            raise UserError("another keeper has this folder", path=folder) from None
        try:
            self.index = Index(folder / "index.sqlite")
            self._agree()
        except BaseException:
            os.close(self._locked)
            raise

    def close(self) -> None:
        """Release everything."""
        self.index.close()
        os.close(self._locked)

    def path(self, clip: str) -> Path:
        """Return where a clip's file is, or would be."""
        return self._clips / clip[:8] / f"{clip}{_SUFFIX}"

    def keep(self, offer: Offer, file: int | None) -> Answer:
        """Write what a listener offers: its events, and their clip if there is one.

        Args:
            offer: what it says.
            file: the clip's sound, sealed; the caller closes it.
        """
        try:
            wrong = _what_is_wrong(offer, file)
            if wrong:
                return Answer(False, reason=wrong)
            if offer.sound is None or file is None:
                self.index.add(offer)
                return Answer(True)
            return self._keep_clip(offer, offer.sound, file)
        except (OSError, sqlite3.Error) as error:
            return Answer(False, reason=_in_words(error))
        except (OverflowError, UnicodeError):
            return Answer(False, reason="it holds numbers or texts that no listener has")

    def delete(self, clips: Iterable[str]) -> int:
        """Delete clips because somebody asks for it; return how many were there."""
        return sum(self._remove(StoredClip(clip, 0), "deleted", "") for clip in clips)

    def make_room(self, *, but: str = "", needed: int = 0) -> bool:
        """Delete what has to go.

        Args:
            but: a clip that has just come, which stays.
            needed: bytes that are about to be written.

        Returns:
            Whether there is room for them now.
        """
        config = self.config
        if self._clock_is_set():
            for old in self.index.older(self._time_ns() - round(config.keep_days * _DAY_NS)):
                self._remove(old, "removed", "age")
        for label, number in self.index.crowded(config.max_per_label):
            crowd = self.index.expendable(but, label)
            for one in [next(crowd, None) for _ in range(number - config.max_per_label)]:
                if one is not None:
                    self._remove(one, "removed", "label")
        _, size = self.index.totals()
        over = max(size + needed - config.max_mb * _MB, config.min_free_mb * _MB + needed - self._free())
        reason = "max_mb" if size + needed > config.max_mb * _MB else "min_free_mb"
        if over > 0:
            for one in self.index.expendable(but):
                self._remove(one, "removed", reason)
                over -= one.bytes
                if over <= 0:
                    break
        self.index.trim_events()
        _, size = self.index.totals()
        return size + needed <= config.max_mb * _MB and self._free() - needed >= config.min_free_mb * _MB

    def _keep_clip(self, offer: Offer, sound: OfferedSound, file: int) -> Answer:
        clip = _name(offer, sound)
        if self.index.has(clip):
            return Answer(True, clip)  # it was kept before the listener heard so
        if not self.make_room(needed=sound.bytes):
            return Answer(False, reason="there is no room: see max_mb and min_free_mb in keeper.yaml")
        path, draft = self.path(clip), self._incoming / clip
        try:
            copy_to_disk(file, draft, sound.bytes)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            draft.rename(path)
            for folder in (path.parent, self._clips):
                _bring_to_disk(folder)
            self.index.add(offer, clip)
        except BaseException:
            for left in (draft, path):
                left.unlink(missing_ok=True)
            raise
        self.make_room(but=clip)
        return Answer(True, clip)

    def _remove(self, clip: StoredClip, outcome: str, reason: str) -> bool:
        found = self.index.remove(clip.id, outcome, reason)
        if found:
            path = self.path(clip.id)
            path.unlink(missing_ok=True)
            self._remove_if_empty(path.parent)
        return found

    def _free(self) -> int:
        return shutil.disk_usage(self._folder).free

    def _agree(self) -> None:
        """Have the folder and the index agree, after whatever ended the process before.

        Raises:
            UserError: the index is gone and the clips are not: nobody knows any more what they are.
        """
        for draft in self._incoming.iterdir():
            draft.unlink()
        files = {path.stem: path for path in self._clips.glob(f"*/*{_SUFFIX}")}
        if self.index.fresh and files:
            self.index.close()
            (self._folder / "index.sqlite").unlink()
            raise UserError(f"holds {len(files)} clips without an index: move them away", path=self._clips)
        entered = self.index.all_clips()
        for clip, path in files.items():
            if clip not in entered or path != self.path(clip):
                path.unlink()
                self._remove_if_empty(path.parent)
        for clip in entered - files.keys():
            self.index.remove(clip, "missing", "its file is gone")

    def _remove_if_empty(self, folder: Path) -> None:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                raise


def _what_is_wrong(offer: Offer, file: int | None) -> str:
    """Say why an offer cannot be one of a listener's; empty if it can."""
    if not 1 <= len(offer.events) <= MAX_EVENTS or any(len(event.label) > MAX_LABEL for event in offer.events):
        return "it is of no event, or of too many"
    return "" if offer.sound is None else _what_is_wrong_with_sound(offer.sound, file)


def _what_is_wrong_with_sound(sound: OfferedSound, file: int | None) -> str:
    if file is None:
        return "its sound is missing"
    try:
        sealed = fcntl.fcntl(file, fcntl.F_GET_SEALS) & SEALS == SEALS
    except OSError:
        sealed = False
    if not sealed:
        return "its sound is no sealed file in memory"
    if os.fstat(file).st_size != sound.bytes or not _STREAM_INFO <= sound.bytes <= MAX_CLIP_BYTES:
        return "its sound has another size than it says"
    if _stream_info(os.pread(file, _STREAM_INFO, 0)) != (sound.sample_rate, 1, 16, sound.samples):
        return "its sound is not the FLAC that it says"
    return ""


def _stream_info(head: bytes) -> tuple[int, int, int, int] | None:
    """Return what FLAC says of itself: Hz, channels, bits, samples; None if it is none."""
    if head[:4] != b"fLaC" or head[4] & 0x7F or head[5:8] != b"\0\0\x22":
        return None
    packed = int.from_bytes(head[18:26])
    return packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1, packed & ((1 << 36) - 1)


def _name(offer: Offer, sound: OfferedSound) -> str:
    """Name a clip by its time and by what it is of, so that the same one has the same name."""
    what = f"{offer.instance}\0{offer.source}\0{sound.began_ns}\0{sound.position}\0{sound.samples}"
    return f"{date_of(sound.began_ns):%Y%m%d-%H%M%S}-{hashlib.sha256(what.encode()).hexdigest()[:8]}"


def _bring_to_disk(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _in_words(error: OSError | sqlite3.Error) -> str:
    if isinstance(error, OSError):
        return {errno.ENOSPC: "the disk is full", errno.EROFS: "the disk is read-only"}.get(
            error.errno or 0, error.strerror or str(error)
        )
    return f"the index cannot be written: {error}"
