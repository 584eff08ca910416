"""Every edge from a saved file to settings in force, on a manual clock: real files, stubs for models and sessions."""

from types import SimpleNamespace

import pytest

from audiomon.config import load_config
from audiomon.config.settings import Settings
from audiomon.daemon import reload
from audiomon.daemon.change import Reversion
from audiomon.daemon.reload import Reloading
from audiomon.daemon.reload_request import FILE, ReloadState
from audiomon.errors import ConfigError, DeviceError, ModelError
from audiomon.models.checking_process import MAX_CHECK_S
from audiomon.pipeline.losses import Losses
from audiomon.runtime_files import RuntimeFiles, read_runtime
from tests.daemon.stubs import RULES, KeptOutput, Running, StubClassifier
from tests.manual_clock import ManualClock


class StubCandidate:
    """Settings on their way; a test says when their check has ended, and how."""

    made: list["StubCandidate"] = []  # noqa: RUF012  # emptied by the fixture

    def __init__(self, running, settings, failed, _clock) -> None:
        if settings.config.model in failed:
            raise ModelError(failed[settings.config.model])
        self.settings = settings
        self.swaps = settings.config.model != running.model
        self.reopens = False
        self.empty = settings.config == running.settings.config
        self.ready = self.abandoned = False
        self.error: ModelError | None = None
        self.made.append(self)

    def running(self) -> Running:
        if self.error is not None:
            raise self.error
        return Running(self.settings, StubClassifier(self.settings.config.model), RULES)

    def abandon(self) -> None:
        self.abandoned = True

    def times(self):
        return {"checked_s": 0.5} if self.swaps else {}

    def words(self) -> str:
        return "something"

    def facts(self):
        return {"changes": "something"}


class Desk:
    """Reloading on stub sessions and a real configuration file."""

    def __init__(self, folder) -> None:
        self.clock = ManualClock()
        self.clock.advance(100)
        self.output = KeptOutput()
        self.path = folder / "audiomon.yaml"
        self.folder = folder / "runtime"
        self.path.write_text("model: A\n")
        self.changes = []
        self.sessions = SimpleNamespace(
            running=Running(self.settings(), StubClassifier("A"), RULES), reversion=None, apply=self.changes.append
        )
        self.applied = []
        self.reloading = Reloading(
            self.sessions,
            load_settings=self.settings,
            output=self.output,
            state=ReloadState(1),
            files=RuntimeFiles(self.folder),
            clock=self.clock,
            on_applied=self.applied.append,
        )

    def settings(self) -> Settings:
        return Settings(*load_config(self.path))

    def save(self, text: str) -> None:
        self.path.write_text(text)

    def step(self, seconds: float = 0.3) -> None:
        self.reloading.step()
        self.clock.advance(seconds)
        self.reloading.step()

    def check(self, error: ModelError | None = None) -> None:
        """Have the check of the newest candidate end."""
        StubCandidate.made[-1].ready = True
        StubCandidate.made[-1].error = error
        self.reloading.step()

    def settle(self, outcome: str = "Changed: something") -> None:
        """Have the newest change take over."""
        change = self.changes[-1]
        change.outcome = outcome
        self.sessions.running = change.running
        self.reloading.step()

    @property
    def state(self) -> ReloadState:
        return read_runtime(self.folder, FILE, ReloadState)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setattr(reload, "Candidate", StubCandidate)
    monkeypatch.setattr(reload, "exposures", lambda *_: [])
    StubCandidate.made.clear()
    desk = Desk(tmp_path)
    yield desk
    desk.reloading.end()


def test_a_saved_file_is_checked_handed_over_and_only_then_in_force(desk):
    desk.save("model: B\n")
    desk.step()
    assert desk.reloading.busy
    assert (desk.changes, desk.applied) == ([], [])
    desk.check()
    assert desk.applied == []
    assert desk.changes[-1].status(Losses(7)).message == "Changed: something; in 0.30 s (checked 0.5 s), 7 samples lost"
    desk.settle()
    assert not desk.reloading.busy
    assert desk.applied[-1].config.model == "B"
    assert (desk.state.begun, desk.state.ended, desk.state.outcome) == (1, 1, "Changed: something")


def test_asking_without_a_change_is_answered_with_what_changed_last(desk):
    desk.reloading.ask()
    desk.step()
    assert desk.state.outcome == "No changes."
    desk.save("model: B\n")
    desk.step()
    desk.check()
    desk.settle()
    desk.reloading.ask()
    desk.step()
    assert (desk.state.ended, desk.state.outcome) == (3, "No changes. Changed: something")
    assert desk.output.statuses == []


