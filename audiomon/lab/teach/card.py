"""The card of a taught model: Markdown, every figure with how sure it is and the command that makes it again."""

from dataclasses import dataclass

from audiomon.lab.evaluate.hearing import ROOM_DBFS
from audiomon.lab.evaluate.judgement import Judgement
from audiomon.lab.evaluate.report import EXPLANATION, events_table, percent
from audiomon.lab.teach.examples import Examples
from audiomon.lab.teach.fusing import Head
from audiomon.lab.teach.settings import TeachingSettings
from audiomon.lab.train.dataset import BACKGROUND


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card says.

    Attributes:
        name: of the package.
        description: one line.
        license: of base and recordings.
        notes: Markdown to end with; or nothing.
        command: that taught.
        check: command that makes the figures again; nothing if there are none.
        settings: of the teaching.
        examples: the data set.
        head: that ships.
        window_s: length of a window, in seconds.
        judgement: of them; None for none.
        judged_on: which recordings, in words.
        difference: largest one between the fused model's scores and those of embedding and head.
    """

    name: str
    description: str
    license: str
    notes: str
    command: str
    check: str
    settings: TeachingSettings
    examples: Examples
    head: Head
    window_s: float
    judgement: Judgement | None
    judged_on: str
    difference: float


def teaching_card(facts: CardFacts) -> str:
    """Return the card."""
    examples, settings = facts.examples, facts.settings
    counts = {label: sum(one.label == label for one in examples.sounds) for label in examples.labels}
    sounds = [label for label in examples.labels if label != BACKGROUND]
    weights = facts.head.weights.size + facts.head.bias.size
    judged = _judged(facts, facts.judgement) if facts.judgement else "\nIt was not judged: nothing was held out.\n"
    notes = f"\n{facts.notes.strip()}\n" if facts.notes else ""
    left_out = f" {len(examples.left_out)} recordings were left out as unusable." if examples.left_out else ""
    own = f", and {settings.background_recordings} recordings of a folder" if settings.background_recordings else ""
    said = "several may be on at a time" if settings.many else "one of them at a time"
    return f"""# {facts.name}: {facts.description}

The network of `{settings.base}` up to its embedding, and a head of {weights:,} weights on it, taught with a few
recordings. It answers, for {facts.window_s:.2f} s of sound, which of these it holds ({said}), or none of them:
{", ".join(sounds)}.
This card is written by `audiomon train --on`; its figures come from the run that made these weights.

## How good it is
{judged}
## How it was taught

    {facts.command}

Recordings: `{examples.folder.name}`, {len(examples.sounds)}
({", ".join(f"{label} {count}" for label, count in counts.items() if count)}).{left_out}
Background: {settings.generated} generated sounds, the pauses of the recordings{own}.

| setting | value |
| --- | --- |
{_settings(settings)}

The package is one .tflite file; on random windows its scores are those of embedding and head within
{facts.difference:.1g}.

## What it does not do

It was judged on recordings like those that it was taught with. With so few of them, another day, another room or
another microphone is the real test: listen for a day, and add what it got wrong.
Do not let anybody's safety depend on it.

## Licence

{facts.license}
{notes}"""


def _judged(facts: CardFacts, judgement: Judgement) -> str:
    background = (
        "" if judgement.events.background.hours else "\nThere was no folder of background to judge: record some.\n"
    )
    return f"""
Judged on {facts.judged_on}. These figures come from

    {facts.check}
{_flattery(facts.examples.one_session)}
{events_table(judgement.events)}

{" ".join(EXPLANATION)} Each recording is played once in a quiet room
({ROOM_DBFS:g} dBFS), to the daemon's windows and decisions.
{background}
Recordings taken for what they are: {percent(judgement.clips.accuracy)} of {len(judgement.clips.right)}, by the mean
over the windows that hold their sound. Calibration error over windows: {judgement.windows.calibration_error:.2f}.
"""


def _flattery(one_session: tuple[str, ...]) -> str:
    if not one_session:
        return ""
    return (
        f"\n**These figures flatter**: {', '.join(one_session)} was recorded in one session, so what it was judged on\n"
        f"comes from the same afternoon as what it was taught with. A second session says more than any number here.\n"
    )


def _settings(settings: TeachingSettings) -> str:
    plain = settings.plain()
    decisions = plain.pop("decisions")
    plain["base_sha256"] = f"{settings.base_sha256[:12]}…"
    plain["decisions"] = ", ".join(f"{key} {value}" for key, value in decisions.items() if value)
    return "\n".join(f"| {key.replace('_', ' ')} | {value} |" for key, value in plain.items())
