"""What audiomon wrote to the journal, read back entry by entry: this machine's, or journal files of many machines.

It believes journald alone about which unit and which machine an entry is from. It sums nothing up.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from audiomon.errors import UserError
from audiomon.extras import install_systemd_python
from audiomon.foreign import shown
from audiomon.outputs.message_ids import MESSAGE_IDS

# Longer than audiomon writes.
_MAX_FIELD_BYTES = 1 << 20
_MAX_NAMED = 20
LINK_UNIT = "audiomon-link.service"
ACTION_KINDS = ("link-action-done", "link-action-failed")
_KINDS = {message_id: kind for kind, message_id in MESSAGE_IDS.items()}
# What a field that is not what it should be makes of reading it.
UNREADABLE = (ValueError, KeyError, OverflowError, msgspec.DecodeError)


@dataclass(frozen=True, slots=True)
class Host:
    """A machine. Images that are copied share an identity, and machines that nobody named share a name: it takes both.

    Attributes:
        name: its host name.
        machine_id: of systemd; 32 hexadecimal digits.
    """

    name: str = ""
    machine_id: str = ""

    def is_called(self, name: str) -> bool:
        """Say whether this is meant by a host name, or by the first six or more digits of a machine's identity."""
        return name == self.name or (len(name) >= 6 and self.machine_id.startswith(name))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of ours.

    Attributes:
        time_s: when journald took it, in seconds since 1970-01-01 UTC.
        kind: which of `MESSAGE_IDS`; empty if it cannot be read.
        fields: those whose names begin with ``AUDIOMON_``, without that, in lower case.
        host: the machine it is from.
    """

    time_s: float
    kind: str
    fields: dict[str, str]
    host: Host = Host()

    def number(self, name: str) -> float:
        """Return a field as a number; 0 where it is missing.

        Raises:
            ValueError: it is no finite number.
        """
        number = float(self.fields.get(name) or 0)
        if not math.isfinite(number):
            raise ValueError(f"{name} is {number}")
        return number


class Copies:
    """Knows an entry that comes a second time: transports that send at least once do that.

    Of each boot it keeps the times of all entries, 8 bytes each; no two entries of a boot have the same.
    """

    def __init__(self) -> None:
        self._times: dict[str, array[int]] = {}

    def has(self, boot_id: str, monotonic_us: int) -> bool:
        """Say whether there was such an entry before, and note it."""
        times = self._times.setdefault(boot_id, array("Q"))
        if not times or monotonic_us > times[-1]:
            times.append(monotonic_us)
            return False
        place = bisect_left(times, monotonic_us)
        if times[place] == monotonic_us:
            return True
        times.insert(place, monotonic_us)
        return False


def read_entries(
    instance: str, since: datetime, until: datetime | None, folder: Path | None, host: str | None = None
) -> Iterator[Entry]:
    """Read back what one listener's service wrote, and what the link did about its events, oldest first on one machine.

    Any user may send journald an entry that looks like one of ours; which unit it came from journald says itself. Of
    the link, which faces the network, only what it says of actions is taken.

    Args:
        instance: which listener's.
        since: from when on; with a time zone.
        until: up to when; None for now.
        folder: of journal files copied from elsewhere, of which each entry counts once; None for this machine's
            journal.
        host: only of machines that this means, see `Host.is_called`; None for all.

    Raises:
        UserError: systemd-python is not installed, or there are no entries.
    """
    reader = _reader(folder)
    _ask_for(reader, unit_of(instance), (kind for kind in MESSAGE_IDS if not kind.startswith("link-")), instance)
    reader.add_disjunction()
    _ask_for(reader, LINK_UNIT, ACTION_KINDS, instance)
    # A file that was put together elsewhere is in the order in which it was written, which need not be that of time.
    in_order = folder is None
    if in_order:
        reader.seek_realtime(since)
    copies = None if in_order else Copies()
    begin_s, end_s = since.timestamp(), math.inf if until is None else until.timestamp()
    found = False
    for raw in reader:
        time_s = raw["__REALTIME_TIMESTAMP"] / 1e6
        if in_order and time_s > end_s:
            break
        if not begin_s <= time_s <= end_s:
            continue
        if copies and copies.has(_name(raw.get("_BOOT_ID")), raw["__MONOTONIC_TIMESTAMP"][0]):
            continue
        entry = entry_of(time_s, raw)
        if host is None or entry.host.is_called(host):
            found = True
            yield entry
    if not found:
        raise UserError(_nothing_found(reader, instance, host))


def _ask_for(reader: Any, unit: str, kinds: Iterable[str], instance: str) -> None:
    for kind in kinds:
        reader.add_match(MESSAGE_ID=MESSAGE_IDS[kind])
    reader.add_match(AUDIOMON_INSTANCE=instance)
    reader.add_match(_SYSTEMD_UNIT=unit)


def unit_of(instance: str) -> str:
    """Return the systemd unit that an instance runs as."""
    return "audiomon.service" if instance == "audiomon" else f"audiomon@{instance}.service"


def entry_of(time_s: float, raw: Mapping[str, Any]) -> Entry:
    """Make an entry of what the journal has: bytes, or a list of them where a field was given more than once.

    Args:
        time_s: when journald took it, in seconds since 1970-01-01 UTC.
        raw: its fields.

    Returns:
        The entry; of no kind and without fields if it is none of ours or one that audiomon would not write.
    """
    host = Host(_name(raw.get("_HOSTNAME")), _name(raw.get("_MACHINE_ID")))
    fields: dict[str, str] = {}
    try:
        kind = _KINDS[_text(raw["MESSAGE_ID"])]
        for name, value in raw.items():
            if name.startswith("AUDIOMON_"):
                fields[name[9:].lower()] = _text(value)
    except UNREADABLE:
        return Entry(time_s, "", {}, host)
    return Entry(time_s, kind, fields, host)


def _reader(folder: Path | None) -> Any:
    try:
        from systemd import journal
    except ImportError:
        raise UserError(f"reading the journal needs systemd-python: {install_systemd_python()}") from None

    class RawReader(journal.Reader):  # type: ignore[misc]  # untyped
        # Every field of every entry is converted otherwise, most of them for nothing: 42 µs an entry instead of 15.
        def _convert_entry(self, entry: dict[str, Any]) -> dict[str, Any]:
            return entry

    try:
        return RawReader(path=str(folder) if folder else None)
    except OSError as error:
        raise UserError(f"the journal cannot be read: {error.strerror}") from None


def _text(value: object) -> str:
    if not isinstance(value, bytes) or len(value) > _MAX_FIELD_BYTES:
        raise ValueError("not one text of a reasonable length")
    return value.decode()


def _name(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _nothing_found(reader: Any, instance: str, host: str | None) -> str:
    if host is not None and (names := sorted(reader.query_unique("_HOSTNAME"))):
        return (
            f"there is nothing of the instance {instance!r} on the machine {shown(host)} from that time; "
            f"there are entries of: {_in_words(names)}"
        )
    others = sorted(set(reader.query_unique("AUDIOMON_INSTANCE")) - {instance})
    if others:
        return f"the journal has nothing of the instance {instance!r} from that time; it knows: {_in_words(others)}"
    return (
        "the journal has no entries of audiomon that you may read; with sudo, or in the group systemd-journal, "
        "you may read all"
    )


def _in_words(names: list[str]) -> str:
    return ", ".join(map(shown, names[:_MAX_NAMED])) + (", …" if len(names) > _MAX_NAMED else "")
