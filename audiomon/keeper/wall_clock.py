"""What time it was: whether the machine's clock can be believed, and a listener's word for it.

A Raspberry Pi has no clock of its own, and starts in another day.
"""

from datetime import UTC, datetime
from pathlib import Path

# What systemd-timesyncd makes once it has set the clock.
_SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
# Other programs tell the kernel alone, which a service that may not set the clock cannot ask; theirs can make this.
_SAID_SO = Path("/run/audiomon-clock-is-set")


def clock_is_set(said_by: tuple[Path, ...] = (_SYNCHRONIZED, _SAID_SO)) -> bool:
    """Say whether something has set the clock since the machine started."""
    return any(path.exists() for path in said_by)


def date_of(time_ns: int) -> datetime:
    """Return a time as a date in UTC: the nearest from 1970 to 2116, whatever somebody says that it was.

    Args:
        time_ns: nanoseconds since 1970-01-01 UTC.
    """
    return datetime.fromtimestamp(min(max(time_ns, 0), 1 << 62) / 1e9, UTC)
