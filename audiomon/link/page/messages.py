"""What a page is told: everything when it opens, and then what changes. Texts that others wrote are cut and escaped."""

from typing import Any

import msgspec

from audiomon import __version__
from audiomon.foreign import shown
from audiomon.link.ledger import Ledger
from audiomon.link.page.day import SLOT_S, Day, Occurrence
from audiomon.link.page.words import condition_of
from audiomon.link.state import Listener, State
from audiomon.link.toggle import Toggle
from audiomon.outputs.feed_protocol import ColumnsLine, LevelLine, PredictionLine

MAX_SCORES = 8
# Twelve of them fill a phone's width; the rest of a longer one is not worth its line.
MAX_LABEL = 80

Fields = dict[str, Any]


def label_shown(label: str) -> str:
    """Return a label as people see it."""
    return shown(label, MAX_LABEL)


def listener_fields(listener: Listener, *, spectrogram: bool) -> Fields:
    """Say how a listener is.

    Args:
        listener: which.
        spectrogram: whether the page may draw one.
    """
    hello = listener.hello
    on = {label_shown(label): one.since for label, one in list(listener.on.items())[:100]}
    return {
        "type": "listener",
        "name": listener.name,
        "up": listener.up,
        "condition": condition_of(listener),
        "model": shown(hello.model, MAX_LABEL) if hello else "",
        "fingerprint": shown(hello.fingerprint, 12) if hello else "",
        "version": shown(hello.version, 40) if hello else "",
        "labels": len(hello.labels) if hello else 0,
        "spectrogram": bool(spectrogram and hello and hello.spectrogram),
        "on": on,
        "missed": listener.missed,
        "state": _state_fields(listener),
    }


def day_fields(listener: str, day: Day) -> Fields:
    """Say what a listener heard in the last 24 hours."""
    return {
        "type": "day",
        "listener": listener,
        "since_s": day.since_s,
        "occurrences": [_occurrence(one) for one in day.occurrences()],
        **_bars(day),
    }


def occurrence_fields(listener: str, occurrence: Occurrence, day: Day) -> Fields:
    """Say that a label turned on or off."""
    return {"type": "occurrence", "listener": listener, "occurrence": _occurrence(occurrence), **_bars(day)}


def prediction_fields(listener: Listener, line: PredictionLine) -> Fields:
    """Say what the highest scores are, with the thresholds of those labels that make events."""
    labels = listener.hello.labels if listener.hello else {}
    highest = sorted(line.scores.items(), key=lambda item: -item[1])[:MAX_SCORES]
    scores = []
    for label, score in highest:
        limits = labels.get(label)
        scores.append((label_shown(label), round(score, 4), *((limits.on, limits.off) if limits else (None, None))))
    return {"type": "prediction", "listener": listener.name, "scores": scores}


def level_fields(listener: str, line: LevelLine) -> Fields:
    """Say how loud it was."""
    return {"type": "level", "listener": listener, "rms": round(line.rms_dbfs, 1), "peak": round(line.peak_dbfs, 1)}


def columns_fields(listener: str, line: ColumnsLine) -> Fields:
    """Pass columns of the spectrogram on, as they came."""
    return {
        "type": "columns",
        "listener": listener,
        "bands": line.bands,
        "duration_s": line.duration_s,
        "gap": line.gap,
        "data": line.data,
    }


def actions_fields(ledger: Ledger, actions: Toggle) -> Fields:
    """Say what actions there are, whether they are paused, and what came of them."""
    outcomes: dict[str, int] = {}
    for (_, outcome), count in ledger.outcomes.items():
        outcomes[outcome] = outcomes.get(outcome, 0) + count
    return {"type": "actions", "rules": len(ledger.rules), "paused": not actions.on, "outcomes": outcomes}


def link_fields(state: State) -> Fields:
    """Say how this process is."""
    problem = state.problems.get("mqtt")
    return {"type": "link", "version": __version__, "mqtt": None if problem is None else shown(problem) or "connected"}


def _bars(day: Day) -> Fields:
    now_slot = int(day.now_s // SLOT_S)
    bars = day.bars()
    return {"bars": bars, "first_bar_s": (now_slot - len(bars) + 1) * SLOT_S, "bar_s": SLOT_S}


def _occurrence(occurrence: Occurrence) -> Fields:
    return {
        "label": label_shown(occurrence.label),
        "began_s": round(occurrence.began_s, 3),
        "score": round(occurrence.score, 3),
        "duration_s": occurrence.duration_s,
    }


def _state_fields(listener: Listener) -> Fields | None:
    if listener.snapshot is None:
        return None
    fields: Fields = msgspec.to_builtins(listener.snapshot)
    return {name: shown(value) if isinstance(value, str) else value for name, value in fields.items()}
