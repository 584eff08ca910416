"""What is said of that which befalls a microphone, in words for people and facts for programs."""

from audiomon.audio.source import Missing, Source
from audiomon.clock import Clock
from audiomon.daemon.health import CaptureHealth, Health
from audiomon.pipeline.prediction import Facts, Status


def gone(health: CaptureHealth, clock: Clock) -> Status:
    """Say that there is no microphone (any more)."""
    return Status(
        "device-absent" if health.state is Health.ABSENT else "device-lost",
        f"{health.reason}; it is looked for again and again",
        clock.time_ns(),
        {"reason": health.reason, "health": health.state},
        "error",
    )


def another(reason: str, clock: Clock) -> Status:
    """Say that another microphone is there, and is not listened to."""
    return Status("device-other", reason, clock.time_ns(), {"reason": reason, "health": Health.LOST}, "warning")


def back(source: Source, missed: int, other_than: str, clock: Clock) -> Status:
    """Say that one is heard (again).

    Args:
        source: it.
        missed: sample frames, at its rate, that could not be heard meanwhile.
        other_than: name of the one that was heard before, if it is another; else empty.
        clock: dates the status.
    """
    seconds = missed / source.sample_rate
    facts: Facts = {
        "source": source.name,
        "lost": missed,
        "lost_s": round(seconds, 3),
        "health": Health.LISTENING,
    }
    after = f" after {seconds:.1f} s ({missed} samples lost)" if missed else ""
    if not other_than:
        return Status("device-back", f"{source.name} is there{after}", clock.time_ns(), facts)
    message = f"{source.name} is there, in the place of {other_than}{after}"
    return Status("device-back", message, clock.time_ns(), {**facts, "before": other_than}, "warning")


def lost(source: Source, frames: int, why: str, clock: Clock) -> Status:
    """Say that sample frames were lost, and why: "while it was opened again"."""
    facts: Facts = {"lost": frames, "lost_s": round(frames / source.sample_rate, 6)}
    return Status("audio-lost", f"lost {frames} samples of {source.name} {why}", clock.time_ns(), facts, "warning")


def undelivered(source: Source, missing: Missing, clock: Clock) -> Status:
    """Say that sample frames never came."""
    seconds, uncertain_s = missing.samples / source.sample_rate, missing.uncertain / source.sample_rate
    return Status(
        "undelivered",
        f"{source.name} did not deliver {seconds:.2f} ± {uncertain_s:.2f} s of sound "
        f"(about {missing.samples} samples): audiomon was held up, or the sound system dropped them",
        clock.time_ns(),
        {
            "source": source.name,
            "lost": missing.samples,
            "lost_s": round(seconds, 3),
            "uncertain": missing.uncertain,
            "uncertain_s": round(uncertain_s, 3),
        },
        "warning",
    )


def sound(source: Source, health: CaptureHealth, clock: Clock) -> Status:
    """Say that what a microphone delivers cannot be sound, or may be again."""
    facts: Facts = {"source": source.name, "reason": health.reason, "health": health.state}
    if health.state is Health.DOUBTFUL:
        message = f"{source.name} delivers {health.reason}"
        return Status("sound-doubtful", message, clock.time_ns(), facts, "warning")
    return Status("sound-plausible", f"{source.name} delivers sound again", clock.time_ns(), facts)
