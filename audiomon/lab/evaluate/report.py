"""A judgement in words and as plain data: what a user notices first, then what tells a trainer why."""

import math
from typing import Any

from audiomon.lab.evaluate.events import EventFigures, Events, Interval, Rate
from audiomon.lab.evaluate.judgement import Answers, Judgement

_MAX_MISTAKES = 10
EXPLANATION = (
    "Heard: recordings with an event of their label. How late: from where the sound begins to its event, the median.",
    "False: events where nothing makes one. Mistaken: events in recordings of another label. In brackets: where the",
    "figure lies with 95 % confidence, for sounds like these.",
)


def plain(judgement: Judgement) -> dict[str, Any]:
    """Return all figures as plain data for JSON; what has no value is null."""
    return {
        "labels": list(judgement.labels),
        "events": {one.label: _plain_events(one) for one in judgement.events.labels},
        "background": _plain_rate(judgement.events.background),
        "clips": _plain_answers(judgement.clips),
        "windows": _plain_answers(judgement.windows),
        "folds": {fold: round(accuracy, 4) for fold, accuracy in judgement.folds.items()},
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


def _plain_events(one: EventFigures) -> dict[str, Any]:
    return {
        "recordings": one.recordings,
        "heard": one.heard,
        "missed": one.missed,
        "heard_share": number(one.share),
        "heard_share_between": _plain_interval(one.interval),
        "late_s": number(one.median_late_s),
        "late_s_between": _plain_interval(one.late_interval),
        "false": _plain_rate(one.false),
        "mistaken": one.mistaken,
    }


def _plain_rate(rate: Rate) -> dict[str, Any]:
    return {
        "events": rate.count,
        "hours": round(rate.hours, 4),
        "per_hour": number(rate.per_hour),
        "per_hour_between": _plain_interval(rate.interval),
    }


def _plain_interval(interval: Interval) -> list[float | None]:
    return [number(interval.low), number(interval.high)]


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
    width = max(len(label) for label in judgement.labels)
    clips, windows = judgement.clips, judgement.windows
    lines = [
        title,
        *_events(judgement.events),
        "",
        f"  recordings  {percent(clips.accuracy)} right of {len(clips.right)}{_by_fold(judgement)}",
        f"  windows with the sound  {percent(windows.accuracy)} right of {len(windows.right)}, macro recall "
        f"{percent(windows.macro_recall)}",
        f"  calibration error  recordings {clips.calibration_error:.3f}, windows {windows.calibration_error:.3f}",
        "",
        f"  {'':<{width}}  {'recordings':^31}  {'windows with the sound':^31}",
        f"  {'':<{width}}" + 2 * f"  {'n':>6}{'precision':>10}{'recall':>8}{'F1':>7}",
    ]
    for clip, window in zip(clips.per_class, windows.per_class, strict=True):
        cells = "  ".join(
            f"{one.count:>6}{percent(one.precision):>10}{percent(one.recall):>8}{percent(one.f1):>7}"
            for one in (clip, window)
        )
        lines.append(f"  {clip.label:<{width}}  {cells}")
    lines += ["", f"  what recordings (rows) were taken for:\n{_confusion(clips, width)}"]
    if judgement.mistakes:
        lines += ["", f"  worst mistakes (of {len(judgement.mistakes)}):"]
        lines += [
            f"    {one.name}  {one.begin_s:.1f}-{one.end_s:.1f} s  {one.label} taken for {one.taken} ({one.score:.2f})"
            for one in judgement.mistakes[:_MAX_MISTAKES]
        ]
    return "\n".join(lines)


def percent(share: float) -> str:
    """Write a share as ``93.5%``, or a dash where there is none."""
    return f"{share:.1%}" if math.isfinite(share) else "–"


def heard(one: EventFigures) -> str:
    """Write how many recordings of a label were heard, as ``38 of 40 (95%; 84%–99%)``; a dash for none."""
    if not one.recordings:
        return "–"
    return f"{one.heard} of {one.recordings} ({one.share:.0%}; {_between(one.interval, '{:.0%}')})"


def late(one: EventFigures) -> str:
    """Write how long after its sound began a label was reported, as ``0.6 s (0.5–0.8 s)``."""
    if not one.late_s:
        return "–"
    return f"{one.median_late_s:.1f} s ({_between(one.late_interval, '{:.1f}')} s)"


def events_table(events: Events) -> str:
    """Return what a user notices as a Markdown table."""
    rows = [
        f"| {one.label} | {heard(one)} | {late(one)} | {per_hour(one.false)} | {one.mistaken} |"
        for one in events.labels
    ]
    if events.background.hours:
        rows.append(f"| all together | | | {per_hour(events.background)} | |")
    return "\n".join(
        ["| label | heard | how late | false in background | mistaken |", "| --- | --- | --- | --- | --- |", *rows]
    )


def per_hour(rate: Rate) -> str:
    """Write how often something happens, as ``2.0 an hour (0.2–7.4; 2 in 58 min)``."""
    if not rate.hours:
        return "–"
    between = _between(rate.interval, "{:.1f}")
    return f"{rate.per_hour:.1f} an hour ({between}; {rate.count} in {rate.hours * 60:.0f} min)"


def _between(interval: Interval, form: str) -> str:
    return f"{form.format(interval.low)}–{form.format(interval.high)}"


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


def _events(events: Events) -> list[str]:
    if not events.labels:
        return ["  no label makes events"]
    rows = [("", "heard", "how late", "false in background", "mistaken")]
    rows += [(one.label, heard(one), late(one), per_hour(one.false), str(one.mistaken)) for one in events.labels]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ["  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    every = [f"  all labels together, in background: {per_hour(events.background)}"] if events.background.hours else []
    return [*(line.rstrip() for line in table), *every, *(f"  {line}" for line in EXPLANATION)]
