"""A folder of recordings, a subfolder for each class: what is in it, and who may be on which side of a split.

Looks at names only; `audiomon.lab.train.features` opens the recordings.
"""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from audiomon.audio.folder import audio_files
from audiomon.errors import InputError, UserError
from audiomon.foreign import shown
from audiomon.models.manifest import MAX_LABEL_CHARS

SPLIT_TABLE = "split.csv"
# Words of a split table that are no folds.
TRAIN, VALIDATION, TEST = "train", "validation", "test"
MIN_PER_CLASS = 5
SOURCES = "record every class in more than one session, or say what belongs together with --groups or split.csv"
# The class that makes no events.
BACKGROUND = "background"
# What `audiomon record` calls its files: all takes of one session are one source.
_RECORDED = re.compile(r"^(\d{8}-\d{6})-\d+$")
# What `cut_out_name` gives.
_CUT_OUT = re.compile(r"^(.+)-at-\d+\.\ds-taken-for-.+$")
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Sound:
    """One recording of a data set.

    Attributes:
        path: of its file.
        name: its path within the data set.
        label: its class, the name of its subfolder.
        group: what it comes from; recordings of one group are never on both sides of a split.
        fold: the part of the data set that it belongs to.
    """

    path: Path
    name: str
    label: str
    group: str = ""
    fold: str = ""


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a data set is divided; kept in a package, so that its figures can be had again.

    Attributes:
        folds: regular expression searched for in a file's name within the data set; its first group (else all that
            matched) is the fold.
        groups: the same for the source that a file comes from; groups are dealt out to folds by chance.
        count: number of folds, where they are dealt out; fewer where there are fewer groups.
        seed: of that chance.
    """

    folds: str | None = None
    groups: str | None = None
    count: Annotated[int, Meta(ge=2, le=100)] = 5
    seed: int = 1


def named(names: Iterable[str]) -> str:
    """List names for a message: a few, and how many more."""
    listed = list(names)
    more = f" and {len(listed) - _MAX_NAMED} more" if len(listed) > _MAX_NAMED else ""
    return ", ".join(listed[:_MAX_NAMED]) + more


def find_sounds(folder: Path) -> list[Sound]:
    """List a data set's recordings, by class and name.

    Raises:
        InputError: there is no such folder, or nothing in it; recordings lie outside the class folders; or a folder's
            name cannot be a label.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; a data set is a folder with a folder of recordings for each class")
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not classes:
        raise InputError(f"{folder}: has no folders; recordings lie in a folder for each class, {folder}/CLASS/*.wav")
    sounds = []
    for place in classes:
        try:
            files = audio_files(place)
        except InputError:
            continue  # pictures, notes
        if not place.name.isprintable() or len(place.name) > MAX_LABEL_CHARS:
            raise InputError(
                f"{folder}: the folder '{shown(place.name)}' names no label: that is plain text of at most "
                f"{MAX_LABEL_CHARS} characters"
            )
        sounds += [Sound(path, str(path.relative_to(folder)), place.name) for path in files]
    if not sounds:
        raise InputError(f"{folder}: holds no audio (WAV, FLAC, Ogg, MP3 …) in its folders")
    return sounds


def check_classes(folder: Path, sounds: list[Sound]) -> None:
    """Refuse what nothing can be learned from.

    Raises:
        InputError: there is one class, or a class has too few recordings; the message names them.
    """
    counts = Counter(sound.label for sound in sounds)
    if len(counts) < 2:
        raise InputError(
            f"{folder}: has one class, {next(iter(counts))!r}; a model tells at least two apart: add a folder of what "
            f"is usually heard, such as 'background'"
        )
    small = [f"{folder / label} ({count})" for label, count in sorted(counts.items()) if count < MIN_PER_CLASS]
    if small:
        raise InputError(
            f"too few recordings in {named(small)}: a class needs at least {MIN_PER_CLASS}, better 50; "
            f"audiomon record makes them"
        )


def divide(folder: Path, sounds: list[Sound], split: Split) -> list[Sound]:
    """Say of every recording which group and which fold it belongs to.

    The data set's own ``split.csv`` decides, with the columns ``file`` and ``fold`` (a word or number; ``train`` is
    never tested on); then a rule for folds; else groups are dealt out so that every fold has its share of each class.

    Raises:
        InputError: the table or a rule does not fit the recordings, or a group would be on both sides.
    """
    parents = {sound.path.stem: sound for sound in reversed(sounds)}
    grouped = [replace(sound, group=_group(sound, split.groups, parents)) for sound in sounds]
    if is_dealt(folder, split):
        folds = _dealt_folds(grouped, split)
    elif split.folds is not None:
        folds = [_matched(sound, split.folds, "folds") for sound in grouped]
    else:
        folds = _table_folds(folder / SPLIT_TABLE, grouped)
    divided = [replace(sound, fold=fold) for sound, fold in zip(grouped, folds, strict=True)]
    _check_groups(folder, divided)
    return divided


