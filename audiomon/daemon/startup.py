"""From a configuration to what a service runs at first, waiting for one that holds rather than ending over and over.

Nothing listens yet while this waits: files are watched, systemd is kept informed, and a signal ends it.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from audiomon import __version__
from audiomon.clock import Clock
from audiomon.config.settings import Settings
from audiomon.daemon import messages
from audiomon.daemon.model_record import ModelRecord, proven_package
from audiomon.daemon.running import Running
from audiomon.daemon.wakeups import Wakeups
from audiomon.daemon.watch import Settling, Watch
from audiomon.errors import ConfigError, ModelError
from audiomon.foreign import shown
from audiomon.models.package import MANIFEST, WEIGHTS, find_package
from audiomon.outputs.live import Fanout
from audiomon.outputs.snapshot import FILE, WAITING, WRITE_S, Snapshot
from audiomon.pipeline.loading import LoadingModel, named_files
from audiomon.runtime_files import RuntimeFiles
from audiomon.systemd import ServiceManager

# Files are watched; this is for what cannot be: a disk that is mounted late, a package on the network.
_RETRIES_S = (2.0, 5.0, 15.0, 60.0)
_MAX_WAIT_S = 2.0
# How often to look whether the checking process has ended.
_CHECKING_S = 0.05


class Startup:
    """Finds what to run at first.

    Args:
        load_settings: reads the configuration.
        record: what the process before left behind; None if it ended in order.
        output: gets an entry for each reason to wait, and what is so meanwhile.
        manager: is kept informed.
        files: for other commands to see what is waited for.
        clock: dates the entries.

    Attributes:
        failed: digests of packages that failed, and what they did.
        problem: why the configuration, as it is saved, is not in force; empty if it is.
    """

    def __init__(
        self,
        load_settings: Callable[[], Settings],
        record: ModelRecord | None,
        *,
        output: Fanout,
        manager: ServiceManager,
        files: RuntimeFiles,
        clock: Clock,
    ) -> None:
        self.failed: dict[str, str] = dict(record.failed) if record else {}
        self.problem = ""
        self._load_settings = load_settings
        self._record = record
        self._output = output
        self._manager = manager
        self._clock = clock
        self._settings: Settings | None = None
        self._files = files
        self._began_ns = clock.monotonic_ns()

    def settings(self) -> Settings:
        """Return the settings to begin with: those that are saved, with the proven model where theirs failed before.

        Raises:
            ConfigError, ModelError: they do not hold.
        """
        self._settings = settings = self._load_settings()
        self.problem = ""
        if self._record is None:
            return settings
        files = named_files(settings)
        reason = self._record.failure(files)
        if not reason:
            return settings
        self.failed[files.digest] = reason
        proven = proven_package(self._record)
        if proven is None:
            raise ModelError(f"{reason}, and the one that worked before it is gone: waiting for other files")
        self.problem = reason
        self._output.status(messages.model_reverted(shown(files.folder.name), "", reason, proven, self._clock))
        return settings.with_model(proven.folder)

    def wait(self, error: ConfigError | ModelError) -> Running | None:
        """Wait for a configuration and a model that hold.

        Args:
            error: why the ones there are do not.

        Returns:
            What to run; None when a signal ended the wait.
        """
        wakeups = Wakeups(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        watch = Watch()
        for fd in (watch.fd, *self._output.fds):
            wakeups.watch(fd)
        try:
            return self._wait(error, wakeups, watch)
        finally:
            self._files.remove(FILE)
            watch.close()
            wakeups.close()

    def _wait(self, error: ConfigError | ModelError, wakeups: Wakeups, watch: Watch) -> Running | None:
        tries, reported = 0, ""
        while True:
            if str(error) != reported:
                reported = str(error)
                self._output.status(messages.waiting(error, self._clock))
            self._manager.tell(READY="1")
            self._manager.tell(STATUS=f"waiting: {reported}")
            watch.follow(self._paths(error))
            if not self._waited(_RETRIES_S[min(tries, len(_RETRIES_S) - 1)], reported, wakeups, watch):
                return None
            tries += 1
            try:
                settings = self.settings()
                if settings.document is not None and settings.document.blank:
                    continue  # some editors empty a file first and write it a moment later
                loading = LoadingModel(settings)
                if not self._checked(loading, wakeups):
                    return None
                return Running(settings, loading.classifier(), loading.rules)
            except (ConfigError, ModelError) as again:
                error = again

    def _checked(self, loading: LoadingModel, wakeups: Wakeups) -> bool:
        """Wait for a model's check; False if a signal ends it all."""
        while not loading.checked:
            signals = wakeups.wait(_CHECKING_S)
            self._manager.tell(WATCHDOG="1")
            self._output.flush()
            if signals - {signal.SIGHUP}:
                loading.cancel()
                return False
        return True

    def _waited(self, seconds: float, reason: str, wakeups: Wakeups, watch: Watch) -> bool:
        """Wait for a time, or until a file has been saved or a reload is asked for; False if a signal ends it all."""
        settling = Settling()
        shown_ns: int | None = None
        due_ns = self._clock.monotonic_ns() + round(seconds * 1e9)
        while (now_ns := self._clock.monotonic_ns()) < due_ns and not settling.due(now_ns):
            if shown_ns is None or now_ns - shown_ns >= WRITE_S * 1e9:
                shown_ns = now_ns
                self._show(reason, now_ns)
            self._output.flush()
            look_ns = min(due_ns, settling.due_ns) if settling.first_ns is not None else due_ns
            signals = wakeups.wait(min((look_ns - now_ns) / 1e9, _MAX_WAIT_S))
            self._manager.tell(WATCHDOG="1")
            if signals - {signal.SIGHUP}:
                return False
            for saved in watch.changes():
                settling.touch(self._clock.monotonic_ns(), saved=saved)
            if signals:
                settling.ask(self._clock.monotonic_ns())
        return True

    def _show(self, reason: str, now_ns: int) -> None:
        """Say what is waited for, for ``audiomon status`` and clients of the feed."""
        waited_s = round((now_ns - self._began_ns) / 1e9, 1)
        snapshot = Snapshot(os.getpid(), __version__, now_ns / 1e9, waited_s, WAITING, health_s=waited_s, reason=reason)
        self._files.write(FILE, snapshot)
        self._output.observe(snapshot)

    def _paths(self, error: ConfigError | ModelError) -> Iterator[Path]:
        """Return the files whose change may end the wait."""
        if error.path is not None:
            yield error.path
        if self._settings is None:
            return
        if self._settings.document is not None:
            yield self._settings.document.path
        with contextlib.suppress(ModelError):
            folder = find_package(self._settings.config.model, self._settings.folder)
            yield from (folder, folder / MANIFEST, folder / WEIGHTS)
