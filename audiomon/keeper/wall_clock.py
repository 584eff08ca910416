"""Whether the machine's clock can be believed. A Raspberry Pi has none of its own, and starts in another day."""

from pathlib import Path

# What systemd-timesyncd makes once it has set the clock.
_SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
# Other programs tell the kernel alone, which a service that may not set the clock cannot ask; theirs can make this.
_SAID_SO = Path("/run/audiomon-clock-is-set")


def clock_is_set(said_by: tuple[Path, ...] = (_SYNCHRONIZED, _SAID_SO)) -> bool:
    """Say whether something has set the clock since the machine started."""
    return any(path.exists() for path in said_by)