def is_dealt(folder: Path, split: Split) -> bool:
    """Return whether chance divides a data set, because no rule and no table does."""
    return split.folds is None and not (folder / SPLIT_TABLE).exists()


def fold_names(sounds: list[Sound]) -> list[str]:
    """Return the folds that can be held out, in order."""
    return sorted({sound.fold for sound in sounds} - {TRAIN, VALIDATION})


def cut_out_name(stem: str, begin_s: float, taken: str) -> str:
    """Name a clip that is cut out of a recording, so that `divide` keeps it on the recording's side of a split.

    Args:
        stem: of the recording's file name.
        begin_s: where the clip begins.
        taken: label that it was taken for.
    """
    return f"{stem}-at-{begin_s:.1f}s-taken-for-{taken}"


def division_digest(sounds: list[Sound]) -> str:
    """Return a digest of which recording is in which fold."""
    division = "".join(sorted(f"{sound.name}\t{sound.fold}\n" for sound in sounds))
    return hashlib.blake2b(division.encode(), digest_size=8).hexdigest()


def _group(sound: Sound, rule: str | None, parents: Mapping[str, Sound]) -> str:
    if rule is not None:
        return _matched(sound, rule, "groups")
    stem = sound.path.stem
    if cut_out := _CUT_OUT.match(stem):
        stem = cut_out[1]
        sound = parents.get(stem, sound)
    recorded = _RECORDED.match(stem)
    return recorded[1] if recorded else sound.name


def _matched(sound: Sound, rule: str, option: str) -> str:
    try:
        found = re.search(rule, sound.name) or re.search(rule, sound.path.name)
    except re.error as error:
        raise UserError(f"--{option} {rule!r} is not a regular expression: {error}") from None
    if found is None:
        raise InputError(f"{sound.path}: --{option} {rule!r} matches nothing in its name")
    return (found[1] if found.re.groups else found[0]) or ""


def _table_folds(table: Path, sounds: list[Sound]) -> list[str]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = {"file", "fold"} - set(rows.fieldnames or ())
            if missing:
                raise InputError(f"{table}:1: has no column {min(missing)!r}; its first line must be file,fold")
            known = {sound.name for sound in sounds}
            folds: dict[str, str] = {}
            for row in rows:
                name, fold = (row["file"] or "").strip(), (row["fold"] or "").strip()
                if name not in known:
                    raise InputError(f"{table}:{rows.line_num}: file: there is no recording {name!r} here")
                if not fold:
                    raise InputError(f"{table}:{rows.line_num}: fold: is empty")
                if folds.setdefault(name, fold) != fold:
                    raise InputError(f"{table}:{rows.line_num}: file: {name} is in {folds[name]!r} already")
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"{table}: cannot be read as a table ({error})") from None
    absent = [sound.name for sound in sounds if sound.name not in folds]
    if absent:
        raise InputError(f"{table}: says nothing of {named(absent)}")
    return [folds[sound.name] for sound in sounds]


def _dealt_folds(sounds: list[Sound], split: Split) -> list[str]:
    from sklearn.model_selection import StratifiedGroupKFold

    groups = np.array([sound.group for sound in sounds])
    count = min(split.count, len(set(groups)))
    if count < 2:
        raise InputError(f"all recordings come from one source ({groups[0]}), so nothing can be held out: {SOURCES}")
    labels = np.array([sound.label for sound in sounds])
    folds = np.empty(len(sounds), dtype=int)
    dealer = StratifiedGroupKFold(count, shuffle=True, random_state=split.seed)
    for number, (_, members) in enumerate(dealer.split(labels, labels, groups), start=1):
        folds[members] = number
    return [str(fold) for fold in folds]


def _check_groups(folder: Path, sounds: list[Sound]) -> None:
    first: dict[str, Sound] = {}
    for sound in sounds:
        other = first.setdefault(sound.group, sound)
        if other.fold != sound.fold:
            raise InputError(
                f"{folder}: {other.name} (fold {other.fold}) and {sound.name} (fold {sound.fold}) are both of "
                f"{sound.group!r}: one source would be on both sides of the split"
            )
