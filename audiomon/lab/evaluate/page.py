"""A judgement as one HTML page that needs nothing but itself: tables, pictures inside, no scripts, no network."""

import base64
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from audiomon.errors import UserError
from audiomon.lab.evaluate.events import Events
from audiomon.lab.evaluate.judgement import Answers, Judgement
from audiomon.lab.evaluate.report import EXPLANATION, heard, late, per_hour, percent
from audiomon.lab.pictures import confusion_picture, precision_recall_picture, reliability_picture

_MAX_MISTAKES = 200
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222;
       background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: .6rem 0; } td, th { padding: .2rem .7rem; border-bottom: 1px solid #ddd; }
td + td, th + th { text-align: right; } table.words td, table.words th { text-align: left; }
.big { font-size: 2rem; font-weight: 600; } .figures { display: flex; gap: 3rem; flex-wrap: wrap; }
.figures div span { display: block; color: #666; } .pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
img { max-width: 100%; height: auto; }
"""


def write_page(path: Path, judgement: Judgement, title: str, command: str) -> None:
    """Write the page.

    Args:
        path: of the file.
        judgement: what to show.
        title: heading.
        command: that made it.

    Raises:
        UserError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(page(judgement, title, command), encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def page(judgement: Judgement, title: str, command: str) -> str:
    """Return the page's HTML."""
    clips, windows = judgement.clips, judgement.windows
    pictures = [
        ("confusion of recordings", confusion_picture(clips, "recordings")),
        ("confusion of windows", confusion_picture(windows, "windows")),
        ("precision and recall", precision_recall_picture(clips, "recordings")),
        ("reliability", reliability_picture(windows, "windows")),
    ]
    images = "\n".join(
        f'<img alt="{name}" src="data:image/png;base64,{base64.b64encode(content).decode()}">'
        for name, content in pictures
    )
    folds = _folds(judgement)
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>
<style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
<h2>What you will notice</h2>
{_events(judgement.events)}
<p>{escape(" ".join(EXPLANATION))} Each recording is played once in a quiet room, to the same windows and decisions as
those of the service.</p>
<h2>What the model says</h2>
<div class="figures">
<div><span>recordings right</span><b class="big">{percent(clips.accuracy)}</b> of {len(clips.right)}{folds}</div>
<div><span>windows with the sound right</span>
<b class="big">{percent(windows.accuracy)}</b> of {len(windows.right)}</div>
</div>
{_classes(clips, "recordings")}
{_classes(windows, "windows with the sound")}
<h2>Pictures</h2>
<div class="pictures">
{images}
</div>
<h2>Worst mistakes</h2>
{_mistakes(judgement)}
<p>Made by <code>{escape(command)}</code></p>
</body>
</html>
"""


def _folds(judgement: Judgement) -> str:
    if not judgement.folds:
        return ""
    return "<br>" + " · ".join(f"fold {escape(fold)} {percent(part)}" for fold, part in judgement.folds.items())


def _classes(answers: Answers, what: str) -> str:
    rows = [
        (one.label, str(one.count), percent(one.precision), percent(one.recall), percent(one.f1))
        for one in answers.per_class
    ]
    return _table(("class", what, "precision", "recall", "F1"), rows)


def _events(events: Events) -> str:
    rows = [(one.label, heard(one), late(one), per_hour(one.false), str(one.mistaken)) for one in events.labels]
    if events.background.hours:
        rows.append(("all labels", "", "", per_hour(events.background), ""))
    return _table(("label", "heard", "how late", "false in background", "mistaken"), rows)


def _mistakes(judgement: Judgement) -> str:
    rows = [
        (one.name, f"{one.begin_s:.1f}–{one.end_s:.1f} s", one.label, one.taken, f"{one.score:.2f}")
        for one in judgement.mistakes[:_MAX_MISTAKES]
    ]
    if not rows:
        return "<p>None.</p>"
    return _table(("file", "where", "is", "taken for", "score"), rows, "words")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], kind: str = "") -> str:
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    return f'<table class="{kind}">' + "\n".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
