import numpy as np
import pyarrow as pa
import pytest

from audiomon.archive.part import do_part
from audiomon.archive.plan import committed
from audiomon.archive.store import StoreError
from audiomon.archive.task import Task
from audiomon.archive.worker import TaskPlugin, WorkerError, run_part
from audiomon.errors import ModelError
from tests.archive.corpus import sound, write_recording


@pytest.fixture
def planned(archive):
    for index in range(3):
        write_recording(archive.recordings / f"{index}.wav", sound(np.random.default_rng(index), 16_000, 3.0), 16_000)
    return archive, archive.plan()


def encoded(task: Task) -> bytes:
    import msgspec

    return msgspec.msgpack.encode(task)


def contents(archive):
    out = archive.folder / "out"
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.parquet")}


def test_killed_between_its_two_tables_a_part_is_not_done_and_is_done_again_under_the_same_names(planned, monkeypatch):
    archive, plan = planned
    (part,) = plan.todo
    hear, labels = archive.task.loaded.hear, archive.task.loaded.classifier.labels

    class KilledStore:
        def write(self, table: pa.Table, *names: str) -> None:
            if names[0] == "files":
                raise KeyboardInterrupt
            archive.out.write(table, *names)

    def do(out):
        do_part(out, archive.task.run, labels, part, plan.entries(part), lambda entry: hear(archive.root, entry))

    with pytest.raises(KeyboardInterrupt):
        do(KilledStore())
    assert committed(archive.out, archive.key) == set()
    assert archive.plan().todo == [part]
    detections = {name: body for name, body in contents(archive).items() if name.startswith("detections")}
    do(archive.out)
    assert committed(archive.out, archive.key) == {part}
    again = {name: body for name, body in contents(archive).items() if name.startswith("detections")}
    assert again == detections


def test_a_worker_says_why_it_cannot_and_does_nothing(planned):
    archive, plan = planned
    (part,) = plan.todo
    entries = plan.entries(part)
    with pytest.raises(WorkerError, match="was not sent the model"):
        run_part("elsewhere", part, entries, "together", again=False)
    TaskPlugin(archive.key, encoded(archive.task), "0.0.0").setup(None)
    with pytest.raises(WorkerError, match=r"and this is a run of 0\.0\.0"):
        run_part(archive.key, part, entries, "together", again=False)
    assert committed(archive.out, archive.key) == set()


def test_a_model_that_is_not_the_one_that_was_meant_is_refused(planned):
    archive, _ = planned
    other = archive.with_run(model_sha256="0" * 64)
    with pytest.raises(ModelError, match="not 000000000000"):
        other.task.hearing()


def test_a_part_is_done_the_same_by_a_worker_by_its_child_and_by_nobody_twice(planned):
    from audiomon import __version__

    archive, plan = planned
    (part,) = plan.todo
    TaskPlugin(archive.key, encoded(archive.task), __version__).setup(None)
    first = run_part(archive.key, part, plan.entries(part), "together", again=False)
    assert (first["files"], first["bad"]) == (3, 0)
    before = contents(archive)
    assert run_part(archive.key, part, plan.entries(part), "together", again=False)["rows"] == 0
    assert contents(archive) == before
    apart = run_part(archive.key, part, plan.entries(part), "apart", again=True)
    assert apart["rows"] == first["rows"]
    detections = next(name for name in before if name.startswith("detections"))
    assert contents(archive)[detections] == before[detections]


def test_where_nothing_can_be_written_the_part_says_so(planned):
    archive, plan = planned
    (archive.folder / "out" / "detections").write_text("a file is in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        archive.do(plan)
