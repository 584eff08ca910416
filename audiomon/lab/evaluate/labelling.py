"""Which recordings a model is judged on, and what it should say to each: folders' names against the model's labels."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from audiomon.errors import InputError, UserError
from audiomon.lab.train.dataset import Sound, named


def relabelled(
    folder: Path, sounds: list[Sound], labels: tuple[str, ...], renamed: Mapping[str, str], others: str | None
) -> list[Sound]:
    """Give recordings the model's labels.

    Args:
        folder: of the data set.
        sounds: labelled with its folders' names.
        labels: of the model.
        renamed: label by folder, where they differ.
        others: label of folders that the model has no label for; None to refuse them.

    Raises:
        InputError: a folder has no label.
        UserError: a label that is given is not the model's.
    """
    for label in (*renamed.values(), *([others] if others else [])):
        if label not in labels:
            raise UserError(f"the model has no label {label!r}; it has {', '.join(labels)}")
    names = sorted({sound.label for sound in sounds})
    unknown = sorted(set(renamed) - set(names))
    if unknown:
        raise UserError(f"{folder}: there is no folder {unknown[0]!r}; there are {', '.join(names)}")
    meant = {name: renamed.get(name, name if name in labels else others) for name in names}
    strangers = [name for name, label in meant.items() if label is None]
    if strangers:
        raise InputError(
            f"{folder}: the model has no label for {named(strangers)}; it has {', '.join(labels)}. "
            f"--label {strangers[0]}=LABEL says what to expect there, --others LABEL for all such folders"
        )
    return [replace(sound, label=meant[sound.label] or sound.label) for sound in sounds]
