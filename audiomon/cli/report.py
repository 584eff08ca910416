"""``audiomon report``: what the journal says was heard, in a table, as JSON, a page, a picture or Parquet."""

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, time, timedelta
from pathlib import Path

import click
import msgspec

from audiomon.cli.duration import duration_in_words
from audiomon.cli.settings import instance_option
from audiomon.diagnostics.day_clips import day_clips
from audiomon.diagnostics.day_page import Day
from audiomon.diagnostics.event_spans import EventSpans
from audiomon.diagnostics.events_table import EventsTable
from audiomon.diagnostics.fleet_page import fleet_page
from audiomon.diagnostics.html_page import write_page
from audiomon.diagnostics.journal_entries import UNREADABLE, Entry, Host, read_entries
from audiomon.diagnostics.report import LATENCIES, Heard, summarise, summarise_by_host
from audiomon.errors import UserError
from audiomon.foreign import shown
from audiomon.outputs.clip_requests import KEEPER_SOCKET
from audiomon.outputs.keeper_client import KeeperClient

_MAX_MODELS = 20
_MAX_LABEL = 60
_MAX_ACTIONS = 50
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_TIME = re.compile(r"\d\d:\d\d")
_AGO = re.compile(r"-?(\d+(?:\.\d+)?) *(s|min|h|d|w)(?:ago)?")


def _moment(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """Read a time: ``2h`` (ago), ``18:00`` (the last one), ``today``, ``yesterday``, ``2026-01-31 12:00``."""
    if text is None:
        return None
    now = datetime.now().astimezone()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("now", "today", "yesterday"):
        return {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}[text]
    try:
        if _TIME.fullmatch(text):
            today = datetime.combine(now, time.fromisoformat(text)).astimezone()
            return today if today <= now else today - timedelta(days=1)
        if ago := _AGO.fullmatch(text):
            return now - timedelta(seconds=float(ago[1]) * _UNITS[ago[2]])
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):  # the latter: before the year 1
        raise click.BadParameter(
            f"{text!r} is not a time: write 90min, 7d, 18:00, today, yesterday or 2026-01-31 12:00"
        ) from None


since_option = click.option(
    "--since", callback=_moment, default="24h", show_default=True, help="From when on: 90min, 7d, today …"
)
until_option = click.option("--until", callback=_moment, help="Up to when; otherwise now.")


@click.command()
@since_option
@until_option
@instance_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw it too: labels and latency by time."
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page too: the day of one machine, or a row for each with --directory.",
)
@click.option(
    "--clips",
    "clips_mb",
    type=click.IntRange(1, 1000),
    metavar="MB",
    help="Put clips of its events into the page as well, the newest first, and this much of their sound. Anybody who "
    "gets the page can play it.",
)
@click.option(
    "--keeper",
    type=click.Path(path_type=Path, readable=False),
    default=KEEPER_SOCKET,
    help="Socket of the keeper that has the clips. Otherwise that of audiomon-keeper.service.",
)
@click.option(
    "--export",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the events to a Parquet file too, of every machine.",
)
@click.option(
    "--directory", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Journal files from elsewhere."
)
@click.option("--host", help="Only this machine's: its name, or the beginning of its machine-id.")
@click.option("--by-host", is_flag=True, help="A line, or an object, for each machine.")
def report(
    since: datetime,
    until: datetime | None,
    instance: str,
    as_json: bool,
    plot: Path | None,
    html: Path | None,
    clips_mb: int | None,
    keeper: Path,
    export: Path | None,
    directory: Path | None,
    host: str | None,
    by_host: bool,
) -> None:
    """Sum up what a listener has written to the journal: time by label, events, latencies, losses.

    \b
    Examples:
      sudo audiomon report --since today
      sudo audiomon report --since yesterday --html day.html --clips 20
      audiomon report --since 7d -u kitchen --plot week.png
      audiomon report --directory /var/log/journal/remote --by-host --html fleet.html
    """
    by_host = by_host or (directory is not None and host is None and html is not None)
    if by_host and plot is not None:
        raise click.UsageError("--plot draws one machine: name it with --host")
    clips = ""
    if clips_mb is not None:
        if html is None or by_host or directory is not None:
            raise click.UsageError("--clips puts this machine's clips into the page of its day: add --html alone")
        with KeeperClient(keeper) as client:
            clips = day_clips(client, instance, since, until or datetime.now().astimezone(), clips_mb * 1_000_000)
    entries = read_entries(instance, since, until, directory, host)
    with contextlib.ExitStack() as files:
        if export is not None:
            entries = _exported(entries, files.enter_context(EventsTable(export)))
        if by_host:
            _report_fleet(entries, since, until, as_json, html)
        else:
            _report_one(entries, since, until, instance, as_json, plot, html, clips)


def _report_fleet(
    entries: Iterable[Entry], since: datetime, until: datetime | None, as_json: bool, html: Path | None
) -> None:
    fleet = summarise_by_host(entries)
    if as_json:
        click.echo(_json({name: msgspec.to_builtins(heard) for name, heard in _named(fleet).items()}))
    else:
        click.echo("\n".join(_fleet_table(_named(fleet))))
    if html is not None:
        write_page(html, fleet_page(fleet, since, until or datetime.now().astimezone()))


