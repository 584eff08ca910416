"""``model.yaml``: the contract between training and serving.

Training and conversion write it, serving reads it; nothing else says what a model's input means. The definitions here
are the format's documentation.
"""

from collections import Counter
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from audiomon.config import Decisions, decision_rules
from audiomon.errors import FieldError, KeyPath
from audiomon.features import InputSpec
from audiomon.foreign import shown
from audiomon.models.self_test import Signal

MAX_LABEL_CHARS = 200
Label = Annotated[str, Meta(min_length=1, max_length=MAX_LABEL_CHARS)]
# A least value instead of "above 0", which msgspec takes for "at least the smallest number there is"; and that is 0 to
# a 32-bit ARM once a library has set its processor to flush such numbers.
_LEAST = 1e-9


def check_labels(labels: tuple[str, ...], decisions: Decisions) -> None:
    """Refuse labels that are repeated or cannot be printed, and decisions about labels that there are not.

    Raises:
        FieldError: there are some.
    """
    if unprintable := [index for index, label in enumerate(labels) if not label.isprintable()]:
        raise FieldError(("labels", unprintable[0]), f"'{shown(labels[unprintable[0]])}' is not plain text")
    repeated = [label for label, count in Counter(labels).items() if count > 1]
    if repeated:
        raise FieldError(("labels",), f"{', '.join(repeated[:3])} is there more than once")
    try:
        decision_rules(labels, decisions, Decisions())
    except FieldError as error:
        raise FieldError(("decisions", *error.keys), error.reason) from None


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How scores are made comparable between labels, last of all, as TFLite's metadata defines it.

    A score x of a label becomes scale / (1 + exp(-(slope·g(x) + offset))), or ``default_score`` where the label has no
    parameters or x is not above its least score.
    """

    parameters: Annotated[
        tuple[Annotated[tuple[float, ...], Meta(max_length=4)], ...],
        Meta(description="For each label scale, slope, offset and perhaps its least score; or nothing."),
    ]
    transform: Annotated[
        Literal["identity", "log", "inverse-logistic"],
        Meta(description="g: x, log(x), or log(x) - log(1 - x)."),
    ] = "identity"
    default_score: Annotated[float, Meta(ge=0, le=1, description="Score of labels without parameters.")] = 0.0


class OutputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model's output tensor holds."""

    activation: Annotated[
        Literal["softmax", "sigmoid", "logits", "sigmoid-logits"],
        Meta(
            description="softmax, sigmoid: scores from 0 to 1, applied inside the model; logits: softmax is still due; "
            "sigmoid-logits: sigmoid is."
        ),
    ] = "softmax"
    tensor: Annotated[
        str | Annotated[int, Meta(ge=0)] | None,
        Meta(description="Which one, where a model has several outputs: its name, or its number from 0."),
    ] = None
    calibration: Annotated[Calibration | None, Meta(description="Applied to the scores.")] = None


class SelfTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sound that any machine can make for itself, and what the model must answer to it.

    It is a sound, not a tensor, so that the front end is tested along with the interpreter.
    """

    signal: Annotated[Signal, Meta(description="See audiomon.models.self_test.")]
    expected: Annotated[
        Annotated[tuple[float, ...], Meta(min_length=1)] | Annotated[dict[Label, float], Meta(min_length=1)],
        Meta(description="Score of each label in order; or, by label, those of the highest scores alone."),
    ]
    tolerance: Annotated[float, Meta(ge=_LEAST, le=0.5, description="Largest difference of a score.")] = 0.001


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``model.yaml``."""

    format: Annotated[Literal[1], Meta(description="Version of this format.")]
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z", description="The folder's name.")]
    description: Annotated[str, Meta(description="One line for people.")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="Checksum of model.tflite.")]
    labels: Annotated[tuple[Label, ...], Meta(min_length=1, max_length=10_000, description="In the output's order.")]
    input: Annotated[InputSpec, Meta(description="What the model reads.")]
    self_test: Annotated[
        tuple[SelfTest, ...], Meta(min_length=1, max_length=16, description="How to tell that it works here.")
    ]
    license: Annotated[str, Meta(min_length=1, description="Licence of the weights, and of what they were made from.")]
    output: OutputSpec = OutputSpec()
    decisions: Annotated[Decisions, Meta(description="Defaults; audiomon.yaml overrides them.")] = Decisions()
    training: Annotated[
        dict[str, Any], Meta(description="Where the model comes from: data, command, figures; for people.")
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what the types alone cannot.

        Raises:
            FieldError: repeated or unprintable labels, a self-test that does not answer for every label, or decisions
                about labels that there are not.
        """
        check_labels(self.labels, self.decisions)
        for index, test in enumerate(self.self_test):
            self._check_expected(test, ("self_test", index, "expected"))
        calibration = self.output.calibration
        if calibration is not None and len(calibration.parameters) != len(self.labels):
            raise FieldError(
                ("output", "calibration"),
                f"has parameters for {len(calibration.parameters)} labels, there are {len(self.labels)}",
            )
        if calibration is not None and any(len(numbers) in (1, 2) for numbers in calibration.parameters):
            raise FieldError(("output", "calibration"), "a label has none, 3 or 4 parameters")

    def _check_expected(self, test: SelfTest, keys: KeyPath) -> None:
        if isinstance(test.expected, dict):
            strangers = test.expected.keys() - set(self.labels)
            if strangers:
                raise FieldError(
                    keys, f"{test.signal} expects a score of '{shown(min(strangers))}', which is not a label"
                )
        elif len(test.expected) != len(self.labels):
            reason = f"{test.signal} expects {len(test.expected)} scores, there are {len(self.labels)} labels"
            raise FieldError(keys, reason)
