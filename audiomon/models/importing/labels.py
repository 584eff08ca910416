"""Labels, in the order of a model's scores: files with one a line, as people have them, read strictly."""

import codecs
import csv
import errno
import os
import re
from collections import defaultdict
from pathlib import Path

from audiomon.errors import ModelError, UserError
from audiomon.models.plain_file import read_plain_file

# Lines as Teachable Machine writes them: `0 Background Noise`.
_NUMBERED = re.compile(r"(\d+)[ \t:,]+(.+)")
_MAX_LABEL_CHARS = 200
MAX_LABEL_BYTES = 4 << 20
# What the column of names is called in tables of classes, such as YAMNet's; the most telling first.
_NAME_COLUMNS = ("display_name", "class_name", "label", "name", "class")


def read_labels(content: bytes, where: str) -> tuple[tuple[str, ...], str]:
    """Read a file of labels.

    Args:
        content: UTF-8, or UTF-16 with a byte order mark: a label on each line, or a table in CSV whose first line
            names its columns.
        where: what to call the file.

    Returns:
        The labels, and what was done to them beyond reading lines; empty for nothing.

    Raises:
        ModelError: it is not text, a line is empty, or a label is there more than once; the message names the line.
    """
    text = _decoded(content, where)
    if table := _named_column(text):
        lines, note = table
    else:
        lines, note = [line.strip() for line in text.splitlines()], ""
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ModelError(f"{where}: holds no labels")
    if not table:
        lines, note = _without_numbers(lines)
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, label in enumerate(lines, 1):
        if not label:
            raise ModelError(f"{where}: line {number} is empty, but each line is a label, in the order of the scores")
        if not label.isprintable():
            raise ModelError(f"{where}: line {number} has characters in it that cannot be printed")
        if len(label) > _MAX_LABEL_CHARS:
            raise ModelError(
                f"{where}: line {number} is longer than {_MAX_LABEL_CHARS} characters; that is not a label"
            )
        numbers[label].append(number)
    for label, places in numbers.items():
        if len(places) > 1:
            raise ModelError(
                f"{where}: {label!r} is on the lines {', '.join(map(str, places[:5]))}; labels must differ"
            )
    return tuple(lines), note


def said_labels(text: str) -> tuple[tuple[str, ...], str]:
    """Read what ``--labels`` is given: a file of labels, or the labels themselves, separated by commas.

    Returns:
        The labels, and where they are from, in words.

    Raises:
        UserError: it is a file that cannot be read or is no file of labels, or looks like one and is not there.
    """
    try:
        if Path(text).is_dir():  # of a label's recordings, perhaps
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        labels, remark = read_labels(read_plain_file(Path(text), MAX_LABEL_BYTES), text)
    except OSError as error:
        if "," in text or not (set(text) & {".", "/"}):
            return tuple(label.strip() for label in text.split(",")), "--labels"
        raise UserError(f"--labels {text}: cannot be read: {error.strerror}") from None
    except ModelError as error:
        raise UserError(str(error)) from None
    return labels, text + (f", {remark}" if remark else "")


def read_calibration(content: bytes, where: str) -> tuple[tuple[float, ...], ...]:
    """Read a file of score calibrations as TFLite's metadata has it: scale, slope, offset and perhaps a least score.

    Returns:
        Three or four numbers for each label; none where its line is empty.

    Raises:
        ModelError: a line is something else.
    """
    found: list[tuple[float, ...]] = []
    for number, line in enumerate(_decoded(content, where).splitlines(), 1):
        try:
            values = tuple(float(cell) for cell in line.split(",") if cell.strip())
        except ValueError:
            raise ModelError(f"{where}: line {number} has something in it that is not a number") from None
        if len(values) not in (0, 3, 4):
            raise ModelError(f"{where}: line {number} has {len(values)} numbers; it must be none, 3 or 4")
        found.append(values)
    return tuple(found)


def _decoded(content: bytes, where: str) -> str:
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ModelError(f"{where}: line {line} is not UTF-8 text; save the file as UTF-8") from None


def _named_column(text: str) -> tuple[list[str], str] | None:
    """Read the column of names from a table in CSV; None if the text is no such table."""
    try:
        header, *rows = list(csv.reader(text.splitlines())) or [[]]
    except csv.Error:
        return None
    names = [cell.strip().lower() for cell in header]
    column = next((names.index(name) for name in _NAME_COLUMNS if name in names), None)
    rows = [row for row in rows if row]
    if column is None or len(names) < 2 or any(len(row) != len(names) for row in rows):
        return None
    return [row[column].strip() for row in rows], f"its column {names[column]}"


def _without_numbers(lines: list[str]) -> tuple[list[str], str]:
    """Take the numbers off lines that are numbered from 0 without a gap."""
    matches = [_NUMBERED.fullmatch(line) for line in lines]
    if all(match is not None and int(match[1]) == index for index, match in enumerate(matches)):
        return [match[2].strip() for match in matches if match], "the numbers before them left out"
    return lines, ""
