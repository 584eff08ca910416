"""One Pi's day as one HTML page that needs nothing but itself: timeline, counts per hour and label, latency, losses."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape

from audiomon.diagnostics.event_spans import EventSpan, EventSpans
from audiomon.diagnostics.html_page import hours, html_page, table
from audiomon.diagnostics.journal_entries import UNREADABLE, Entry
from audiomon.diagnostics.report import LATENCIES, Heard, losses_of
from audiomon.foreign import shown

# A minute of a day each; whatever the length of time, the timeline has this many places.
_COLUMNS = 1440
_MAX_ROWS = 16
_MAX_LABELS = 10_000
_MAX_LABEL = 40
_MAX_SWAPS = 200
_HOURLY_UP_TO_S = 2 * 86_400
_AWAY = "microphone away"


@dataclass(slots=True)
class _Bucket:
    """An hour, or a day."""

    heard_s: float = 0.0
    predictions: int = 0
    events: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    lags: list[float] = field(default_factory=lambda: [0.0, 0.0])


class Day:
    """What a page shows, put together from entries of one machine as they come; what cannot be read is left out.

    Args:
        since: from when on.
        until: up to when; later than that.
    """

    def __init__(self, since: datetime, until: datetime) -> None:
        self._since, self._until = since, until
        self._begin_s, self._length_s = since.timestamp(), max(1.0, (until - since).total_seconds())
        self._buckets: dict[datetime, _Bucket] = {}
        self._rows: dict[str, bytearray] = {}
        self._spans = EventSpans()
        self._swaps: list[tuple[float, str]] = []

    def take(self, entry: Entry) -> None:
        """Take an entry in."""
        self._draw(self._spans.take(entry))
        bucket = self._bucket(entry.time_s)
        try:
            match entry.kind:
                case "event-on":
                    bucket.events[entry.fields["label"]] += 1
                case "summary":
                    heard_s, predictions = entry.number("heard_s"), int(entry.number("predictions"))
                    p99, highest = entry.number("lag_ms_p99"), entry.number("lag_ms_max")
                    bucket.heard_s += heard_s
                    bucket.predictions += predictions
                    bucket.lags = [max(bucket.lags[0], p99), max(bucket.lags[1], highest)]
                case "audio-lost" | "undelivered" | "config-applied" | "model-swapped":
                    bucket.lost += losses_of(entry).all
                    if entry.kind == "model-swapped" and len(self._swaps) < _MAX_SWAPS:
                        self._swaps.append((entry.time_s, entry.fields.get("model", "")))
                case "device-back":
                    bucket.lost += losses_of(entry).all
                    self._mark(_AWAY, entry.time_s - entry.number("lost_s"), entry.time_s)
        except UNREADABLE:
            return

    def page(self, name: str, heard: Heard, clips: str = "") -> str:
        """Return the page's HTML.

        Args:
            name: of the machine or the instance.
            heard: the same entries, summed up.
            clips: HTML with the clips of its events; empty for a page without.
        """
        self._draw(self._spans.rest())
        title = f"{name}, {self._since:%Y-%m-%d %H:%M} to {self._until:%Y-%m-%d %H:%M}"
        figures = {
            "heard": hours(heard.heard_s),
            "events": str(sum(label.events for label in heard.labels.values())),
            "samples not heard": str(heard.losses.all),
            "microphone away": f"{heard.away} ×",
            "model": f"{shown(heard.model, _MAX_LABEL)} {shown(heard.model_sha256[:8])}".strip(),
        }
        body = (
            f"<h2>When</h2>\n{self._timeline()}\n"
            f"<h2>How often</h2>\n{self._counts()}\n"
            f"<h2>Labels</h2>\n{_labels(heard)}\n"
            f"<h2>Latency</h2>\n{_latency(heard)}\n"
        )
        if clips:
            body += f"<h2>Clips</h2>\n{clips}\n"
        return html_page(title, figures, body)

    def _bucket(self, time_s: float) -> _Bucket:
        begin = datetime.fromtimestamp(time_s).astimezone().replace(minute=0, second=0, microsecond=0)
        if self._length_s > _HOURLY_UP_TO_S:
            begin = begin.replace(hour=0)
        return self._buckets.setdefault(begin, _Bucket())

    def _draw(self, spans: Iterable[EventSpan]) -> None:
        for span in spans:
            self._mark(span.label, span.begin_s, span.begin_s + (span.duration_s or 0.0))

    def _mark(self, row: str, begin_s: float, end_s: float) -> None:
        if row not in self._rows and len(self._rows) >= _MAX_LABELS:
            return
        first, last = (int((at_s - self._begin_s) / self._length_s * _COLUMNS) for at_s in (begin_s, end_s))
        first, last = max(0, first), min(_COLUMNS - 1, last)
        if first <= last:
            self._rows.setdefault(row, bytearray(_COLUMNS))[first : last + 1] = b"\1" * (last + 1 - first)

    def _timeline(self) -> str:
        rows = sorted(self._rows, key=lambda row: (row != _AWAY, -sum(self._rows[row])))[:_MAX_ROWS]
        if not rows:
            return "<p>No events.</p>"
        left, height = 210, 24 * len(rows)
        parts = []
        for number, row in enumerate(rows):
            colour = "var(--bad)" if row == _AWAY else "var(--on)"
            y = 24 * number
            parts.append(f'<text x="{left - 8}" y="{y + 17}" text-anchor="end">{escape(shown(row, 24))}</text>')
            parts += [
                f'<rect x="{left + first}" y="{y + 4}" width="{length}" height="16" fill="{colour}"/>'
                for first, length in _runs(self._rows[row])
            ]
        for at, text in self._ticks():
            x = left + at
            parts.append(f'<path d="M{x} 0V{height}" stroke="var(--line)"/>')
            parts.append(f'<text x="{x}" y="{height + 18}" text-anchor="middle">{text}</text>')
        for at_s, model in self._swaps:
            x = left + int((at_s - self._begin_s) / self._length_s * _COLUMNS)
            parts.append(
                f'<path d="M{x} 0V{height}" stroke="var(--bad)"><title>model {escape(shown(model))}</title></path>'
            )
        return f'<svg viewBox="0 0 {left + _COLUMNS + 30} {height + 24}" role="img">{"".join(parts)}</svg>'

    def _ticks(self) -> list[tuple[int, str]]:
        """Return the places of round local times, and how to write them."""
        steps = [timedelta(minutes=n) for n in (1, 5, 15, 30, 60, 120, 180, 360, 720, 1440)]
        length = self._until - self._since
        step = next((step for step in steps if length / step <= 13), timedelta(days=max(1, length.days // 12)))
        at = self._since.replace(hour=0, minute=0, second=0, microsecond=0)
        form = "%H:%M" if step < timedelta(days=1) else "%m-%d"
        ticks = []
        while at < self._until:
            if at >= self._since:
                ticks.append((int((at - self._since) / length * _COLUMNS), at.strftime(form)))
            at += step
        return ticks

    def _counts(self) -> str:
        totals: Counter[str] = Counter()
        for bucket in self._buckets.values():
            totals += bucket.events
        labels = [label for label, _ in totals.most_common(_MAX_ROWS)]
        form = "%Y-%m-%d" if self._length_s > _HOURLY_UP_TO_S else "%m-%d %H:00"
        rows = [
            [
                f"{begin:{form}}",
                hours(bucket.heard_s),
                *(str(bucket.events[label] or "") for label in labels),
                f"{bucket.lags[0]:.0f} / {bucket.lags[1]:.0f} ms" if bucket.predictions else "",
                f'<b class="bad">{bucket.lost}</b>' if bucket.lost else "",
            ]
            for begin, bucket in sorted(self._buckets.items())
        ]
        names = [shown(label, _MAX_LABEL) for label in labels]
        return table(("", "heard", *names, "lag 99 % / max", "samples lost"), rows)


def _runs(marks: bytearray) -> list[tuple[int, int]]:
    """Return first place and length of each run of ones."""
    runs, begin = [], marks.find(1)
    while begin >= 0:
        end = marks.find(0, begin)
        end = len(marks) if end < 0 else end
        runs.append((begin, end - begin))
        begin = marks.find(1, end)
    return runs


def _labels(heard: Heard) -> str:
    rows = [
        [
            escape(shown(name, _MAX_LABEL)),
            hours(label.heard_s),
            str(label.predictions),
            str(label.events),
            hours(label.on_s),
            hours(label.longest_s),
        ]
        for name, label in list(heard.labels.items())[:200]
    ]
    return table(("label", "heard", "predictions", "events", "on", "longest"), rows)


def _latency(heard: Heard) -> str:
    rows = [
        [title, *(f"{value:.0f}" for value in (found.p50, found.p95, found.p99, found.max))]
        for name, title in LATENCIES.items()
        if (found := heard.latencies.get(name))
    ]
    return table(("", "50 %", "95 %", "99 %", "max"), rows)
