"""From a saved file, or a SIGHUP, to new settings in force, or one entry that says why not.

Owned and stepped by the main thread, which it holds up no longer than loading a model takes. It changes nothing that
runs: it hands a `Change` to the sessions and waits for its outcome.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from audiomon.clock import Clock
from audiomon.config.settings import Settings
from audiomon.daemon.candidate import Candidate
from audiomon.daemon.change import Change, Reversion
from audiomon.daemon.exposure import exposures
from audiomon.daemon.messages import refusal_facts
from audiomon.daemon.reload_request import FILE, ReloadState
from audiomon.daemon.sessions import Sessions
from audiomon.daemon.watch import Settling, Watch
from audiomon.errors import AudiomonError, ConfigError, ModelError
from audiomon.models.checking_process import MAX_CHECK_S
from audiomon.models.package import MANIFEST, WEIGHTS, find_package
from audiomon.pipeline.losses import Losses
from audiomon.pipeline.output import Output
from audiomon.pipeline.prediction import Status, StatusKind
from audiomon.runtime_files import RuntimeFiles

# How often to look whether the checking process has ended.
_CHECKING_NS = 20_000_000


class Reloading:
    """Follows the configuration and the model's files, and has what is saved there put in force.

    Args:
        sessions: put settings in force.
        load_settings: reads the configuration, and lays the command line's options over it.
        output: gets an entry for each change, and for each refusal.
        state: of reloads so far, none.
        files: where that is written for ``audiomon reload``.
        clock: times everything.
        on_applied: called when other settings have been put in force.
        failed: packages that failed while they listened, by the digest of their files, and what they did.
        problem: why the configuration is not in force as it is saved.

    Attributes:
        problem: why the configuration, as it is saved now, is not in force; empty when it is.
        failed: packages that failed while they listened, by the digest of their files, and what they did.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        load_settings: Callable[[], Settings],
        output: Output,
        state: ReloadState,
        files: RuntimeFiles,
        clock: Clock,
        on_applied: Callable[[Settings], None],
        failed: dict[str, str] | None = None,
        problem: str = "",
    ) -> None:
        self.problem = problem
        self.failed = failed or {}
        self._sessions = sessions
        self._load_settings = load_settings
        self._output = output
        self._state = state
        self._files = files
        self._clock = clock
        self._on_applied = on_applied
        self._settling = Settling()
        self._watch = Watch()
        self._last_change = ""
        self._asked_ns = 0
        self._began_ns = 0
        self._waited_for_content = False
        self._candidate: Candidate | None = None
        self._change: Change | None = None
        self._follow(sessions.running.settings)
        self._write_state()

    @property
    def fd(self) -> int:
        """Can be read when a file has changed."""
        return self._watch.fd

    @property
    def busy(self) -> bool:
        """Whether a reload is under way."""
        return self._candidate is not None

    @property
    def next_look_ns(self) -> int | None:
        """When `step` has something to do, if nothing happens before."""
        if self._candidate is None:
            return self._settling.due_ns if self._settling.first_ns is not None else None
        return self._clock.monotonic_ns() + _CHECKING_NS if self._change is None else None

    def ask(self) -> None:
        """Reload, changed or not."""
        self._settling.ask(self._clock.monotonic_ns())

    def step(self) -> None:
        """Do what is due."""
        self._note_changes()
        if (reversion := self._sessions.reversion) is not None:
            self._sessions.reversion = None
            self._note_reversion(reversion)
        elif self._candidate is None:
            if self._settling.due(self._clock.monotonic_ns()):
                self._begin()
        elif self._change is None:
            self._check(self._candidate)
        elif self._change.error is not None:
            self._refuse(self._at_microphone(self._change.error, self._candidate.settings))
        elif self._change.outcome is not None:
            self._finish(self._change.outcome)

    def end(self) -> None:
        """Let go of everything."""
        if self._candidate is not None and self._change is None:
            self._candidate.abandon()
        self._watch.close()

    def _note_changes(self) -> bool:
        """Note what has been written since the last look; True if something has."""
        changes = self._watch.changes()
        for saved in changes:
            self._settling.touch(self._clock.monotonic_ns(), saved=saved)
        return bool(changes)

    def _begin(self) -> None:
        self._began_ns = self._clock.monotonic_ns()
        self._asked_ns = self._settling.first_ns or self._began_ns
        self._settling.settled()
        self._state = ReloadState(self._state.pid, self._state.begun + 1, self._state.ended)
        self._write_state()
        try:
            settings = self._load_settings()
            if self._blank(settings):
                self._settling.postpone(self._asked_ns, self._began_ns)
                return
            self._follow(settings)
            candidate = Candidate(self._sessions.running, settings, self.failed, self._clock)
        except AudiomonError as error:
            # What is still being written is not wrong yet.
            if not self._note_changes():
                self._refuse(error)
            return
        if self._note_changes():
            candidate.abandon()
            return
        self._candidate = candidate
        self._change = None
        if candidate.empty:
            self._finish(f"No changes.{self._last_change}")

    def _check(self, candidate: Candidate) -> None:
        """Look whether the candidate has passed, and put it in force."""
        if not candidate.ready:
            if self._clock.monotonic_ns() - self._began_ns > MAX_CHECK_S * 1e9:
                candidate.abandon()
                self._refuse(ModelError(f"the model's self-test took longer than {MAX_CHECK_S} s"))
            return
        try:
            running = candidate.running()
        except AudiomonError as error:
            self._refuse(error)
            return
        if candidate.empty:
            self._finish(f"No changes.{self._last_change}")
            return
        self._change = Change(
            running, reopens=candidate.reopens, status=lambda losses: self._changed(candidate, losses)
        )
        self._sessions.apply(self._change)

    def _changed(self, candidate: Candidate, losses: Losses) -> Status:
        """Say that a candidate holds; in whichever thread proves it, and so from what no longer changes."""
        took_s = (self._clock.monotonic_ns() - self._asked_ns) / 1e9
        times = ", ".join(f"{name.removesuffix('_s')} {value} s" for name, value in candidate.times().items())
        return Status(
            StatusKind.MODEL_SWAPPED if candidate.swaps else StatusKind.CONFIG_APPLIED,
            f"Changed: {candidate.words()}; in {took_s:.2f} s{f' ({times})' if times else ''}, {losses.words}",
            self._clock.time_ns(),
            {**candidate.facts(), "took_s": round(took_s, 3), **losses.facts},
        )

    def _finish(self, outcome: str) -> None:
        candidate, self._candidate, self._change = self._candidate, None, None
        if candidate is not None and not candidate.empty:
            self._last_change = f" {outcome}"
            self._on_applied(candidate.settings)
            for status in exposures(candidate.settings, self._sessions.running.classifier.package, self._clock):
                self._output.status(status)
        elif self.problem:
            message = "The configuration is as it was before it was refused. No changes."
            self._output.status(Status(StatusKind.CONFIG_APPLIED, message, self._clock.time_ns()))
        self.problem = ""
        self._waited_for_content = False
        self._follow(self._sessions.running.settings)
        self._state = ReloadState(self._state.pid, self._state.begun, self._state.begun, outcome)
        self._write_state()

    def _refuse(self, error: AudiomonError) -> None:
        self._candidate = self._change = None
        self._waited_for_content = False
        text = str(error)
        if text != self.problem:
            message = f"Refused: {text}. {self._sessions.running.model} goes on with the settings from before."
            status = Status(StatusKind.SWAP_REFUSED, message, self._clock.time_ns(), refusal_facts(error), "error")
            self._output.status(status)
        self.problem = text
        self._state = ReloadState(self._state.pid, self._state.begun, self._state.begun, text, True)
        self._write_state()

    def _note_reversion(self, reversion: Reversion) -> None:
        """Refuse a model that failed while it listened, until its files change; the sessions have reported it."""
        self.failed[reversion.digest] = reversion.reason
        if self._candidate is not None and self._change is None:
            # Another one is being checked already, against what ran before.
            self._candidate.abandon()
            self.ask()
        self._candidate = self._change = None
        self.problem = reversion.reason
        self._state = ReloadState(self._state.pid, self._state.begun, self._state.begun, reversion.reason, True)
        self._write_state()

    def _blank(self, settings: Settings) -> bool:
        """Say whether the file has nothing in it (yet): some editors empty it first and write it a moment later.

        Raises:
            ConfigError: it has stayed so.
        """
        document = settings.document
        if document is None or not document.blank:
            return False
        if self._waited_for_content:
            raise ConfigError("is empty", path=document.path, line=1)
        self._waited_for_content = True
        return True

    def _at_microphone(self, error: AudiomonError, settings: Settings) -> AudiomonError:
        document, keys = settings.document, ("microphone", "device")
        return document.error(keys, str(error)) if document and keys in document.lines else error

    def _follow(self, wanted: Settings) -> None:
        """Watch the configuration, the package that runs and the package that is wanted."""
        self._watch.follow(self._paths(wanted))

    def _paths(self, wanted: Settings) -> Iterator[Path]:
        folders = {self._sessions.running.classifier.package.folder}
        with contextlib.suppress(ModelError):
            folders.add(find_package(wanted.config.model, wanted.folder))
        for folder in folders:
            yield from (folder, folder / MANIFEST, folder / WEIGHTS)
        if wanted.document is not None:
            yield wanted.document.path

    def _write_state(self) -> None:
        self._files.write(FILE, self._state)
