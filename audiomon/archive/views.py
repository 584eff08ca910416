"""An archive's tables as DuckDB sees them: SQL views, the same that README.md gives to any other tool. Reads only."""

import re
from dataclasses import dataclass
from typing import Any

import duckdb
import msgspec

from audiomon.archive.plan import committed
from audiomon.archive.schema import Run
from audiomon.archive.store import Store
from audiomon.errors import UserError

# Joined in the order in which rows are written, a recording's after one another and by time: one pass, and no sorting.
_SPANS = """
select file, site, label, coalesce(lag(next_s) over (), first_s) as start_s, end_s,
    (sum_score - coalesce(lag(sum_score) over (), 0)) / (number - coalesce(lag(number) over (), 0)) as score,
    number - coalesce(lag(number) over (), 0) as rows,
    recorded_at - to_microseconds(((start_s - coalesce(lag(next_s) over (), first_s)) * 1e6)::bigint) as recorded_at
from (
    select * from (
        select file, site, label, start_s, end_s, recorded_at,
            lead(label) over () as next_label, lead(file) over () as next_file, lead(start_s) over () as next_s,
            first_value(start_s) over (rows unbounded preceding) as first_s,
            sum(score::double) over (rows unbounded preceding) as sum_score,
            row_number() over () as number
        from detections where rank = 0
    )
    where next_label is distinct from label or next_file is distinct from file or next_s > end_s
)
"""
# The same of rows in any order, as they are once others have been left out; takes six times as long.
_SPANS_SORTED = """
select file, any_value(site) as site, label, min(start_s) as start_s, max(end_s) as end_s, avg(score::double) as score,
    count(*) as rows, min(recorded_at) as recorded_at
from (
    select *, sum(begins) over (partition by file order by start_s rows unbounded preceding) as number
    from (
        select *, case when label = lag(label) over one_file and start_s <= lag(end_s) over one_file
            then 0 else 1 end as begins
        from detections where rank = 0 window one_file as (partition by file order by start_s)
    )
)
group by file, number, label
"""


@dataclass(frozen=True, slots=True)
class About:
    """What a run's plan says of it: what it is of, and where its recordings were."""

    run: Run
    root: str


def runs(out: Store) -> dict[str, About]:
    """Return the runs that an archive holds, by key.

    Raises:
        UserError: it holds none.
    """
    try:
        folders = [one.rsplit("/", 1)[-1] for one in out.fs.ls(out.path("plan"), detail=False)]
    except (FileNotFoundError, NotADirectoryError):
        folders = []
    found = {}
    for folder in sorted(folders):
        plans = out.names("plan", folder)
        if folder.startswith("run=") and plans:
            about = out.metadata("plan", folder, plans[0]).get(b"audiomon", b"")
            try:
                found[folder.removeprefix("run=")] = msgspec.json.decode(about, type=About)
            except msgspec.MsgspecError:
                raise UserError(f"{out.path('plan', folder, plans[0])}: is not a plan of audiomon's") from None
    if not found:
        raise UserError(f"{out.address}: no results of `audiomon classify --output` are here")
    return found


def choose_run(out: Store, key: str | None) -> tuple[str, About]:
    """Return the run that is asked for, or the only one.

    Args:
        out: the archive.
        key: of the run, or how it begins.

    Raises:
        UserError: there is no such run, or there are several; they are never mixed.
    """
    found = runs(out)
    chosen = [one for one in found if one.startswith(key or "")]
    if len(chosen) == 1:
        return chosen[0], found[chosen[0]]
    named = "; ".join(
        f"{one} (model {about.run.model} {about.run.model_sha256[:8]}, audiomon {about.run.audiomon}, {about.run.rows})"
        for one, about in found.items()
    )
    problem = f"there is no run {key}" if not chosen else f"{len(chosen)} runs are here"
    raise UserError(f"{out.address}: {problem}; say which with --run: {named}")


def connect(out: Store, key: str, site: str | None = None) -> Any:
    """Open a run of an archive.

    Args:
        out: the archive.
        key: of the run.
        site: regular expression that finds the site in a recording's name: its first group, or all of it; None for the
            first folder.

    Returns:
        A DuckDB connection with the views files, errors, detections and spans.

    Raises:
        UserError: nothing is done yet, or ``site`` is no regular expression.
    """
    connection = duckdb.connect()
    prefix = ""
    if not out.local:
        connection.register_filesystem(out.fs)
        prefix = f"{out.fs.protocol if isinstance(out.fs.protocol, str) else out.fs.protocol[0]}://"
    parts = sorted(committed(out, key))
    if not parts:
        raise UserError(f"{out.address}: run {key} has no results yet")

    def table(name: str) -> str:
        paths = ", ".join(_quoted(prefix + out.path(name, f"run={key}", f"{part}.parquet")) for part in parts)
        return f"read_parquet([{paths}], hive_partitioning = false)"

    connection.execute(f"create macro site_of(file) as {_site(site)}")
    connection.execute(f"create temp table all_files as from {table('files')}")
    # Of a recording that has been replaced, and of one that two drivers have done, one row is right.
    connection.execute(
        "create view files as select *, site_of(file) as site from all_files "
        "qualify row_number() over (partition by file order by mtime_ns desc nulls last, part) = 1"
    )
    connection.execute("create view errors as from files where status <> 'ok'")
    try:
        outdated = connection.execute(
            "create temp table outdated as select part, file from all_files anti join files using (part, file); "
            "select count(*) from outdated"
        ).fetchone()
    except duckdb.Error as error:
        raise UserError(f"--site {site}: {str(error).splitlines()[0]}") from None
    left_out = "anti join outdated using (part, file)" if outdated != (0,) else ""
    connection.execute(
        f"create view detections as select *, site_of(file) as site from {table('detections')} {left_out}"
    )
    connection.execute(f"create view spans as {_SPANS_SORTED if left_out else _SPANS}")
    return connection


def _site(pattern: str | None) -> str:
    if pattern is None:
        return "case when contains(file, '/') then split_part(file, '/', 1) else '' end"
    try:
        group = min(1, re.compile(pattern).groups)
    except re.error as error:
        raise UserError(f"--site {pattern}: is not a regular expression: {error}") from None
    return f"regexp_extract(file, {_quoted(pattern)}, {group})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
