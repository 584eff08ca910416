"""Hands clips over to the keeper, by a thread of its own that the listener never waits for.

What the worker gives is taken into a bounded queue; encoding, sending and waiting for the keeper are this thread's. A
keeper that is away, slow or killed costs clips, each of which is counted, and nothing else.
"""

import contextlib
import fcntl
import os
import select
import socket
import threading
from collections import Counter, deque
from pathlib import Path
from typing import Any

import msgspec

from audiomon.clock import Clock
from audiomon.foreign import shown
from audiomon.outputs.clip_protocol import (
    MAX_EVENTS,
    MAX_LABEL,
    PROTOCOL,
    SEALS,
    Answer,
    Offer,
    OfferedEvent,
    OfferedSound,
    exchange,
)
from audiomon.outputs.json_lines import iso_time
from audiomon.outputs.listening_sockets import make_socket
from audiomon.outputs.snapshot import ClipCounts
from audiomon.pipeline.clips import Clip, ClipEvent, NoClip, Refusal
from audiomon.pipeline.prediction import Facts, Status, StatusKind

# Clips that await their verdict, are encoded or await the keeper.
MAX_ON_THEIR_WAY = 4
# Events without a clip, of which the keeper only takes note.
_MAX_NOTES = 100
# A keeper that is restarted is back by then.
_MAX_AWAY_S = 30.0
# It writes a clip and waits for the disk; an SD card may take seconds.
_MAX_ANSWER_S = 10.0
_CLOSE_WAIT_S = 1.0
_HOUR_NS = 3_600_000_000_000


