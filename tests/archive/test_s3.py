"""An object store on loopback: recordings and results at addresses."""

import shutil

import msgspec
import numpy as np
import pytest

from audiomon.archive.plan import list_recordings, make_plan, parts_with
from audiomon.archive.questions import Filter, overview
from audiomon.archive.store import open_roots, open_store
from audiomon.archive.views import choose_run, connect
from audiomon.archive.worker import TaskPlugin, run_part
from tests.archive.corpus import sound, write_recording

pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")


@pytest.fixture
def bucket(monkeypatch):
    import s3fs

    running = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "x"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("archive")
    yield "s3://archive"
    s3fs.S3FileSystem.clear_instance_cache()
    running.stop()


def test_an_archive_on_an_object_store_gives_the_rows_that_a_folder_does(archive, bucket):
    from audiomon import __version__

    for index in range(3):
        samples = sound(np.random.default_rng(index), 16_000, 3.0)
        write_recording(archive.recordings / f"site/{index}.wav", samples, 16_000)
    (archive.recordings / "site/empty.wav").write_bytes(b"")
    there = open_store(bucket)
    there.fs.put(str(archive.recordings / "site"), f"{there.base}/in/site", recursive=True)
    archive.do(archive.plan())
    here = connect(archive.out, archive.key).execute("select * exclude(part) from detections order by all").fetchall()

    root, below = open_roots([f"{bucket}/in"])
    out = open_store(f"{bucket}/out")
    task = msgspec.structs.replace(archive.task, root=root.address, out=out.address)
    limits = {"part_files": 2, "part_bytes": 1 << 30}
    plan = make_plan(list_recordings(root, below, []), root, out, task.run, **limits)
    assert plan.files_todo == 4
    TaskPlugin(archive.key, msgspec.msgpack.encode(task), __version__).setup(None)
    for part in plan.todo:
        run_part(archive.key, part, plan.entries(part), "together", again=False)
    again = make_plan(list_recordings(root, below, []), root, out, task.run, **limits)
    assert (again.todo, again.written, again.files_done) == ([], 0, 4)
    assert len(parts_with(out, archive.key, ["refused"])) == 1

    key, about = choose_run(out, None)
    assert (key, about.root) == (archive.key, f"{bucket}/in")
    connection = connect(out, key)
    assert connection.execute("select * exclude(part) from detections order by all").fetchall() == here
    assert sum(row[1] for row in overview(connection, Filter()).rows) == len(here)
    (error,) = connection.execute("select error from errors").fetchone()
    assert error == "site/empty.wav: is empty"
    shutil.rmtree(archive.recordings)  # nothing of it was read from here
