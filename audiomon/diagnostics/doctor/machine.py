"""The machine: its clock, its power and temperature, its journal, and whether one may use its sound cards.

Everything is read from the kernel's and systemd's own files, below a root that a test can lay out.
"""

import grp
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from audiomon.diagnostics.doctor.finding import Finding

ROOT = Path("/")

# Bits of the firmware's word: https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
# Those 16 higher say that it has happened since the start.
_THROTTLED = {
    0: "too little voltage",
    1: "its clock is capped",
    2: "it is throttled",
    3: "it is near its temperature limit",
}
_POWER = "use the power supply made for this Raspberry Pi and a short, thick cable; USB devices suffer first"
_HOT_C, _NEARLY_HOT_C = 80.0, 75.0
# journald's own limits: https://www.freedesktop.org/software/systemd/man/journald.conf.html
_RATE_INTERVAL_S, _RATE_BURST = 30.0, 10_000
_FULL_BYTES = 50 << 20
_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def look_at_clock(now_s: float | None = None, root: Path = ROOT) -> Finding:
    """See whether the time is right: a Raspberry Pi has no clock of its own that goes on without power."""
    now_s = time.time() if now_s is None else now_s
    newest_s = Path(__file__).stat().st_mtime
    shown = time.strftime("%Y-%m-%d %H:%M", time.localtime(now_s))
    if now_s < newest_s - 86_400:
        return Finding(
            "wrong",
            "clock",
            f"it says {shown}, which is before audiomon was installed: it has not been set",
            "connect to a network, and see with `timedatectl` that NTP is on. What is heard is counted all the same, "
            "but dated wrongly",
        )
    if (root / "run/systemd/timesync").is_dir() and not (root / "run/systemd/timesync/synchronized").exists():
        return Finding("note", "clock", f"it says {shown}, and has not been set from the network since the start")
    return Finding("ok", "clock", f"it says {shown}")


def look_at_power(root: Path = ROOT) -> Iterator[Finding]:
    """See what the kernel tells of voltage, throttling and temperature; nothing, where it tells nothing."""
    word = next((text for path in _throttled_files(root) if (text := _read(path))), "")
    if re.fullmatch(r"(0x)?[0-9a-fA-F]+", word):
        bits = int(word, 16)
        now = [text for bit, text in _THROTTLED.items() if bits >> bit & 1]
        before = [text for bit, text in _THROTTLED.items() if bits >> (bit + 16) & 1 and not bits >> bit & 1]
        if now:
            yield Finding("wrong", "power", f"at this moment: {', '.join(now)}", _POWER)
        if before:
            yield Finding("wrong" if not now else "note", "power", f"since the start: {', '.join(before)}", _POWER)
        if not bits:
            yield Finding("ok", "power", "never too little voltage, never throttled since the start")
    elif any(_read(path) == "1" for path in _voltage_alarms(root)):
        yield Finding("wrong", "power", "too little voltage", _POWER)
    zones = [float(text) / 1000 for path in _zones(root) if re.fullmatch(r"-?\d+", text := _read(path))]
    if zones:
        yield _warmth(max(zones))


def _warmth(hottest_c: float) -> Finding:
    advice = "give it air or a heat sink: it is slowed down from 80 °C on"
    if hottest_c >= _HOT_C:
        return Finding("wrong", "temperature", f"{hottest_c:.0f} °C", advice)
    if hottest_c >= _NEARLY_HOT_C:
        return Finding("note", "temperature", f"{hottest_c:.0f} °C", advice)
    return Finding("ok", "temperature", f"{hottest_c:.0f} °C")


def look_at_journal(entries_per_s: float, root: Path = ROOT) -> Iterator[Finding]:
    """See whether journald takes as many entries as will be written, and has room for them.

    Args:
        entries_per_s: that the service writes by its configuration.
        root: of the file system.
    """
    interval_s, burst = _rate_limit(root)
    written = entries_per_s * interval_s
    if interval_s and burst and written > burst:
        yield Finding(
            "wrong",
            "journal",
            f"it takes {burst} entries in {interval_s:g} s from a service and drops more; {written:.0f} are written",
            "set `journal: {predictions: changes}` in audiomon.yaml, or LogRateLimitIntervalSec=0 in the unit "
            "(`sudo systemctl edit audiomon`)",
        )
    else:
        yield Finding("ok", "journal", f"{written:.0f} of {burst} entries in {interval_s:g} s that it takes")
    persistent = root / "var/log/journal"
    folder = persistent if persistent.is_dir() else root / "run/log/journal"
    if folder.is_dir():
        room = os.statvfs(folder)
        free_bytes = room.f_bavail * room.f_frsize
        if free_bytes < _FULL_BYTES:
            yield Finding(
                "wrong",
                "disk",
                f"only {free_bytes >> 20} MB are free below {folder}",
                "make room: `sudo journalctl --vacuum-size=100M`, then `sudo apt clean`",
            )


def look_at_rights(root: Path = ROOT, groups: set[str] | None = None) -> Finding | None:
    """See whether this user may open sound cards; None if there are none, or it may."""
    folder = root / "dev/snd"
    cards = list(folder.glob("pcmC*c")) if folder.is_dir() else []
    if not cards or any(os.access(card, os.R_OK | os.W_OK) for card in cards):
        return None
    mine = groups if groups is not None else {_group(number) for number in (*os.getgroups(), os.getegid())}
    if "audio" in mine:
        return Finding("wrong", "rights", f"no microphone in {folder} may be opened", "look with `ls -l /dev/snd`")
    return Finding(
        "wrong",
        "rights",
        "this user is not in the group audio, and may not open a microphone",
        "`sudo usermod -aG audio $USER`, then log in again",
    )


def model_of(root: Path = ROOT) -> str:
    """What kind of machine this is, as its firmware calls it; empty if it does not say."""
    return _read(root / "proc/device-tree/model").rstrip("\0")


def _throttled_files(root: Path) -> list[Path]:
    return sorted((root / "sys/devices/platform").glob("soc*/*firmware/get_throttled"))


def _voltage_alarms(root: Path) -> list[Path]:
    folders = [name.parent for name in (root / "sys/class/hwmon").glob("*/name") if _read(name) == "rpi_volt"]
    return [alarm for folder in folders for alarm in folder.glob("in*_lcrit_alarm")]


def _zones(root: Path) -> list[Path]:
    return sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))


def _rate_limit(root: Path) -> tuple[float, int]:
    """Return journald's limit: seconds, and entries within them. Later files win, as systemd reads them."""
    interval_s, burst = _RATE_INTERVAL_S, _RATE_BURST
    places = [root / folder / "systemd/journald.conf.d" for folder in ("usr/lib", "run", "etc")]
    drop_ins = sorted((path for place in places for path in place.glob("*.conf")), key=lambda path: path.name)
    for path in (root / "etc/systemd/journald.conf", *drop_ins):
        for name, value in re.findall(r"^\s*(RateLimit\w+)\s*=\s*(\S*)\s*$", _read(path), re.MULTILINE):
            if name == "RateLimitIntervalSec" and (match := re.fullmatch(r"([\d.]+)([a-z]*)", value)):
                interval_s = float(match[1]) * _UNITS_S.get(match[2], 1.0)
            elif name == "RateLimitBurst" and value.isdigit():
                burst = int(value)
    return interval_s, burst


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
