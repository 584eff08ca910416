"""The index of events and clips: SQLite, one writer, every change on disk before it is answered.

Events are listed by time, page by page, each page from where the last one ended, so that a page of a year costs what
one of a day does. Text that came from models is stored as it is and escaped where it is shown.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from audiomon.errors import UserError
from audiomon.outputs.clip_protocol import Offer, OfferedSound
from audiomon.outputs.clip_requests import ClipInfo, ListedEvent, Only, Review

FORMAT = 1
# The oldest go; a million of them take 230 MB (`python -m tests.keeper.year`).
MAX_EVENTS = 1_000_000
# Labels that one listing may name.
MAX_LABELS = 50

_SCHEMA = """
CREATE TABLE listeners (
    id INTEGER PRIMARY KEY, instance TEXT, source TEXT, model TEXT, fingerprint TEXT,
    UNIQUE (instance, source, model, fingerprint)
);
CREATE TABLE clips (
    id TEXT PRIMARY KEY, listener INTEGER NOT NULL, label TEXT NOT NULL, labels TEXT NOT NULL,
    began_ns INTEGER NOT NULL, sample_rate INTEGER NOT NULL, samples INTEGER NOT NULL, position INTEGER NOT NULL,
    bytes INTEGER NOT NULL, never_score REAL NOT NULL, never_label TEXT NOT NULL,
    review TEXT NOT NULL DEFAULT '', corrected TEXT NOT NULL DEFAULT '',
    locked INTEGER NOT NULL DEFAULT 0, exported INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX clips_by_age ON clips (began_ns);
CREATE TABLE events (
    id INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, label TEXT NOT NULL, score REAL NOT NULL, duration_s REAL,
    listener INTEGER NOT NULL, clip TEXT, outcome TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE INDEX events_by_time ON events (time_ns);
CREATE INDEX events_by_label ON events (label, time_ns);
CREATE INDEX events_of_clips ON events (clip) WHERE clip IS NOT NULL;
CREATE INDEX events_with_clips ON events (time_ns) WHERE clip IS NOT NULL;
CREATE TABLE counts (name TEXT PRIMARY KEY, number INTEGER NOT NULL);
"""

# What goes first: not reviewed, or exported since; reviewed; locked.
_WORTH = "CASE WHEN locked THEN 2 WHEN review != '' AND NOT exported THEN 1 ELSE 0 END"
_CLIP = (
    "clips.id, clips.labels, clips.began_ns, clips.sample_rate, clips.samples, clips.position, clips.bytes, "
    "clips.never_score, clips.never_label, of_clip.instance, of_clip.source, of_clip.model, clips.review, "
    "clips.corrected, clips.locked, clips.exported"
)
_FROM_CLIPS = "clips JOIN listeners AS of_clip ON of_clip.id = clips.listener"
_ONLY: dict[Only, str] = {
    "all": "",
    "clips": "events.clip IS NOT NULL",
    "unreviewed": "events.clip IS NOT NULL AND clips.review = ''",
    "reviewed": "events.clip IS NOT NULL AND clips.review != ''",
    "locked": "events.clip IS NOT NULL AND clips.locked",
}


@dataclass(frozen=True, slots=True)
class StoredClip:
    """What deleting a clip takes.

    Attributes:
        id: what it is called.
        bytes: of its file.
    """

    id: str
    bytes: int


class Index:
    """The index in one file.

    Args:
        path: of it; made if there is none.

    Attributes:
        fresh: whether it was made just now.

    Raises:
        UserError: it is damaged, or of a newer audiomon.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.fresh = not path.exists()
        self._path = path
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            # Each commit is on disk: a clip that was answered for survives a power cut.
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("PRAGMA wal_autocheckpoint = 200")
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
                self.fresh = True
            elif version != FORMAT:
                raise UserError(f"is of format {version}, and this audiomon knows {FORMAT}", path=path)
        except sqlite3.OperationalError as error:
            raise OSError(f"{path}: {error}") from None
        except sqlite3.DatabaseError as error:
            raise UserError(f"is damaged: {error}; move it and the clips beside it away", path=path) from None

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def has(self, clip: str) -> bool:
        """Say whether a clip is there."""
        return self._database.execute("SELECT 1 FROM clips WHERE id = ?", (clip,)).fetchone() is not None

    def add(self, offer: Offer, clip: str = "") -> None:
        """Note events, and their clip if there is one; events that are there already are left as they are."""
        with self._changing():
            listener = self._listener(offer)
            if clip and offer.sound is not None:
                self._add_clip(offer, offer.sound, clip, listener)
            for event in offer.events:
                same = "SELECT 1 FROM events WHERE label = ? AND time_ns = ? AND listener = ?"
                if self._database.execute(same, (event.label, event.time_ns, listener)).fetchone():
                    continue
                self._database.execute(
                    "INSERT INTO events (time_ns, label, score, duration_s, listener, clip, outcome, reason) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(event.time_ns, event.label, event.score, event.duration_s, listener, clip or None),
                        *(("kept", "") if clip else ("refused", offer.detail or offer.reason)),
                    ),
                )
            self._count("kept" if clip else f"refused {offer.reason}")

    def events(
        self, labels: tuple[str, ...], only: Only, since_ns: int, before: tuple[int, int] | None, limit: int
    ) -> list[ListedEvent]:
        """Return events, the newest first; arguments as `audiomon.outputs.clip_requests.List` has them."""
        time_ns, number = before if before is not None else (1 << 62, 1 << 62)
        conditions = [
            "events.time_ns >= :since",
            "events.time_ns <= :time",
            "(events.time_ns < :time OR events.id < :id)",
        ]
        conditions += [_ONLY[only]] if _ONLY[only] else []
        rows: list[Any] = []
        # One label after the other, each by its own index: a rare one among a million events is found at once.
        for label in labels[:MAX_LABELS] or (None,):
            where = [*conditions, "events.label = :label"] if label is not None else conditions
            rows += self._database.execute(
                "SELECT events.id, events.time_ns, events.label, events.score, events.duration_s, heard.instance, "
                f"heard.model, events.outcome, events.reason, {_CLIP} FROM events "
                "JOIN listeners AS heard ON heard.id = events.listener "
                "LEFT JOIN clips ON clips.id = events.clip "
                "LEFT JOIN listeners AS of_clip ON of_clip.id = clips.listener "
                f"WHERE {' AND '.join(where)} ORDER BY events.time_ns DESC, events.id DESC LIMIT :limit",
                {"since": since_ns, "time": time_ns, "id": number, "label": label, "limit": limit},
            ).fetchall()
        rows.sort(key=lambda row: (row[1], row[0]), reverse=True)
        return [_listed(row) for row in rows[:limit]]

    def clip(self, clip: str) -> ClipInfo | None:
        """Return what is known of a clip; None if there is none of that name."""
        row = self._database.execute(f"SELECT {_CLIP} FROM {_FROM_CLIPS} WHERE clips.id = ?", (clip,)).fetchone()
        return None if row is None else _clip_info(row)

    def exports(self, after: str, again: bool, limit: int) -> list[ClipInfo]:
        """Return reviewed clips that are to be exported, in the order of their names."""
        rows = self._database.execute(
            f"SELECT {_CLIP} FROM {_FROM_CLIPS} WHERE clips.review != '' AND clips.id > ? "
            "AND (? OR NOT clips.exported) ORDER BY clips.id LIMIT ?",
            (after, again, limit),
        )
        return [_clip_info(row) for row in rows]

    def mark(self, clips: Iterable[str], review: Review, label: str) -> int:
        """Note what a person heard; one that was exported is to be exported again if that is something else."""
        return self._for_each(
            "UPDATE clips SET exported = exported AND review = :review AND corrected = :label, "
            "review = :review, corrected = :label WHERE id = :id",
            clips,
            {"review": review, "label": label},
        )

    def lock(self, clips: Iterable[str], locked: bool) -> int:
        """Lock or unlock clips."""
        return self._for_each("UPDATE clips SET locked = :locked WHERE id = :id", clips, {"locked": locked})

    def exported(self, clips: Iterable[str]) -> int:
        """Note that clips were exported."""
        return self._for_each("UPDATE clips SET exported = 1 WHERE id = :id", clips, {})

    def remove(self, clip: str, outcome: str, reason: str) -> bool:
        """Forget a clip; its events stay, and say why it is gone. False if there is none of that name."""
        with self._changing():
            if not self._database.execute("DELETE FROM clips WHERE id = ?", (clip,)).rowcount:
                return False
            self._database.execute(
                "UPDATE events SET clip = NULL, outcome = ?, reason = ? WHERE clip = ?", (outcome, reason, clip)
            )
            self._count(f"removed {reason}" if reason else outcome)
        return True

    def all_clips(self) -> set[str]:
        """Return the names of all clips."""
        return {row[0] for row in self._database.execute("SELECT id FROM clips")}

    def expendable(self, but: str, label: str = "") -> Iterator[StoredClip]:
        """Yield clips in the order in which they are to go, but for one that has just come.

        Args:
            but: that one.
            label: of those to yield; empty for all.
        """
        rows = self._database.execute(
            f"SELECT id, bytes FROM clips WHERE id != :but AND (:label = '' OR label = :label) "
            f"ORDER BY {_WORTH}, began_ns",
            {"but": but, "label": label},
        ).fetchall()
        return (StoredClip(*row) for row in rows)

    def older(self, began_ns: int) -> list[StoredClip]:
        """Return clips from before a time that neither a review nor a lock protects."""
        rows = self._database.execute(
            f"SELECT id, bytes FROM clips WHERE began_ns < ? AND {_WORTH} = 0 ORDER BY began_ns", (began_ns,)
        )
        return [StoredClip(*row) for row in rows.fetchall()]

    def crowded(self, maximum: int) -> list[tuple[str, int]]:
        """Return labels of which there are more clips than this, and how many there are."""
        rows = self._database.execute(
            "SELECT label, count(*) FROM clips GROUP BY label HAVING count(*) > ?", (maximum,)
        )
        return [(label, number) for label, number in rows.fetchall()]

    def totals(self) -> tuple[int, int]:
        """Return how many clips there are, and their bytes."""
        number, size = self._database.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM clips").fetchone()
        return int(number), int(size)

    def counts(self) -> dict[str, int]:
        """Return what has been done since the index was made, by name."""
        return dict(self._database.execute("SELECT name, number FROM counts ORDER BY name").fetchall())

    def trim_events(self, maximum: int = MAX_EVENTS) -> None:
        """Forget the oldest events, but for those with a clip, if there are too many."""
        first, last = self._database.execute("SELECT min(id), max(id) FROM events").fetchone()
        if last is not None and last - first >= maximum:
            with self._changing():
                self._database.execute("DELETE FROM events WHERE id <= ? AND clip IS NULL", (last - maximum,))

    def _changing(self) -> "_Transaction":
        return _Transaction(self._database)

    def _listener(self, offer: Offer) -> int:
        who = (offer.instance, offer.source, offer.model, offer.fingerprint)
        self._database.execute(
            "INSERT OR IGNORE INTO listeners (instance, source, model, fingerprint) VALUES (?, ?, ?, ?)", who
        )
        (found,) = self._database.execute(
            "SELECT id FROM listeners WHERE instance = ? AND source = ? AND model = ? AND fingerprint = ?", who
        ).fetchone()
        return int(found)

    def _add_clip(self, offer: Offer, sound: OfferedSound, clip: str, listener: int) -> None:
        labels = list(dict.fromkeys(event.label for event in offer.events))
        self._database.execute(
            "INSERT INTO clips (id, listener, label, labels, began_ns, sample_rate, samples, position, bytes, "
            "never_score, never_label) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(clip, listener, labels[0], msgspec.json.encode(labels).decode(), sound.began_ns, sound.sample_rate),
                *(sound.samples, sound.position, sound.bytes, sound.never_score, sound.never_label),
            ),
        )

    def _count(self, name: str) -> None:
        self._database.execute(
            "INSERT INTO counts VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET number = number + 1", (name,)
        )

    def _for_each(self, statement: str, clips: Iterable[str], values: dict[str, Any]) -> int:
        with self._changing():
            return sum(self._database.execute(statement, values | {"id": clip}).rowcount for clip in clips)


class _Transaction:
    """All of what is done within it is on disk at its end, or none."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._database.execute("COMMIT")
                return
            except sqlite3.Error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")


def _listed(row: Any) -> ListedEvent:
    number, time_ns, label, score, duration_s, instance, model, outcome, reason, *clip = row
    info = None if clip[0] is None else _clip_info(clip)
    return ListedEvent(number, time_ns, label, score, duration_s, instance, model, info, outcome, reason)


def _clip_info(row: Any) -> ClipInfo:
    clip, labels, began_ns, rate, samples, position, size, never_score, never_label, *rest = row
    instance, source, model, review, corrected, locked, exported = rest
    return ClipInfo(
        clip,
        tuple(msgspec.json.decode(labels, type=list[str])),
        began_ns,
        samples / rate,
        rate,
        samples,
        position,
        size,
        never_score,
        never_label,
        instance,
        source,
        model,
        review,
        corrected,
        bool(locked),
        bool(exported),
    )
