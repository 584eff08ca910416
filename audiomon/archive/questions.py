"""Questions that people have for an archive, in SQL. Each gives columns and rows; none changes anything."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from audiomon.errors import UserError

# Rows looked at for each one of the surest that is wanted: windows overlap, and a sound is to come once.
_LOOKED_AT = 16
_FETCHED = 10_000


@dataclass(frozen=True, slots=True)
class Filter:
    """What a question is about.

    Attributes:
        labels: only these; none for all.
        min_score: only rows that reach it.
    """

    labels: tuple[str, ...] = ()
    min_score: float = 0.0

    @property
    def where(self) -> str:
        """The same as a condition of SQL, on columns label and score."""
        conditions = ["true"]
        if self.labels:
            conditions.append(f"label in ({', '.join(f'$label_{number}' for number in range(len(self.labels)))})")
        if self.min_score:
            conditions.append("score >= $min_score")
        return " and ".join(conditions)

    @property
    def values(self) -> dict[str, Any]:
        """What stands in it."""
        values: dict[str, Any] = {f"label_{number}": label for number, label in enumerate(self.labels)}
        return values | ({"min_score": self.min_score} if self.min_score else {})


@dataclass(frozen=True, slots=True)
class Sound:
    """Something heard: where, and how surely; ``rows`` windows of it are joined in it."""

    label: str
    score: float
    file: str
    start_s: float
    end_s: float
    recorded_at: Any = None


class Answer:
    """Columns, and rows as they are fetched."""

    def __init__(self, columns: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
        self.columns = tuple(columns)
        self.rows = rows


def ask(connection: Any, sql: str, values: dict[str, Any] | None = None) -> Answer:
    """Ask in SQL.

    Raises:
        UserError: it is wrong.
    """
    try:
        result = connection.execute(sql, values or {})
        columns = [column[0] for column in result.description or ()]
        first = result.fetchmany(_FETCHED)
    except duckdb.Error as error:
        raise UserError(f"--sql: {' '.join(str(error).split())}") from None
    return Answer(columns, _rows(result, first))


def _rows(result: Any, rows: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    while rows:
        yield from rows
        rows = result.fetchmany(_FETCHED)


def overview(connection: Any, chosen: Filter) -> Answer:
    """By label: rows, files, sites, the highest score, first and last time."""
    return ask(
        connection,
        "select label, count(*) as rows, count(distinct file) as files, count(distinct site) as sites, "
        "max(score) as highest, min(recorded_at) as first_at, max(recorded_at) as last_at "
        f"from detections where rank = 0 and {chosen.where} group by all order by rows desc, label",
        chosen.values,
    )


def by_hour(connection: Any, chosen: Filter) -> Answer:
    """By hour and label."""
    return _counted(connection, chosen, "date_trunc('hour', recorded_at) as hour", "hour nulls last")


def by_site(connection: Any, chosen: Filter) -> Answer:
    """By site, day and label."""
    return _counted(connection, chosen, "site, recorded_at::date as day", "site, day nulls last")


def _counted(connection: Any, chosen: Filter, groups: str, order: str) -> Answer:
    """Rows and the highest score of each group and label."""
    return ask(
        connection,
        f"select {groups}, label, count(*) as rows, max(score) as highest "
        f"from detections where rank = 0 and {chosen.where} group by all order by {order}, label",
        chosen.values,
    )


def spans(connection: Any, chosen: Filter) -> Answer:
    """Neighbours of one label joined, with their mean score."""
    return ask(
        connection,
        "select label, score, file, start_s, end_s, recorded_at, rows "
        f"from spans where {chosen.where} order by file, start_s",
        chosen.values,
    )


def errors(connection: Any) -> Answer:
    """Files that were not heard to their end, and why."""
    return ask(connection, "select file, status, heard_s, error from errors order by file")


def surest(connection: Any, chosen: Filter, count: int) -> list[Sound]:
    """Return the sounds with the highest scores of each label, each sound once though windows overlap.

    Args:
        connection: see `audiomon.archive.views.connect`.
        chosen: what they are of.
        count: of each label.
    """
    row = "{'score': score, 'file': file, 'start_s': start_s, 'end_s': end_s, 'recorded_at': recorded_at}"
    answer = ask(
        connection,
        f"select label, unnest(max_by({row}, score, {count * _LOOKED_AT})) as sound "
        f"from detections where rank = 0 and {chosen.where} group by label",
        chosen.values,
    )
    found: dict[str, list[Sound]] = {}
    candidates = (Sound(label, **sound) for label, sound in answer.rows)
    for one in sorted(candidates, key=lambda one: (one.label, -one.score, one.file, one.start_s)):
        kept = found.setdefault(one.label, [])
        if len(kept) < count and not any(_overlap(one, other) for other in kept):
            kept.append(one)
    return [one for kept in found.values() for one in kept]


def heard_by_hour(connection: Any, chosen: Filter) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return (label, day, hour, rows) of the labels that are asked for, and (day, hour, rows) of all."""
    dated = "from detections where rank = 0 and recorded_at is not null"
    when = "recorded_at::date as day, hour(recorded_at) as hour, count(*) as rows"
    some = ask(connection, f"select label, {when} {dated} and {chosen.where} group by all order by all", chosen.values)
    every = ask(connection, f"select {when} {dated} group by all order by all")
    return list(some.rows), list(every.rows)


def _overlap(one: Sound, other: Sound) -> bool:
    return one.file == other.file and one.start_s < other.end_s and other.start_s < one.end_s
