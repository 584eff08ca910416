"""Which outputs there are, and which of them a command opens."""

import sys
from pathlib import Path

import msgspec

from audiomon.clock import Clock
from audiomon.outputs.clip_handover import ClipHandover, open_clip_handover
from audiomon.outputs.feed import Feed, open_feed
from audiomon.outputs.journal import Journal
from audiomon.outputs.journal_socket import JournalSocket, writes_to_journal
from audiomon.outputs.json_lines import JsonLines
from audiomon.outputs.listening_sockets import passed_socket
from audiomon.outputs.live import Fanout, LiveOutput
from audiomon.outputs.queued import Queued
from audiomon.outputs.selection import Selected, Selection
from audiomon.outputs.terminal import Terminal, columns_of, shows_colour
from audiomon.outputs.unwaiting import UnwaitingStream, unwaiting
from audiomon.pipeline.output import Output


class OutputOptions(msgspec.Struct, frozen=True):
    """What a command was asked to write.

    Attributes:
        as_json: JSON lines instead of text.
        scores: of each prediction in JSON, at most.
        predictions: which ones; None for every one, and in the journal those of the configuration.
        instance: name of this listener among several.
        feed: path of a socket to make for the feed; None for the one that systemd passes, if it does.
        clips: path of a socket to make for a keeper of clips; None for the one that systemd passes, if it does.
    """

    as_json: bool
    scores: int
    predictions: Selection | None
    instance: str
    feed: Path | None = None
    clips: Path | None = None


def screen(options: OutputOptions, *, dated: bool = True, stream: UnwaitingStream | None = None) -> Output:
    """Return what writes to standard output: it waits for its reader, and raises OSError when that has gone.

    Args:
        options: what to write.
        dated: whether lines carry the time of day, as live ones do, rather than the place in a recording.
        stream: standard output's unwaiting side, if that is what is to be written to.
    """
    lines = stream or sys.stdout
    if options.as_json:
        output: Output = JsonLines(lines, options.scores)
    else:
        colour, columns = shows_colour(sys.stdout), columns_of(sys.stdout)
        output = Terminal(lines, colour=colour, columns=columns, dated=dated)
    return Selected(output, options.predictions or "every")


def live_outputs(options: OutputOptions, clock: Clock) -> Fanout:
    """Open all outputs that live listening writes to.

    Args:
        options: what to write.
        clock: dates what is said of the outputs.

    Raises:
        UserError: the feed's socket cannot be made where it is asked for.
    """
    opened = (output(options, clock) for output in _LIVE_OUTPUTS)
    return Fanout([output for output in opened if output is not None], clock)


def clip_handover(options: OutputOptions, clock: Clock) -> ClipHandover | None:
    """Open the way to a keeper of clips; None if there is none.

    Args:
        options: what to write.
        clock: times how long clips wait.

    Raises:
        UserError: the socket cannot be made where it is asked for.
    """
    if options.clips is not None:
        return open_clip_handover(options.clips, options.instance, clock)
    passed = passed_socket("clips")
    return None if passed is None else ClipHandover(passed, options.instance, clock)


def in_service(options: OutputOptions) -> bool:
    """Say whether this is a service whose standard output is the journal."""
    return not options.as_json and writes_to_journal(1)


def _journal(options: OutputOptions, _clock: Clock) -> LiveOutput | None:
    return Journal(JournalSocket(), options.instance) if in_service(options) else None


def _screen(options: OutputOptions, clock: Clock) -> LiveOutput | None:
    if in_service(options):
        return None
    stream = unwaiting(sys.stdout)
    return Queued(screen(options, stream=stream), "standard output", clock, stream=stream)


def _feed(options: OutputOptions, clock: Clock) -> LiveOutput | None:
    if options.feed is not None:
        return open_feed(options.feed, options.instance, clock)
    passed = passed_socket("feed")
    return None if passed is None else Feed(passed, options.instance, clock)


# A further output is a line here.
_LIVE_OUTPUTS = (_journal, _screen, _feed)