def test_a_wrong_file_is_refused_once_with_file_line_and_key_and_mending_it_is_said(desk):
    for _ in range(2):
        desk.save("hop_s: fast\n")
        desk.step()
    (refused,) = desk.output.of_kind("swap-refused")
    assert (refused.facts["file"], refused.facts["line"], refused.facts["key"]) == (str(desk.path), 1, "hop_s")
    assert refused.message.startswith(f"Refused: {desk.path}:1: hop_s: is 'fast', must be a number")
    assert refused.message.endswith(". A goes on with the settings from before.")
    assert desk.reloading.problem == desk.state.outcome
    assert desk.state.refused
    desk.save("model: A\n")
    desk.step()
    assert desk.reloading.problem == ""
    assert desk.output.kinds == ["swap-refused", "config-applied"]


def test_a_file_that_is_emptied_first_is_waited_for_and_refused_only_if_it_stays_so(desk):
    desk.save("")
    desk.step()
    assert desk.output.statuses == []
    desk.clock.advance(3)
    desk.step()
    assert [status.facts["reason"] for status in desk.output.statuses] == ["is empty"]
    desk.save("model: A\n")
    desk.step()
    assert desk.reloading.problem == ""


def test_what_an_editor_does_between_two_looks_ends_nothing(desk):
    desk.save("")
    desk.path.write_bytes(b"model: caf\xe9\n")
    desk.step()
    desk.path.unlink()
    desk.step()
    assert not desk.reloading.busy
    assert desk.state.refused


def test_a_model_that_fails_its_check_is_refused_and_nothing_is_handed_over(desk):
    desk.save("model: B\n")
    desk.step()
    desk.check(ModelError("its self-test fails"))
    assert desk.changes == []
    assert desk.state.outcome == "its self-test fails"


def test_a_check_that_takes_too_long_is_ended(desk):
    desk.save("model: B\n")
    desk.step()
    desk.clock.advance(MAX_CHECK_S + 1)
    desk.reloading.step()
    assert StubCandidate.made[-1].abandoned
    assert "took longer than" in desk.state.outcome


def test_what_is_saved_during_a_check_is_taken_after_it(desk):
    desk.save("model: B\n")
    desk.step()
    desk.save("model: C\n")
    desk.step()
    assert len(StubCandidate.made) == 1
    desk.check()
    desk.settle()
    desk.step()
    desk.check()
    desk.settle()
    assert [settings.config.model for settings in desk.applied] == ["B", "C"]


def test_a_microphone_that_cannot_be_opened_is_refused_at_its_line(desk):
    desk.save("model: A\nmicrophone:\n  device: nobody\n")
    desk.step()
    desk.check()
    desk.changes[-1].error = DeviceError("there is no microphone named 'nobody'")
    desk.reloading.step()
    (refused,) = desk.output.of_kind("swap-refused")
    assert (refused.facts["line"], refused.facts["key"]) == (3, "microphone.device")
    assert desk.applied == []


def test_a_model_that_failed_while_it_listened_is_refused_until_its_files_change(desk):
    desk.save("model: B\n")
    desk.step()
    desk.check()
    desk.settle()
    desk.sessions.running = Running(desk.settings(), StubClassifier("A"), RULES)
    desk.sessions.reversion = Reversion("B", "the model B raised RuntimeError: boom")
    desk.reloading.step()
    assert desk.reloading.problem == "the model B raised RuntimeError: boom"
    assert desk.output.of_kind("swap-refused") == []
    desk.reloading.ask()
    desk.step()
    assert desk.state.refused
    assert desk.output.of_kind("swap-refused") == []
    desk.save("model: C\n")
    desk.step()
    desk.check()
    desk.settle()
    assert desk.reloading.problem == ""


def test_what_was_being_checked_when_a_model_failed_is_checked_against_what_runs_then(desk):
    desk.save("model: C\n")
    desk.step()
    desk.sessions.reversion = Reversion("B", "the model B raised RuntimeError: boom")
    desk.reloading.step()
    assert StubCandidate.made[-1].abandoned
    desk.step()
    assert len(StubCandidate.made) == 2
    desk.check()
    desk.settle()
    assert desk.applied[-1].config.model == "C"


def test_a_configuration_that_cannot_be_read_says_so_by_its_fields(desk, monkeypatch):
    monkeypatch.setattr(
        desk.reloading, "_load_settings", lambda: (_ for _ in ()).throw(ConfigError("cannot be read", path=desk.path))
    )
    desk.reloading.ask()
    desk.step()
    assert desk.output.statuses[0].facts["reason"] == "cannot be read"
