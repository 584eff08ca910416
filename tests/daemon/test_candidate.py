"""What is compared, checked and loaded for new settings, on real packages."""

import time

import pytest

from audiomon.clock import SystemClock
from audiomon.config import load_config
from audiomon.config.settings import Settings
from audiomon.daemon.candidate import Candidate
from audiomon.daemon.running import Running
from audiomon.errors import ConfigError, ModelError
from audiomon.models.package import read_package
from audiomon.pipeline import loading as loading_module
from audiomon.pipeline.loading import LoadingModel
from tests.daemon.stubs import PATIENCE_S
from tests.models.tiny import write_tiny


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("candidate")
    for name in ("float32", "logits"):
        write_tiny(folder / name, name)
    return folder


@pytest.fixture
def settings(packages):
    def settings(text: str) -> Settings:
        (packages / "audiomon.yaml").write_text(text)
        return Settings(*load_config(packages / "audiomon.yaml"))

    return settings


@pytest.fixture
def running(settings):
    loaded = settings("model: ./float32\n")
    loading = LoadingModel(loaded)
    return Running(loaded, loading.classifier(), loading.rules)


def checked(running, settings, failed=None) -> Candidate:
    candidate = Candidate(running, settings, failed or {}, SystemClock())
    deadline_s = time.monotonic() + PATIENCE_S
    while not candidate.ready:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    return candidate


def test_the_same_files_are_neither_checked_nor_understood_again(running, settings, monkeypatch):
    monkeypatch.setattr(loading_module, "CheckingProcess", None)
    candidate = Candidate(running, settings("model: ./float32\n"), {}, SystemClock())
    assert (candidate.ready, candidate.empty) == (True, True)
    candidate = Candidate(running, settings("model: ./float32\ndecisions: {on: 0.9}\n"), {}, SystemClock())
    assert (candidate.swaps, candidate.empty) == (False, False)
    assert candidate.running().classifier is running.classifier


def test_files_that_differ_and_say_the_same_change_nothing(running, settings, packages):
    manifest = packages / "float32" / "model.yaml"
    before = manifest.read_text()
    manifest.write_text(before + "# a comment\n")
    try:
        candidate = checked(running, settings("model: ./float32\n"))
        assert candidate.running().classifier is running.classifier
        assert (candidate.swaps, candidate.empty) == (False, True)
    finally:
        manifest.write_text(before)


def test_another_model_is_loaded_and_named(running, settings):
    candidate = checked(running, settings("model: ./logits\n"))
    assert candidate.running().model == "logits"
    assert (candidate.swaps, candidate.words()) == (True, "model float32 → logits")


def test_a_strangers_manifest_is_refused_by_its_line_when_its_check_has_ended(running, settings, packages):
    (packages / "logits" / "other").mkdir(parents=True, exist_ok=True)
    (packages / "logits" / "other" / "model.yaml").write_text("format: 1\nlabels: {\n")
    (packages / "logits" / "other" / "model.tflite").write_bytes(b"")
    candidate = checked(running, settings("model: ./logits/other\n"))
    with pytest.raises(ConfigError, match="is not valid YAML") as caught:
        candidate.running()
    assert caught.value.path == packages / "logits" / "other" / "model.yaml"


def test_what_failed_before_is_known_by_its_files_and_not_checked(running, settings, packages, monkeypatch):
    monkeypatch.setattr(loading_module, "CheckingProcess", None)
    failed = {read_package(packages / "logits").digest: "the model logits hung"}
    with pytest.raises(ModelError, match="the model logits hung; it is not tried again until its files change"):
        Candidate(running, settings("model: ./logits\n"), failed, SystemClock())
