"""``audiomon report``: what the journal says was heard, in a table, as JSON, or as a picture."""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from audiomon.cli.duration import duration_in_words
from audiomon.cli.settings import instance_option
from audiomon.diagnostics.report import LATENCIES, Entry, Heard, read_entries, summarise
from audiomon.errors import UserError
from audiomon.foreign import shown

if TYPE_CHECKING:
    from audiomon.lab.heard_plot import HeardColumns

_MAX_MODELS = 20
_MAX_LABEL = 60
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"-?(\d+(?:\.\d+)?) *(s|min|h|d|w)(?:ago)?")


def _moment(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """Read a time: ``2h`` (ago), ``today``, ``yesterday``, ``2026-01-31 12:00``."""
    if text is None:
        return None
    now = datetime.now().astimezone()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("now", "today", "yesterday"):
        return {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}[text]
    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(seconds=float(ago[1]) * _UNITS[ago[2]])
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):  # the latter: before the year 1
        raise click.BadParameter(
            f"{text!r} is not a time: write 90min, 7d, today, yesterday or 2026-01-31 12:00"
        ) from None


@click.command()
@click.option("--since", callback=_moment, default="24h", show_default=True, help="From when on: 90min, 7d, today …")
@click.option("--until", callback=_moment, help="Up to when; otherwise now.")
@instance_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw it too: labels and latency by time."
)
@click.option(
    "--directory", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Journal files from elsewhere."
)
def report(
    since: datetime, until: datetime | None, instance: str, as_json: bool, plot: Path | None, directory: Path | None
) -> None:
    """Sum up what a listener has written to the journal: time by label, events, latencies, losses.

    \b
    Examples:
      sudo audiomon report --since today
      audiomon report --since 7d -u kitchen --plot week.png
    """
    entries = read_entries(instance, since, until, directory)
    if plot is None:
        found = summarise(entries)
    else:
        from audiomon.lab.heard_plot import HeardColumns

        columns = HeardColumns()
        found = summarise(_noted(entries, columns))
    if as_json:
        # ASCII alone: a label that is not printable stays what it is, and escaped.
        click.echo(json.dumps(msgspec.to_builtins(found), separators=(",", ":")))
    else:
        click.echo("\n".join(_table(found, instance)))
    if plot is not None:
        _draw(plot, columns, instance)


def _noted(entries: Iterable[Entry], columns: "HeardColumns") -> Iterator[Entry]:
    """Pass entries on, noting for the picture those that can be read."""
    for entry in entries:
        with contextlib.suppress(ValueError, KeyError):
            if entry.kind == "prediction":
                latencies = entry.number("inference_us"), entry.number("lag_ms")
                columns.add(entry.time_s, shown(entry.fields["label"]), *latencies)
            elif entry.kind == "model-swapped":
                columns.add_swap(entry.time_s, shown(entry.fields.get("model", "")))
        yield entry


def _table(found: Heard, instance: str) -> list[str]:
    begin, end = (datetime.fromtimestamp(at_s).astimezone() for at_s in (found.begin_s, found.end_s))
    lines = [
        f"{instance}, {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}: {_duration(found.heard_s)} heard, "
        f"model {', '.join(map(shown, found.models[:_MAX_MODELS])) or 'unknown'}"
        f"{', …' if len(found.models) > _MAX_MODELS else ''}",
        "",
    ]
    width = max([len("label"), *(len(shown(name, _MAX_LABEL)) for name in found.labels)])
    lines.append(f"{'label':<{width}}  {'heard':>9}  share  predictions  events  {'on':>9}  {'longest':>9}")
    for name, label in ((shown(name, _MAX_LABEL), label) for name, label in found.labels.items()):
        share = label.heard_s / found.heard_s if found.heard_s else 0.0
        lines.append(
            f"{name:<{width}}  {_duration(label.heard_s):>9}  {share:5.0%}  {label.predictions:>11}  "
            f"{label.events:>6}  {_duration(label.on_s):>9}  {_duration(label.longest_s):>9}"
        )
    measured = f"of {found.latencies_of} predictions" if found.latencies_of else "by the minute: median, highest"
    lines += ["", f"{'latency':<13}  {'50 %':>8}  {'95 %':>8}  {'99 %':>8}  {'max':>8}  {measured}"]
    for name, title in LATENCIES.items():
        latency = found.latencies[name]
        lines.append(f"{title:<13}  {latency.p50:>8.0f}  {latency.p95:>8.0f}  {latency.p99:>8.0f}  {latency.max:>8.0f}")
    away = f" ({_duration(found.away_s)})" if found.away_s else ""
    lines += [
        "",
        f"lost          {found.lost} samples, {found.entries_lost} journal entries; "
        f"the microphone was away {_times(found.away)}{away}",
        f"changes       model {_times(found.swaps)}, refused {_times(found.refusals)}; "
        f"began to listen {_times(found.starts)}",
    ]
    if found.unreadable:
        lines.append(f"left out      {found.unreadable} of {found.entries} entries, which cannot be read")
    if found.gated:
        lines.append(f"gate          {found.gated} windows below it: {_duration(found.saved_s)} of inference saved")
    if found.levels_dbfs:
        low, median, high = found.levels_dbfs
        lines.append(f"level         {low:.0f} to {high:.0f} dBFS by the minute, median {median:.0f}")
    return lines


def _duration(seconds: float) -> str:
    return duration_in_words(seconds) if seconds else "-"


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _draw(path: Path, columns: "HeardColumns", instance: str) -> None:
    from audiomon.lab.heard_plot import draw_heard

    if not columns:
        raise UserError("there is nothing to draw: no predictions were written (journal.predictions is events)")
    draw_heard(path, "audiomon" if instance == "audiomon" else f"audiomon, {instance}", columns)
