"""What the daemon says of its source and its stages: words for people, and facts for programs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from audiomon.audio.source import LiveSource, Missing
from audiomon.clock import Clock
from audiomon.daemon.health import CaptureHealth, Health
from audiomon.errors import MAX_PATH, AudiomonError
from audiomon.foreign import shown
from audiomon.models.package import ModelPackage
from audiomon.pipeline.clips import ClipRules
from audiomon.pipeline.listener import FirstWindow
from audiomon.pipeline.prediction import Facts, Status, StatusKind


def device_gone(health: CaptureHealth, clock: Clock) -> Status:
    """Say that there is no microphone, or no longer."""
    return Status(
        StatusKind.DEVICE_ABSENT if health.state is Health.ABSENT else StatusKind.DEVICE_LOST,
        f"{health.reason}. Retrying.",
        clock.time_ns(),
        {"reason": health.reason, "health": health.state},
        "error",
    )


def device_other(reason: str, clock: Clock) -> Status:
    """Say that another microphone is there, and is not used."""
    facts: Facts = {"reason": reason, "health": Health.LOST}
    return Status(StatusKind.DEVICE_OTHER, reason, clock.time_ns(), facts, "warning")


def audio_lost(source: str, sample_rate: int, lost: int, why: str, clock: Clock) -> Status:
    """Say that samples were lost, and why: "while it was reopened"."""
    facts: Facts = {"lost": lost, "lost_s": round(lost / sample_rate, 6)}
    return Status(StatusKind.AUDIO_LOST, f"Lost {lost} samples of {source} {why}", clock.time_ns(), facts, "warning")


def undelivered(source: LiveSource, missing: Missing, clock: Clock) -> Status:
    """Say that samples never came."""
    seconds, uncertain_s = missing.samples / source.sample_rate, missing.uncertain / source.sample_rate
    return Status(
        StatusKind.UNDELIVERED,
        f"{source.name} did not deliver {seconds:.2f} ± {uncertain_s:.2f} s of sound (about {missing.samples} "
        "samples): audiomon was held up, or the sound system dropped them",
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


def sound(source: LiveSource, health: CaptureHealth, clock: Clock) -> Status:
    """Say that what a microphone delivers cannot be sound, or may be again."""
    facts: Facts = {"source": source.name, "reason": health.reason, "health": health.state}
    if health.state is Health.DOUBTFUL:
        message = f"{source.name} delivers {health.reason}"
        return Status(StatusKind.SOUND_DOUBTFUL, message, clock.time_ns(), facts, "warning")
    return Status(StatusKind.SOUND_PLAUSIBLE, f"{source.name} delivers sound again", clock.time_ns(), facts)


def stage_failed(stage: str, what: str, what_now: str, clock: Clock) -> Status:
    """Say that a stage has failed: "The inference stage raised …; restarting it"."""
    facts: Facts = {"stage": stage, "reason": what}
    return Status(
        StatusKind.STAGE_FAILED, f"The {stage} stage {what}; {what_now}", clock.time_ns(), facts, severity="error"
    )


def model_reverted(package: ModelPackage, reason: str, fallback: ModelPackage, clock: Clock) -> Status:
    """Say that a model failed while it listened, and which one is back in its place."""
    name = package.manifest.name
    facts: Facts = {
        "model": fallback.manifest.name,
        "model_sha256": fallback.fingerprint,
        "model_failed": name,
        "model_failed_sha256": package.fingerprint,
        "reason": reason,
    }
    message = f"Back to {fallback.manifest.name}: {reason}. {name} is not tried again until its files change."
    return Status(StatusKind.MODEL_REVERTED, message, clock.time_ns(), facts, "error")


def refusal_facts(error: AudiomonError) -> Facts:
    """Return why settings are not applied, for programs: file, line, key and reason, as far as they are known."""
    place: Facts = {}
    if error.path is not None:
        place = {"file": shown(error.path, MAX_PATH), "line": error.line or 0, "key": error.key}
    return {**place, "reason": error.reason}


def waiting(error: AudiomonError, clock: Clock) -> Status:
    """Say that there is nothing to listen with yet."""
    return Status(StatusKind.WAITING, f"Waiting: {error}", clock.time_ns(), refusal_facts(error), "error")


def clips_off(rules: ClipRules, keeper: bool, clock: Clock) -> Status | None:
    """Say why no clips are recorded although labels are named; None if they are, or none are wanted.

    Args:
        rules: of the model that listens.
        keeper: whether there is a way to a keeper.
        clock: dates it.
    """
    if not rules.settings.labels or (rules.can_judge and keeper):
        return None
    reason = f"{rules.model} has no label of clips.never, so it cannot tell what must not be kept"
    if rules.can_judge:
        reason = "there is no way to a keeper"
    facts: Facts = {"reason": reason, "model": rules.model}
    return Status(StatusKind.CLIPS_OFF, f"No clips are recorded: {reason}", clock.time_ns(), facts, "warning")


def missed_samples(first: FirstWindow, heard_until_ns: int | None) -> int:
    """Count the samples, at the new rate, that there would have been between a stream that ended and this one.

    Args:
        first: window of this one.
        heard_until_ns: monotonic time of the last sample of the other; None if there was none.
    """
    if heard_until_ns is None:
        return 0
    return max(0, first.began_ns - heard_until_ns) * first.sample_rate // 1_000_000_000


@dataclass(frozen=True, slots=True)
class Back:
    """Announces that a microphone is heard, or heard again.

    Attributes:
        heard_until_ns: monotonic time of the last sample heard before; None if there was none.
        other_than: name of the one that was heard before, if this is another; else empty.
        listening: what to say of the new stream first.
        clock: dates it.
    """

    heard_until_ns: int | None
    other_than: str
    listening: Status
    clock: Clock

    def __call__(self, first: FirstWindow) -> tuple[Status, ...]:
        """Announce it."""
        missed = missed_samples(first, self.heard_until_ns)
        seconds = missed / first.sample_rate
        facts: Facts = {
            "source": first.source,
            "lost": missed,
            "lost_s": round(seconds, 3),
            "health": Health.LISTENING,
        }
        message = f"{first.source} is back" if self.heard_until_ns is not None else f"{first.source} is there"
        if self.other_than:
            message = f"{first.source} is there, in place of {self.other_than}"
            facts["before"] = self.other_than
        if missed:
            message += f" after {seconds:.1f} s ({missed} samples lost)"
        severity: Literal["info", "warning"] = "warning" if self.other_than else "info"
        back = Status(StatusKind.DEVICE_BACK, message, self.clock.time_ns(), facts, severity)
        return (self.listening, back)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Announces what was lost while nothing was wrong with the microphone.

    Attributes:
        why: "while it was reopened".
        heard_until_ns: monotonic time of the last sample heard from the stream before; None if it is the same stream.
        clock: dates it.
    """

    why: str
    heard_until_ns: int | None
    clock: Clock

    def __call__(self, first: FirstWindow) -> tuple[Status, ...]:
        """Announce it, if anything was lost."""
        lost = first.lost + missed_samples(first, self.heard_until_ns)
        if not lost:
            return ()
        return (audio_lost(first.source, first.sample_rate, lost, self.why, self.clock),)


@dataclass(frozen=True, slots=True)
class Changed:
    """Announces a change that has taken over.

    Attributes:
        status: says it, given the samples lost.
        heard_until_ns: monotonic time of the last sample heard from the stream before; None if it is the same stream.
    """

    status: Callable[[int], Status]
    heard_until_ns: int | None

    def __call__(self, first: FirstWindow) -> tuple[Status, ...]:
        """Announce it."""
        return (self.status(first.lost + missed_samples(first, self.heard_until_ns)),)
