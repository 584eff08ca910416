import os
import threading

import pyarrow as pa

from audiomon.archive.plan import committed, list_recordings, make_plan, parts_with, read_plan
from audiomon.archive.schema import PLAN


def touch(archive, *names):
    for name in names:
        path = archive.recordings / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 10)


def test_every_recording_is_in_one_part_and_parts_are_as_large_as_allowed(archive):
    touch(archive, *(f"{index:03d}.wav" for index in range(10)))
    plan = archive.plan()
    assert sorted(len(plan.entries(part)) for part in plan.todo) == [2, 4, 4]
    assert plan.files_todo == 10
    assert plan.bytes_todo == 100
    names = [name for part in plan.todo for name, _, _ in plan.entries(part)]
    assert sorted(names) == [f"{index:03d}.wav" for index in range(10)]


def test_a_part_is_full_after_the_file_that_passes_its_bytes(archive):
    touch(archive, *(f"{index}.wav" for index in range(5)))
    plan = archive.plan(part_bytes=15)
    assert sorted(len(plan.entries(part)) for part in plan.todo) == [1, 2, 2]


def test_a_plan_only_grows_and_what_is_planned_stays_in_its_part(archive):
    touch(archive, "a.wav", "c.wav")
    first = archive.plan()
    touch(archive, "b.wav")
    second = archive.plan(part_files=1)
    assert second.written == 1
    assert [len(second.entries(part)) for part in first.todo] == [2]
    assert set(first.todo) < set(second.todo)


def test_planning_the_same_twice_writes_nothing(archive):
    touch(archive, "a.wav", "b.wav")
    archive.plan()
    before = archive.out.names("plan", f"run={archive.key}")
    assert archive.plan(part_files=1).written == 0
    assert archive.out.names("plan", f"run={archive.key}") == before


def test_a_recording_of_another_size_or_time_is_another_one(archive):
    touch(archive, "a.wav")
    archive.plan()
    os.utime(archive.recordings / "a.wav", ns=(1, 1))
    assert archive.plan().written == 1


def test_recordings_whose_time_no_store_tells_are_planned_once(archive):
    schema = pa.schema([field for field in PLAN if field.name != "part"])
    listed = pa.table({"file": ["a.wav"], "size": [1], "mtime_ns": [None]}, schema=schema)
    for written in (1, 0):
        plan = make_plan(listed, archive.root, archive.out, archive.task.run, part_files=1, part_bytes=1)
        assert plan.written == written
    assert plan.entries(plan.todo[0]) == [("a.wav", 1, None)]


def test_another_run_is_planned_beside_the_first(archive):
    touch(archive, "a.wav")
    first = archive.plan()
    other = archive.with_run(hop_s=0.25)
    second = other.plan()
    assert second.written == 1
    assert not set(first.todo) & set(second.todo)
    assert len(read_plan(archive.out, archive.key)) == 1


def test_a_dry_run_writes_nothing_and_says_the_same(archive):
    touch(archive, "a.wav", "b.wav")
    assert archive.plan(write=False).files_todo == 2
    assert not (archive.folder / "out").exists()


def test_drivers_that_plan_at_once_put_no_recording_into_two_parts(archive):
    touch(archive, *(f"{index:03d}.wav" for index in range(40)))
    listed = list_recordings(archive.root, [""], [])
    start = threading.Barrier(4)

    def plan(part_files):
        start.wait()
        make_plan(listed, archive.root, archive.out, archive.task.run, part_files=part_files, part_bytes=1 << 30)

    drivers = [threading.Thread(target=plan, args=[part_files]) for part_files in (1, 3, 7, 11)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert sorted(read_plan(archive.out, archive.key)["file"].to_pylist()) == [
        f"{index:03d}.wav" for index in range(40)
    ]


def test_parts_that_are_done_are_not_done_again_unless_asked_for(archive):
    touch(archive, "a.wav", "b.wav")  # neither is audio
    plan = archive.plan(part_files=1)
    archive.do(plan, plan.todo[0])
    assert archive.plan().todo == plan.todo[1:]
    assert committed(archive.out, archive.key) == {plan.todo[0]}
    bad = parts_with(archive.out, archive.key, ["refused", "killed"])
    assert bad == {plan.todo[0]: {"refused"}}
    assert set(archive.plan(again=bad).todo) == set(plan.todo)
