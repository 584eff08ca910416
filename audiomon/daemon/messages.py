"""What the daemon says of its source and its stages: words for people, and facts for programs."""

from collections.abc import Callable
from typing import Literal

import msgspec

from audiomon.audio.source import LiveSource, Missing
from audiomon.clock import Clock
from audiomon.daemon.health import CaptureHealth, Health
from audiomon.errors import MAX_PATH, AudiomonError
from audiomon.foreign import shown
from audiomon.models.package import ModelPackage
from audiomon.pipeline.clips import ClipRules
from audiomon.pipeline.listener import FirstWindow
from audiomon.pipeline.losses import Losses
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


def audio_lost(first: FirstWindow, losses: Losses, why: str, clock: Clock) -> Status:
    """Say that samples were lost, and why: "while it was reopened"."""
    facts: Facts = {**losses.facts, "lost_s": round(losses.all / first.sample_rate, 6)}
    message = f"Lost {losses.all} samples of {first.source} {why}"
    return Status(StatusKind.AUDIO_LOST, message, clock.time_ns(), facts, "warning")


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
            **Losses(undelivered=missing.samples).facts,
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


def model_reverted(name: str, fingerprint: str, reason: str, fallback: ModelPackage, clock: Clock) -> Status:
    """Say that a model failed while it listened, and which one is back in its place.

    Args:
        name: of the one that failed.
        fingerprint: of it; empty if it is not known any more.
        reason: what it did.
        fallback: what is back.
        clock: dates it.
    """
    facts: Facts = {
        "model": fallback.manifest.name,
        "model_sha256": fallback.fingerprint,
        "model_failed": name,
        "model_failed_sha256": fingerprint,
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
    reason = why_no_clips(rules, keeper)
    if not reason:
        return None
    facts: Facts = {"reason": reason, "model": rules.model}
    return Status(StatusKind.CLIPS_OFF, f"No clips are recorded: {reason}", clock.time_ns(), facts, "warning")


def why_no_clips(rules: ClipRules, keeper: bool) -> str:
    """Return why no clips are recorded although labels are named; empty if they are, or none are wanted.

    Args:
        rules: of the model that listens.
        keeper: whether there is a way to a keeper.
    """
    if not rules.settings.labels or (rules.can_judge and keeper):
        return ""
    if rules.can_judge:
        return "there is no way to a keeper"
    return f"{rules.model} has no label of clips.never, so it cannot tell what must not be kept"


class Gap(msgspec.Struct, frozen=True):
    """The time between a stream that ended and the one after it, in which nothing was captured.

    Attributes:
        since_ns: monotonic time of the last sample heard before; None if there was none, or if the stream goes on.
        away: whether the microphone was away meanwhile; otherwise it was reopened.
    """

    since_ns: int | None = None
    away: bool = False

    def losses(self, first: FirstWindow) -> Losses:
        """Count the samples, at the new rate, that there would have been in it.

        Args:
            first: window after it.
        """
        if self.since_ns is None:
            return Losses()
        missed = max(0, first.began_ns - self.since_ns) * first.sample_rate // 1_000_000_000
        return Losses(away=missed) if self.away else Losses(reopened=missed)


class Back(msgspec.Struct, frozen=True):
    """Announces that a microphone is heard, or heard again.

    Attributes:
        gap: before it.
        other_than: name of the one that was heard before, if this is another; else empty.
        listening: what to say of the new stream first.
        clock: dates it.
    """

    gap: Gap
    other_than: str
    listening: Status
    clock: Clock

    def __call__(self, first: FirstWindow) -> tuple[Status, ...]:
        """Announce it."""
        losses = self.gap.losses(first)
        seconds = losses.all / first.sample_rate
        facts: Facts = {
            "source": first.source,
            **losses.facts,
            "lost_s": round(seconds, 3),
            "health": Health.LISTENING,
        }
        message = f"{first.source} is back" if self.gap.since_ns is not None else f"{first.source} is there"
        if self.other_than:
            message = f"{first.source} is there, in place of {self.other_than}"
            facts["before"] = self.other_than
        if losses.all:
            message += f" after {seconds:.1f} s ({losses.all} samples lost)"
        severity: Literal["info", "warning"] = "warning" if self.other_than else "info"
        back = Status(StatusKind.DEVICE_BACK, message, self.clock.time_ns(), facts, severity)
        return (self.listening, back)


class Interrupted(msgspec.Struct, frozen=True):
    """Announces what was lost while nothing was wrong with the microphone.

    Attributes:
        why: "while it was reopened".
        gap: before it.
        clock: dates it.
    """

    why: str
    gap: Gap
    clock: Clock

    def __call__(self, first: FirstWindow) -> tuple[Status, ...]:
        """Announce it, if anything was lost."""
        losses = Losses(first.lost) + self.gap.losses(first)
        return (audio_lost(first, losses, self.why, self.clock),) if losses.all else ()


class Changed(msgspec.Struct, frozen=True):
    """Announces a change that has taken over.

    Attributes:
        status: says it, given what was lost.
        gap: before it.
    """

    status: Callable[[Losses], Status]
    gap: Gap

    def __call__(self, first: FirstWindow) -> tuple[Status, ...]:
        """Announce it."""
        return (self.status(Losses(first.lost) + self.gap.losses(first)),)