class ClipHandover:
    """A `ClipSink` that ends in the keeper.

    Args:
        listening: a listening Unix stream socket that only the keeper may connect to; becomes this object's.
        instance: name of this listener among several.
        clock: for how many clips are begun within an hour, and how long they wait.
        made: path of the socket, if it is to be removed at the end.
    """

    def __init__(self, listening: socket.socket, instance: str, clock: Clock, *, made: Path | None = None) -> None:
        self._listening = listening
        self._listening.setblocking(False)
        self._instance = instance
        self._clock = clock
        self._made = made
        # Held for moments only, by the worker, the supervisor and this thread.
        self._lock = threading.Lock()
        self._begun_ns: deque[int] = deque()
        self._on_their_way = 0
        self._offered = self._kept = 0
        self._refused: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._clips: deque[tuple[Clip, int]] = deque()
        self._notes: deque[NoClip] = deque()
        self._statuses: deque[Status] = deque(maxlen=100)
        self._connection: socket.socket | None = None
        self._closing = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="clips", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> ClipCounts:
        """What has become of all clips so far."""
        with self._lock:
            return ClipCounts(
                self._connection is not None,
                self._offered,
                dict(self._refused),
                self._kept,
                dict(self._dropped),
                self._on_their_way,
            )

    def take_statuses(self) -> list[Status]:
        """Return what there is to say since the last call."""
        return [self._statuses.popleft() for _ in range(len(self._statuses))]

    def admit(self, per_hour: int) -> Refusal | None:
        """See `ClipSink.admit`."""
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            self._offered += 1
            while self._begun_ns and now_ns - self._begun_ns[0] >= _HOUR_NS:
                self._begun_ns.popleft()
            reason = Refusal.PER_HOUR if len(self._begun_ns) >= per_hour else None
            # Those refused here are counted down by `refuse`, like all others.
            if reason is None and self._on_their_way >= MAX_ON_THEIR_WAY:
                reason = Refusal.BUSY
            if reason is None:
                self._begun_ns.append(now_ns)
            self._on_their_way += 1
        return reason

    def offer(self, clip: Clip) -> None:
        """See `ClipSink.offer`."""
        with self._lock:
            self._clips.append((clip, self._clock.monotonic_ns()))
        self._awake()

    def refuse(self, refused: NoClip) -> None:
        """See `ClipSink.refuse`."""
        with self._lock:
            self._on_their_way -= 1
            self._refused[refused.reason] += 1
            self._notes.append(refused)
            if len(self._notes) > _MAX_NOTES:
                self._notes.popleft()
        self._say("refused", refused.events, {"reason": str(refused.reason), "detail": refused.detail}, refused.detail)
        self._awake()

    def close(self) -> None:
        """Hand over what is left, as far as it is taken soon, and release everything."""
        self._closing = True
        self._awake()
        self._thread.join(_CLOSE_WAIT_S)
        self._listening.close()
        if self._made is not None:
            with contextlib.suppress(OSError):
                self._made.unlink()

    def _awake(self) -> None:
        with contextlib.suppress(OSError):  # it is about to be woken already
            os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        while True:
            self._wait()
            try:
                self._take_up_keeper()
                while self._connection is not None and self._hand_on_next(self._connection):
                    pass
            except (OSError, ValueError, msgspec.DecodeError):
                self._hang_up()
            self._drop_late()
            if self._closing and (self._connection is None or not (self._clips or self._notes)):
                self._hang_up()
                return

    def _wait(self) -> None:
        """Wait until there is something to do."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.register(self._listening, select.POLLIN)
        if self._connection is not None:
            poll.register(self._connection, select.POLLIN | select.POLLRDHUP)
        # Clips that no keeper takes are dropped when they have waited for too long.
        look_ms = 1000 if self._connection is None and self._clips else None
        ready = [] if self._closing else poll.poll(look_ms)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        if self._connection is not None and any(fd == self._connection.fileno() for fd, _ in ready):
            self._hang_up()  # it has nothing to say unasked

    def _take_up_keeper(self) -> None:
        """Accept who connects; the keeper that came last is the one that lives."""
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._hang_up()
            connection.settimeout(_MAX_ANSWER_S)
            self._connection = connection

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _hand_on_next(self, connection: socket.socket) -> bool:
        """Offer the next one; False if there is none.

        Raises:
            OSError, ValueError, msgspec.DecodeError: the keeper has gone, or is none.
        """
        if self._notes:
            refused = self._notes[0]
            self._ask(connection, self._note(refused), None)
            with self._lock:
                if self._notes and self._notes[0] is refused:
                    self._notes.popleft()
            return True
        if not self._clips:
            return False
        with self._lock:
            clip, since_ns = self._clips.popleft()
        try:
            answer = self._offer(connection, clip)
        except TimeoutError:
            self._end_of(clip, "slow", "the keeper does not answer")
            raise
        except (OSError, ValueError, msgspec.DecodeError):
            # It may have kept the clip and died before it said so; it knows one that it has already.
            with self._lock:
                self._clips.appendleft((clip, since_ns))
            raise
        except Exception as error:
            # libsndfile's, or out of memory: this clip's, and none of the next.
            self._end_of(clip, "encoding", f"{type(error).__name__}: {error}")
            return True
        if answer.kept:
            self._end_of(clip, None, answer.clip)
        else:
            self._end_of(clip, "keeper", answer.reason)
        return True

    def _offer(self, connection: socket.socket, clip: Clip) -> Answer:
        file = flac_in_memory(clip)
        try:
            sound = OfferedSound(
                os.fstat(file).st_size,
                clip.sample_rate,
                len(clip.samples),
                clip.position,
                clip.began_ns,
                clip.never_score,
                shown(clip.never_label, MAX_LABEL),
            )
            return self._ask(connection, self._describe(clip, sound=sound), file)
        finally:
            os.close(file)

    def _note(self, refused: NoClip) -> Offer:
        return self._describe(refused, reason=str(refused.reason), detail=refused.detail)

    def _describe(self, what: Clip | NoClip, **more: Any) -> Offer:
        events = tuple(
            OfferedEvent(shown(event.label, MAX_LABEL), event.time_ns, event.score, event.duration_s)
            for event in what.events[:MAX_EVENTS]
        )
        return Offer(PROTOCOL, self._instance, shown(what.source), shown(what.model), what.fingerprint, events, **more)

    def _ask(self, connection: socket.socket, offer: Offer, file: int | None) -> Answer:
        line, surplus = exchange(connection, offer, file)
        if surplus is not None:
            os.close(surplus)
        return msgspec.json.decode(line, type=Answer)

    def _drop_late(self) -> None:
        """Drop clips that have waited for a keeper for too long."""
        now_ns = self._clock.monotonic_ns()
        while self._connection is None and self._clips:
            clip, since_ns = self._clips[0]
            if now_ns - since_ns < _MAX_AWAY_S * 1e9 and not self._closing:
                return
            with self._lock:
                self._clips.popleft()
            self._end_of(clip, "away", "no keeper is there")

    def _end_of(self, clip: Clip, dropped: str | None, said: str) -> None:
        """Note what became of a clip that was offered."""
        with self._lock:
            self._on_their_way -= 1
            if dropped is None:
                self._kept += 1
            else:
                self._dropped[dropped] += 1
        seconds = len(clip.samples) / clip.sample_rate
        facts: Facts = {
            "position": clip.position,
            "samples": len(clip.samples),
            "seconds": round(seconds, 3),
            "never_score": round(clip.never_score, 3),
        }
        facts |= {"id": said} if dropped is None else {"reason": dropped, "detail": said}
        self._say("kept" if dropped is None else "dropped", clip.events, facts, f"{seconds:.1f} s, {said}")

    def _say(self, outcome: str, events: tuple[ClipEvent, ...], facts: Facts, detail: str) -> None:
        labels = ", ".join(dict.fromkeys(event.label for event in events))
        kind, words, severity = _OUTCOMES[outcome]
        about: Facts = {"clip": outcome, "label": events[0].label, "event_time": iso_time(events[0].time_ns)}
        message = f"{words} of {labels}: {detail}"
        self._statuses.append(Status(kind, message, self._clock.time_ns(), about | facts, severity))


_OUTCOMES: dict[str, tuple[StatusKind, str, Any]] = {
    "kept": (StatusKind.CLIP_KEPT, "Clip", "info"),
    "refused": (StatusKind.CLIP_REFUSED, "No clip", "info"),
    "dropped": (StatusKind.CLIP_DROPPED, "Dropped the clip", "warning"),
}


def open_clip_handover(path: Path, instance: str, clock: Clock) -> ClipHandover:
    """Hand clips over on a socket made for it, which only this user may connect to.

    Raises:
        UserError: it cannot be made there.
    """
    return ClipHandover(make_socket(path), instance, clock, made=path)


def flac_in_memory(clip: Clip) -> int:
    """Return a sealed file in memory with a clip's sound in it; the caller closes it."""
    import soundfile

    file = os.memfd_create("clip", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    try:
        # By descriptor: for anything else libsndfile calls back into Python, which takes memory that is both writable
        # and executable, and the service may not have that.
        with soundfile.SoundFile(os.dup(file), "w", clip.sample_rate, 1, "PCM_16", format="FLAC") as encoder:
            encoder.write(clip.samples)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(file)
        raise
    return file
