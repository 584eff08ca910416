"""How a model is trained: everything that decides what comes out, as plain data that its package keeps.

`audiomon evaluate --cv` reads it back and trains the same way again.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from audiomon.config import Decisions, convert, decision_rules
from audiomon.errors import FieldError, UserError
from audiomon.features import LogMelSpec, Normalization

# Against the window's own maximum, because distance is not what tells a dog from a door; 0 is the floor, so that the
# zeros that a "same" convolution adds around a window are silence to the network and not an edge.
DEFAULT_SPEC = LogMelSpec(ref="max", top_db=60.0, normalization=Normalization(mean=-60.0, std=20.0))

Share = Annotated[float, Meta(ge=0, le=1)]


class Augmentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done to training windows, each step by itself; the ranges are in `drawing` and `augmentation`."""

    level: Annotated[bool, Meta(description="Any level a room has, down to the microphone's own noise.")] = True
    eq: Annotated[bool, Meta(description="Frequency responses and band limits of microphones.")] = True
    room: Annotated[bool, Meta(description="Reverberation.")] = True
    background: Annotated[bool, Meta(description="Noise behind it, at a random signal-to-noise ratio.")] = True
    shift: Annotated[bool, Meta(description="The sound anywhere in the window, not only as it was cut.")] = True
    speed: Annotated[bool, Meta(description="Played slower and faster.")] = True
    warp: Annotated[
        bool, Meta(description="Bands moved up and down: a part of what speed does, at a part of its cost.")
    ] = False
    mask: Annotated[bool, Meta(description="SpecAugment: bands and frames blanked out.")] = True
    mixup: Annotated[bool, Meta(description="Two recordings at once, with both labels in their proportion.")] = True


class TrainingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about a training but the recordings."""

    network: Annotated[str, Meta(description="Name of a file in audiomon/lab/networks.")] = "seed"
    spec: LogMelSpec = DEFAULT_SPEC
    augmentation: Augmentation = Augmentation()
    epochs: Annotated[int, Meta(ge=1, le=100_000)] = 60
    windows: Annotated[int, Meta(ge=1, le=1000, description="Drawn from each recording in an epoch, on average.")] = 8
    batch: Annotated[int, Meta(ge=2, le=4096)] = 64
    learning_rate: Annotated[float, Meta(ge=1e-9, le=1)] = 3e-3
    weight_decay: Annotated[float, Meta(ge=0, le=1)] = 1e-3
    label_smoothing: Share = 0.02
    patience: Annotated[
        int, Meta(ge=0, description="Epochs without a better validation loss before it stops; 0: never stops early.")
    ] = 0
    seed: Annotated[int, Meta(ge=0)] = 1
    teacher: Annotated[
        str, Meta(description="Fingerprint of the package that says which windows hold a class; empty for none.")
    ] = ""
    teacher_labels: Annotated[dict[str, tuple[str, ...]], Meta(description="Its labels, by class.")] = {}
    false_events_per_hour: Annotated[
        float,
        Meta(ge=0, description="What each label's threshold is chosen for, on other folds; 0: as in decisions."),
    ] = 0
    decisions: Annotated[
        Decisions, Meta(description="When a score becomes an event; the weights do not depend on it.")
    ] = Decisions()

    def plain(self) -> dict[str, Any]:
        """Return it as a manifest keeps it."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def with_features(spec: LogMelSpec, features: Mapping[str, Any]) -> LogMelSpec:
    """Lay feature options over a spec.

    Raises:
        UserError: a value that cannot be.
    """
    if "normalization" in features:
        raise UserError("--feature normalization: is several numbers, which training has its own of; leave it out")
    try:
        return convert({**msgspec.to_builtins(spec), **features}, LogMelSpec)
    except FieldError as error:
        raise UserError(f"--feature {error}") from None


def with_decisions(options: Iterable[str], defaults: Decisions) -> Decisions:
    """Read ``--decision`` options.

    Args:
        options: ``KEY=NUMBER`` each.
        defaults: what holds where they say nothing.

    Raises:
        UserError: one is not ``KEY=NUMBER``, or a value cannot be.
    """
    given: dict[str, float] = {}
    for option in options:
        key, _, value = option.partition("=")
        try:
            given[key] = float(value)
        except ValueError:
            raise UserError(f"--decision {option}: must be KEY=NUMBER, as in on=0.8") from None
    try:
        decisions = convert(given, Decisions)
        decision_rules(("every label",), defaults, decisions)
    except FieldError as error:
        raise UserError(f"--decision {error}") from None
    return decisions
