"""Cross-validation: for each fold, a model that never heard it, and what that model says to it."""

from audiomon.config import Decisions, decision_rules
from audiomon.errors import InputError
from audiomon.lab.evaluate.hearing import DEFAULT_HOP_S, HeardSound
from audiomon.lab.train.dataset import BACKGROUND
from audiomon.lab.train.fitting import Job, Trained
from audiomon.lab.train.packaging import hear_held, manifest_of
from audiomon.lab.train.preparation import Prepared
from audiomon.lab.train.settings import TrainingSettings
from audiomon.lab.train.thresholds import chosen_decisions, decided_again


def fold_jobs(prepared: Prepared, settings: TrainingSettings, threads: int) -> list[Job]:
    """Return a training for each fold of the data set, in the folds' order.

    Raises:
        InputError: there is only one fold, or a class is missing from what remains.
    """
    if len(prepared.folds) < 2:
        raise InputError(f"{prepared.folder}: has {len(prepared.folds)} fold; cross-validation needs at least 2")
    return [job(prepared, settings, fold, threads) for fold in prepared.folds]


def job(prepared: Prepared, settings: TrainingSettings, held: str | None, threads: int, *, int8: bool = False) -> Job:
    """Return the training on all but one fold (on everything, if None).

    What of it is called background is also mixed in behind the rest, as it is where a sound is heard.
    """
    training, validation = prepared.sides(held, bool(settings.patience))
    background = prepared.labels.index(BACKGROUND) if BACKGROUND in prepared.labels else None
    return Job(
        settings,
        len(prepared.labels),
        training,
        validation,
        [*prepared.noise, *(one for one in training if one.label == background)],
        background,
        ("float32", "int8") if int8 else ("float32",),
        threads,
    )


def hear_folds(
    prepared: Prepared, settings: TrainingSettings, trained: list[Trained], hop_s: float = DEFAULT_HOP_S
) -> tuple[list[HeardSound], Decisions]:
    """Play each fold to the model that was trained without it.

    Returns:
        What was heard, and the decisions for a model that has learned from all folds. Where thresholds are chosen, each
        fold's events are made by those that the other folds chose.
    """
    folds = [
        hear_held(prepared.held(fold), one.contents["float32"], prepared.labels, settings, hop_s)
        for fold, one in zip(prepared.folds, trained, strict=True)
    ]
    everything = [heard for fold in folds for heard in fold]
    if not settings.false_events_per_hour:
        return everything, settings.decisions
    labels = prepared.labels
    own = manifest_of("trained", labels, settings).decisions

    def chosen(heard: list[HeardSound]) -> Decisions:
        return chosen_decisions(heard, labels, own, settings.false_events_per_hour)

    decided = []
    for fold in folds:
        others = [heard for other in folds if other is not fold for heard in other]
        rules = decision_rules(labels, chosen(others), Decisions())
        decided += [decided_again(heard, labels, rules) for heard in fold]
    return decided, chosen(everything)
