"""HTML pages that need nothing but themselves: no scripts, no network, light and dark as the reader has it."""

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from audiomon.errors import UserError
from audiomon.foreign import shown

# Whatever stands in a page, it runs no script, and asks nobody for anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; media-src data:"
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; --bad: #b3261e; --on: #3574a8; }
@media (prefers-color-scheme: dark) { :root { --dim: #999; --bad: #ff8a80; --on: #7ab8e8; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 88rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
.figures { display: flex; gap: 3rem; flex-wrap: wrap; } .figures span { display: block; color: var(--dim); }
.figures b { font-size: 2rem; font-weight: 600; }
.bad { color: var(--bad); }
svg { width: 100%; height: auto; } svg text { fill: currentColor; font-size: 15px; }
"""


def html_page(title: str, figures: Mapping[str, str], body: str) -> str:
    """Return a page: a heading, a few figures in large type, and what is below.

    Args:
        title: the heading; text.
        figures: name -> what it is; text.
        body: HTML.
    """
    heading = escape(shown(title))
    large = "".join(f"<div><span>{escape(name)}</span><b>{escape(value)}</b></div>" for name, value in figures.items())
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width"><title>{heading}</title>
<style>{_STYLE}</style></head>
<body>
<h1>{heading}</h1>
<div class="figures">{large}</div>
{body}
</body>
</html>
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table.

    Args:
        head: its headings; text.
        rows: its cells; HTML.
    """
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    return '<div class="wide"><table>' + "\n".join(f"<tr>{line}</tr>" for line in lines) + "</table></div>"


def hours(seconds: float) -> str:
    """Write a duration for a table: hours, or minutes and seconds where it is shorter."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def write_page(path: Path, page: str) -> None:
    """Write a page whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(page, encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", path=path) from None
    finally:
        draft.unlink(missing_ok=True)
