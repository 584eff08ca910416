"""A fleet's day as one HTML page that needs nothing but itself: a row for each Pi, those with trouble first."""

from collections.abc import Callable, Mapping
from datetime import datetime
from html import escape

from audiomon.diagnostics.html_page import hours, html_page, table
from audiomon.diagnostics.journal_entries import Host
from audiomon.diagnostics.report import Heard
from audiomon.foreign import shown

# A Pi that has not been heard of for so long is not alive: three shipments of deploy/fleet/ship.
SILENT_S = 1800.0
_MAX_NAME = 60
_MAX_LABELS = 3


def fleet_page(fleet: Mapping[Host, Heard], since: datetime, until: datetime) -> str:
    """Return the page's HTML.

    Args:
        fleet: what each machine heard.
        since: from when on that is.
        until: up to when; a machine of which there is nothing from the half hour before that is not alive.
    """
    troubled = {host: _troubles(heard, until) for host, heard in fleet.items()}
    rows = [_row(host, fleet[host], until, troubled[host]) for host in sorted(fleet, key=_worst_first(troubled))]
    models = {(heard.model, heard.model_sha256) for heard in fleet.values()}
    figures = {
        "Pis": str(len(fleet)),
        "alive": str(sum(_silent_s(heard, until) <= SILENT_S for heard in fleet.values())),
        "without trouble": str(sum(not troubles for troubles in troubled.values())),
        "events": str(sum(_events(heard) for heard in fleet.values())),
        "models": str(len(models)),
    }
    head = ("Pi", "alive", "health", "heard", "events", "most often", "lost", "away", "lag 99 %", "model")
    title = f"{len(fleet)} Pis, {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"
    return html_page(title, figures, table(head, rows))


def _worst_first(troubled: Mapping[Host, set[str]]) -> Callable[[Host], tuple[bool, bool, bool, str, str]]:
    """Return how to sort: what is silent, what does not listen, what has any other trouble, the rest; each by name."""

    def order(host: Host) -> tuple[bool, bool, bool, str, str]:
        troubles = troubled[host]
        return "alive" not in troubles, "health" not in troubles, not troubles, host.name, host.machine_id

    return order


def _row(host: Host, heard: Heard, until: datetime, troubles: set[str]) -> list[str]:
    silent_s = _silent_s(heard, until)
    lag = heard.latencies.get("lag_ms")
    often = sorted(heard.labels.items(), key=lambda item: -item[1].events)
    cells = {
        "host": f'<span title="{escape(shown(host.machine_id))}">{escape(shown(host.name, _MAX_NAME))}</span>',
        "alive": "yes" if silent_s <= SILENT_S else f"not for {hours(silent_s)}",
        "health": escape(shown(heard.health or "unknown")),
        "heard": hours(heard.heard_s),
        "events": str(_events(heard)),
        "labels": ", ".join(
            f"{escape(shown(name, _MAX_NAME))} {label.events}" for name, label in often[:_MAX_LABELS] if label.events
        ),
        "lost": heard.losses.words + (f", {heard.entries_lost} entries" if heard.entries_lost else ""),
        "away": f"{heard.away} × {hours(heard.away_s)}" if heard.away else "",
        "lag": f"{lag.p99:.0f} ms" if lag and heard.heard_s else "",
        "model": f"{escape(shown(heard.model, _MAX_NAME))} <code>{escape(shown(heard.model_sha256[:8]))}</code>",
    }
    return [f'<b class="bad">{text}</b>' if name in troubles else text for name, text in cells.items()]


def _troubles(heard: Heard, until: datetime) -> set[str]:
    """Return the names of the cells that somebody should look at."""
    found = {
        "alive": _silent_s(heard, until) > SILENT_S,
        "health": heard.health != "listening",
        "heard": not heard.heard_s,
        "lost": bool(heard.losses.all or heard.entries_lost),
        "away": bool(heard.away),
        "model": not heard.model,
    }
    return {name for name, wrong in found.items() if wrong}


def _silent_s(heard: Heard, until: datetime) -> float:
    return max(0.0, until.timestamp() - heard.end_s)


def _events(heard: Heard) -> int:
    return sum(label.events for label in heard.labels.values())