def _report_one(
    entries: Iterable[Entry],
    since: datetime,
    until: datetime | None,
    instance: str,
    as_json: bool,
    plot: Path | None,
    html: Path | None,
    clips: str,
) -> None:
    day = Day(since, until or datetime.now().astimezone())
    if html is not None:
        entries = _followed(entries, day)
    drawing = None if plot is None else _Drawing()
    if drawing is not None:
        entries = drawing.noted(entries)
    found = summarise(entries)
    if as_json:
        click.echo(_json(msgspec.to_builtins(found)))
    else:
        click.echo("\n".join(_table(found, instance)))
    if html is not None:
        write_page(html, day.page(instance, found, clips))
    if plot is not None and drawing is not None:
        drawing.draw(plot, instance)


def _json(found: object) -> str:
    # ASCII alone: a label that is not printable stays what it is, and escaped.
    return json.dumps(found, separators=(",", ":"))


def _exported(entries: Iterable[Entry], events: EventsTable) -> Iterator[Entry]:
    """Pass entries on, writing the events that they make."""
    spans = EventSpans()
    for entry in entries:
        events.add(spans.take(entry))
        yield entry
    events.add(spans.rest())


def _followed(entries: Iterable[Entry], day: Day) -> Iterator[Entry]:
    """Pass entries on, noting them for a page."""
    for entry in entries:
        day.take(entry)
        yield entry


def _named(fleet: Mapping[Host, Heard]) -> dict[str, Heard]:
    """Name machines by their host name alone where that is enough, and with their identity where it is not."""
    names = Counter(host.name for host in fleet)
    return {
        host.name if names[host.name] == 1 else f"{host.name} {host.machine_id}": heard for host, heard in fleet.items()
    }


def _fleet_table(fleet: Mapping[str, Heard]) -> list[str]:
    names = {name: shown(name, _MAX_LABEL) for name in fleet}
    width = max([len("machine"), *map(len, names.values())])
    lines = [
        f"{'machine':<{width}}  {'last entry':<16}  {'health':<10}  {'heard':>9}  events  {'not heard':>9}  away  model"
    ]
    for name, heard in fleet.items():
        last = datetime.fromtimestamp(heard.end_s).astimezone()
        events = sum(label.events for label in heard.labels.values())
        lines.append(
            f"{names[name]:<{width}}  {last:%Y-%m-%d %H:%M}  {shown(heard.health, 10) or 'unknown':<10}  "
            f"{_duration(heard.heard_s):>9}  {events:>6}  {heard.losses.all:>9}  {heard.away:>4}  "
            f"{shown(heard.model, _MAX_LABEL) or 'unknown'} {shown(heard.model_sha256[:8])}".rstrip()
        )
    return lines


class _Drawing:
    """What a picture is made of: the predictions, or the minutes of a journal that has none."""

    def __init__(self) -> None:
        from audiomon.lab.heard_plot import HeardColumns

        self._predictions, self._minutes = HeardColumns(), HeardColumns()

    def noted(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Pass entries on, noting for the picture those that can be read."""
        for entry in entries:
            with contextlib.suppress(*UNREADABLE):
                self._note(entry)
            yield entry

    def draw(self, path: Path, instance: str) -> None:
        """Draw it.

        Raises:
            UserError: there is nothing to draw, matplotlib is not installed, or the picture cannot be written.
        """
        from audiomon.lab.heard_plot import draw_heard

        columns = self._predictions or self._minutes
        if not columns:
            raise UserError("there is nothing to draw: no predictions were written, and no summaries")
        draw_heard(path, "audiomon" if instance == "audiomon" else f"audiomon, {instance}", columns)

    def _note(self, entry: Entry) -> None:
        match entry.kind:
            case "prediction":
                latencies = entry.number("inference_us"), entry.number("lag_ms")
                self._predictions.add(entry.time_s, shown(entry.fields["label"]), *latencies)
            case "summary":
                by_label = msgspec.json.decode(entry.fields.get("by_label", "{}"), type=dict[str, int])
                inference_us, lag_ms = (
                    (entry.number(f"{name}_p50"), entry.number(f"{name}_max")) for name in ("inference_us", "lag_ms")
                )
                labels = {shown(label): count for label, count in by_label.items()}
                self._minutes.add_minute(entry.time_s, labels, inference_us, lag_ms)
            case "model-swapped":
                for columns in (self._predictions, self._minutes):
                    columns.add_swap(entry.time_s, shown(entry.fields.get("model", "")))
            case "device-lost" | "device-absent" | "stopped" | "failed" | "waiting":
                self._predictions.end(entry.time_s)


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
        f"not heard     {found.losses.words}",
        f"away          the microphone, {_times(found.away)}{away}",
        *([f"not written   {found.entries_lost} journal entries"] if found.entries_lost else []),
        f"changes       model {_times(found.swaps)}, refused {_times(found.refusals)}; "
        f"began to listen {_times(found.starts)}",
    ]
    lines += [
        f"action        {shown(name, _MAX_LABEL)}: "
        + ", ".join(f"{shown(outcome, _MAX_LABEL)} {_times(count)}" for outcome, count in sorted(outcomes.items()))
        for name, outcomes in sorted(found.actions.items())[:_MAX_ACTIONS]
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
