"""Durations for people."""


def duration_in_words(seconds: float) -> str:
    """Write ``1.5 min`` for 90 seconds, in the largest unit of which there is one."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
