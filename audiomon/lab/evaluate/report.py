"""A judgement in words and as plain data."""

import math
from typing import Any

from audiomon.lab.evaluate.judgement import Answers, Judgement

_MISTAKES_TOLD = 10


def plain(judgement: Judgement) -> dict[str, Any]:
    """Return all figures as plain data for JSON; what has no value is null."""
    return {
        "labels": list(judgement.labels),
        "clips": _plain_answers(judgement.clips),
        "windows": _plain_answers(judgement.windows),
        "folds": {fold: round(accuracy, 4) for fold, accuracy in judgement.folds.items()},
        "events": {
            one.label: {
                "recordings": one.recordings,
                "missed": one.missed if one.makes_events else None,
                "false_events": one.false_events,
                "hours": round(one.hours, 4),
                "delay_s": number(one.delay_s),
            }
            for one in judgement.events
        },
        "false_events_per_hour": number(judgement.false_events_per_hour),
        "false_events_per_hour_below_95": number(judgement.most_false_events_per_hour),
        "mistakes": [
            {
                "file": one.name,
                "begin_s": round(one.begin_s, 2),
                "end_s": round(one.end_s, 2),
                "label": one.label,
                "taken_for": one.taken,
                "score": round(one.score, 4),
            }
            for one in judgement.mistakes
        ],
    }


def number(value: float) -> float | None:
    """Round a figure for JSON; None where it has no value."""
    return round(value, 4) if math.isfinite(value) else None


def _plain_answers(answers: Answers) -> dict[str, Any]:
    return {
        "count": len(answers.right),
        "accuracy": number(answers.accuracy),
        "macro_recall": number(answers.macro_recall),
        "calibration_error": number(answers.calibration_error),
        "per_class": {
            one.label: {
                "count": one.count,
                "precision": number(one.precision),
                "recall": number(one.recall),
                "f1": number(one.f1),
            }
            for one in answers.per_class
        },
        "confusion": answers.confusion.tolist(),
        "calibration": [
            {"score": number(score), "right": number(share), "count": count}
            for score, share, count in answers.calibration
        ],
    }


def text(judgement: Judgement, title: str) -> str:
    """Return the report for a terminal."""
    width = max(len(label) for label in (*judgement.labels, "of recordings of"))
    clips, windows = judgement.clips, judgement.windows
    lines = [
        title,
        f"  recordings  {percent(clips.accuracy)} right of {len(clips.right)}{_by_fold(judgement)}",
        f"  windows     {percent(windows.accuracy)} right of {len(windows.right)}, macro recall "
        f"{percent(windows.macro_recall)}",
        f"  calibration error  recordings {clips.calibration_error:.3f}, windows {windows.calibration_error:.3f}",
        "",
        f"  {'':<{width}}  {'recordings':^31}  {'windows':^31}",
        f"  {'':<{width}}" + 2 * f"  {'n':>6}{'precision':>10}{'recall':>8}{'F1':>7}",
    ]
    for clip, window in zip(clips.per_class, windows.per_class, strict=True):
        cells = "  ".join(
            f"{one.count:>6}{percent(one.precision):>10}{percent(one.recall):>8}{percent(one.f1):>7}"
            for one in (clip, window)
        )
        lines.append(f"  {clip.label:<{width}}  {cells}")
    lines += [
        "",
        f"  what recordings (rows) were taken for:\n{_confusion(clips, width)}",
        "",
        *_events(judgement, width),
    ]
    if judgement.mistakes:
        lines += ["", f"  worst mistakes (of {len(judgement.mistakes)}):"]
        lines += [
            f"    {one.name}  {one.begin_s:.1f}-{one.end_s:.1f} s  {one.label} taken for {one.taken} ({one.score:.2f})"
            for one in judgement.mistakes[:_MISTAKES_TOLD]
        ]
    return "\n".join(lines)


def percent(share: float) -> str:
    """Write a share as ``93.5%``, or a dash where there is none."""
    return f"{share:.1%}" if math.isfinite(share) else "–"


def _by_fold(judgement: Judgement) -> str:
    if not judgement.folds:
        return ""
    mean = sum(judgement.folds.values()) / len(judgement.folds)
    folds = ", ".join(percent(accuracy) for accuracy in judgement.folds.values())
    return f"; mean of {len(judgement.folds)} folds {percent(mean)} ({folds})"


def _confusion(answers: Answers, width: int) -> str:
    shown = [label[:9] for label in answers.labels]
    rows = ["  " + " " * width + "".join(f"{label:>10}" for label in shown)]
    for label, counts in zip(answers.labels, answers.confusion, strict=True):
        rows.append(f"  {label:<{width}}" + "".join(f"{count if count else '·':>10}" for count in counts))
    return "\n".join(rows)


def _events(judgement: Judgement, width: int) -> list[str]:
    lines = [
        "  events, as the daemon makes them (each recording once, in a quiet room):",
        f"  {'of recordings of':<{width}}  {'missed':>10}{'false':>7}{'minutes':>9}{'delay':>9}",
    ]
    for one in judgement.events:
        missed = f"{one.missed} of {one.recordings}" if one.makes_events else "–"
        delay = f"{one.delay_s:.1f} s" if math.isfinite(one.delay_s) else "–"
        lines.append(f"  {one.label:<{width}}  {missed:>10}{one.false_events:>7}{one.hours * 60:>9.1f}{delay:>9}")
    return [
        *lines,
        f"  false events per hour: {judgement.false_events_per_hour:.1f}; below "
        f"{judgement.most_false_events_per_hour:.1f} with 95 % confidence, for sounds like these",
    ]
