"""What a service starts with: the saved settings, the proven model after a crash on trial, or nothing yet."""

import shutil
import socket
import threading

import pytest

from audiomon.clock import SystemClock
from audiomon.config import load_config
from audiomon.config.settings import Settings
from audiomon.daemon import startup as startup_module
from audiomon.daemon.model_record import FILE, ModelRecord, proven_package, read_record, record_of
from audiomon.daemon.running import Running
from audiomon.daemon.startup import Startup
from audiomon.errors import ConfigError, ModelError
from audiomon.models.package import read_package
from audiomon.outputs.feed import open_feed
from audiomon.outputs.feed_protocol import Want, decode, encode
from audiomon.outputs.live import Fanout
from audiomon.outputs.snapshot import FILE as STATUS_FILE
from audiomon.outputs.snapshot import Snapshot
from audiomon.pipeline.loading import named_package
from audiomon.runtime_files import RuntimeFiles, read_runtime
from audiomon.systemd import ServiceManager
from tests.daemon.stubs import PATIENCE_S, KeptOutput
from tests.models.tiny import write_tiny


class Service:
    """A start-up on real packages and a real configuration file."""

    def __init__(self, folder) -> None:
        self.path = folder / "audiomon.yaml"
        self.packages = {name: read_package(write_tiny(folder / name, name)) for name in ("float32", "logits")}
        self.output = KeptOutput()
        self.runtime = folder / "runtime"
        self.save("logits")

    def save(self, model: str) -> None:
        self.path.write_text(f"model: ./{model}\n")

    def startup(self, record: ModelRecord | None = None) -> Startup:
        return Startup(
            lambda: Settings(*load_config(self.path)),
            record,
            output=self.output,
            manager=ServiceManager({}),
            files=RuntimeFiles(self.runtime),
            clock=SystemClock(),
        )

    def record(self, **changes) -> ModelRecord:
        """As a process that swapped from float32 to logits left it."""
        running, before = self.packages["logits"], self.packages["float32"]
        record = {
            "running": running.digest,
            "folder": str(running.folder),
            "before": before.digest,
            "before_folder": str(before.folder),
        }
        return ModelRecord(**(record | changes))


@pytest.fixture
def service(tmp_path):
    return Service(tmp_path)


def test_without_a_record_the_saved_settings_hold(service):
    startup = service.startup()
    assert startup.settings().config.model == "./logits"
    assert (startup.failed, startup.problem, service.output.entries) == ({}, "", [])


def test_a_model_that_ended_the_process_on_trial_gives_way_to_the_proven_one(service):
    startup = service.startup(service.record())
    assert read_package(service.packages["float32"].folder).fingerprint == service.packages["float32"].fingerprint
    assert startup.settings().config.model == str(service.packages["float32"].folder)
    assert "audiomon ended without a word while it listened with the model logits" in startup.problem
    assert list(startup.failed) == [service.packages["logits"].digest]
    (reverted,) = service.output.of_kind("model-reverted")
    assert reverted.facts["model"] == "float32"


def test_a_model_that_was_proven_when_the_process_ended_is_started_again(service):
    startup = service.startup(service.record(before="", before_folder=""))
    assert startup.settings().config.model == "./logits"


def test_a_model_that_failed_before_the_last_process_ended_is_still_refused(service):
    failed, proven = service.packages["logits"], service.packages["float32"]
    record = ModelRecord(proven.digest, str(proven.folder), failed={failed.digest: "the model logits hung"})
    startup = service.startup(record)
    assert startup.settings().config.model == str(proven.folder)
    assert startup.problem == "the model logits hung"


def test_other_files_are_another_model_and_tried(service, tmp_path):
    record = service.record()
    shutil.rmtree(tmp_path / "logits")
    shutil.copytree(tmp_path / "float32", tmp_path / "logits")
    text = (tmp_path / "logits" / "model.yaml").read_text()
    (tmp_path / "logits" / "model.yaml").write_text(text.replace("name: float32", "name: logits"))
    assert service.startup(record).settings().config.model == "./logits"


def test_a_proven_model_that_is_gone_is_not_replaced_by_anything(service, tmp_path):
    shutil.rmtree(tmp_path / "float32")
    assert proven_package(service.record()) is None
    with pytest.raises(ModelError, match="the one that worked before it is gone: waiting for other files"):
        service.startup(service.record()).settings()


def test_a_wrong_configuration_is_waited_for_and_said_once(service, monkeypatch):
    monkeypatch.setattr(startup_module, "_RETRIES_S", (0.01,))
    service.path.write_text("modle: ./logits\n")
    startup = service.startup()
    with pytest.raises(ConfigError) as wrong:
        startup.settings()
    threading.Timer(0.3, service.save, ["float32"]).start()
    running = startup.wait(wrong.value)
    assert running.model == "float32"
    (waiting,) = service.output.of_kind("waiting")
    assert waiting.facts["file"] == str(service.path)
    assert waiting.message.startswith(f"Waiting: {service.path}:1: modle: ")


def test_saving_ends_the_wait_before_the_next_try_is_due(service, monkeypatch):
    monkeypatch.setattr(startup_module, "_RETRIES_S", (10 * PATIENCE_S,))
    monkeypatch.setattr(startup_module, "_MAX_WAIT_S", 10 * PATIENCE_S)
    service.save("nothing")
    startup = service.startup()
    settings = startup.settings()
    with pytest.raises(ConfigError) as wrong:
        named_package(settings)
    threading.Timer(0.3, service.save, ["float32"]).start()
    assert startup.wait(wrong.value).model == "float32"


def test_while_it_waits_the_feed_and_the_status_file_say_for_what(service, monkeypatch, tmp_path):
    monkeypatch.setattr(startup_module, "_RETRIES_S", (10 * PATIENCE_S,))
    path, told = tmp_path / "feed.sock", []
    service.output = Fanout((open_feed(path, "audiomon", SystemClock()),), SystemClock())

    def follow() -> None:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE_S)
                client.connect(str(path))
                client.sendall(encode(Want(("state",))) + b"\n")
                told.append(decode(client.makefile("rb").readline()))
            told.append(read_runtime(service.runtime, STATUS_FILE, Snapshot))
        finally:
            service.save("float32")

    service.save("nothing")
    startup = service.startup()
    settings = startup.settings()
    with pytest.raises(ConfigError) as wrong:
        named_package(settings)
    thread = threading.Thread(target=follow)
    thread.start()
    assert startup.wait(wrong.value).model == "float32"
    thread.join()
    service.output.close()
    hello, state = told
    assert (hello.model, hello.labels) == ("", {})
    assert hello.state == state
    assert (state.health, state.reason) == ("waiting", str(wrong.value))
    assert not (service.runtime / STATUS_FILE).exists()


def test_the_record_says_what_runs_and_what_is_proven(service, tmp_path):
    running, before = (
        Running(None, type("Classifier", (), {"package": service.packages[name]}), None)
        for name in ("logits", "float32")
    )
    record = record_of(running, before, {"abc": "hung"})
    RuntimeFiles(tmp_path / "runtime").write(FILE, record)
    assert read_record(tmp_path / "runtime") == record
    assert record.proven == (service.packages["float32"].digest, service.packages["float32"].folder)
    assert record_of(running, None, {}).proven[0] == service.packages["logits"].digest
    (tmp_path / "runtime" / FILE).write_text('{"running": 7}')
    assert read_record(tmp_path / "runtime") is None
    assert read_record(None) is None
