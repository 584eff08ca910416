import itertools
import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from audiomon.archive import views
from audiomon.archive.questions import Filter, by_hour, by_site, errors, heard_by_hour, overview, spans, surest
from audiomon.archive.schema import DETECTIONS, FILES
from audiomon.archive.views import choose_run, connect
from audiomon.errors import UserError
from tests.archive.corpus import sound, write_recording

NAMES = ("north/20260301_040000.WAV", "north/20260301_050000.WAV", "south/20260302_040000.WAV", "south/other.wav")


@pytest.fixture
def done(archive):
    for index, name in enumerate(NAMES):
        write_recording(archive.recordings / name, sound(np.random.default_rng(index), 16_000, 5.0), 16_000)
    (archive.recordings / "south/empty.wav").write_bytes(b"")
    archive.do(archive.plan(part_files=2))
    return archive


def rows(answer):
    return list(answer.rows)


def test_the_tables_have_the_columns_that_are_documented(done):
    for name, schema in (("detections", DETECTIONS), ("files", FILES)):
        for path in (done.folder / "out" / name).rglob("*.parquet"):
            assert pq.read_schema(path).equals(schema)


def test_everything_heard_is_counted_once_in_every_question(done):
    connection = connect(done.out, done.key)
    (total,) = connection.execute("select count(*) from detections").fetchone()
    every = Filter()
    assert total > 0
    assert sum(row[1] for row in overview(connection, every).rows) == total
    assert sum(row[2] for row in by_hour(connection, every).rows) == total
    assert sum(row[3] for row in by_site(connection, every).rows) == total
    assert sum(row[6] for row in spans(connection, every).rows) == total
    assert {row[0] for row in by_site(connection, every).rows} == {"north", "south"}
    some, all_of_them = heard_by_hour(connection, every)
    assert sum(row[3] for row in some) == sum(row[2] for row in all_of_them) < total  # one has no time in its name
    assert rows(errors(connection)) == [("south/empty.wav", "refused", 0.0, "south/empty.wav: is empty")]


def test_spans_are_the_neighbours_of_one_label_in_either_way_of_joining(done):
    connection = connect(done.out, done.key)
    windows = connection.execute("select file, label, start_s, end_s, score from detections").fetchall()
    expected = []
    for (file, label), group in itertools.groupby(windows, key=lambda row: row[:2]):
        joined = list(group)
        mean = sum(row[4] for row in joined) / len(joined)
        expected.append((file, label, joined[0][2], joined[-1][3], pytest.approx(mean), len(joined)))
    for sql in (views._SPANS, views._SPANS_SORTED):
        columns = "file, label, start_s, end_s, score, rows"
        found = connection.execute(f"select {columns} from ({sql}) order by file, start_s").fetchall()
        assert found == sorted(expected, key=lambda row: (row[0], row[2]))


def test_a_recording_that_was_replaced_is_there_once_as_it_is_now(done):
    path = done.recordings / NAMES[0]
    write_recording(path, sound(np.random.default_rng(99), 16_000, 8.0), 16_000)
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 10**9))
    done.do(done.plan())
    connection = connect(done.out, done.key)
    assert connection.execute("select count(*), count(distinct file) from files").fetchone() == (5, 5)
    (end_s,) = connection.execute("select max(end_s) from detections where file = ?", [NAMES[0]]).fetchone()
    assert end_s > 7
    twice = connection.execute("select count(*) - count(distinct (file, start_s)) from detections").fetchone()
    assert twice == (0,)
    assert max(row[4] for row in spans(connection, Filter()).rows) > 7


def test_a_part_that_was_not_committed_is_not_seen(done):
    connection = connect(done.out, done.key)
    before = connection.execute("select count(*) from detections").fetchone()
    source = next((done.folder / "out/detections").rglob("*.parquet"))
    source.with_name("uncommitted.parquet").write_bytes(source.read_bytes())
    assert connect(done.out, done.key).execute("select count(*) from detections").fetchone() == before


def test_the_surest_come_once_though_windows_overlap(done):
    found = surest(connect(done.out, done.key), Filter(), 3)
    by_label = {label: list(group) for label, group in itertools.groupby(found, key=lambda one: one.label)}
    for sounds in by_label.values():
        assert len(sounds) <= 3
        assert [one.score for one in sounds] == sorted((one.score for one in sounds), reverse=True)
        for one, other in itertools.combinations(sounds, 2):
            assert one.file != other.file or one.end_s <= other.start_s or other.end_s <= one.start_s


def test_labels_and_scores_are_filtered_and_quoted(done):
    connection = connect(done.out, done.key)
    first = overview(connection, Filter())
    label, count, *_ = next(first.rows)
    assert [row[:2] for row in overview(connection, Filter((label, "it's ' ;--"))).rows] == [(label, count)]
    assert rows(overview(connection, Filter(min_score=1.0))) == []


def test_a_site_is_what_a_regular_expression_finds(done):
    connection = connect(done.out, done.key, r"/(\d{8})_")
    assert {row[0] for row in by_site(connection, Filter()).rows} == {"20260301", "20260302", ""}
    with pytest.raises(UserError, match="not a regular expression"):
        connect(done.out, done.key, "(")


def test_several_runs_are_never_mixed(done):
    other = done.with_run(hop_s=0.25)
    other.do(other.plan())
    with pytest.raises(UserError, match="2 runs are here") as raised:
        choose_run(done.out, None)
    assert done.key in str(raised.value)
    assert choose_run(done.out, other.key[:8])[0] == other.key
    with pytest.raises(UserError, match="there is no run nonsense"):
        choose_run(done.out, "nonsense")


def test_a_folder_without_results_says_so(tmp_path):
    from audiomon.archive.store import open_store

    with pytest.raises(UserError, match="no results"):
        choose_run(open_store(str(tmp_path)), None)
