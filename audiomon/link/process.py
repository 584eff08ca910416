"""The link's process: follows the feeds, runs the parts, and takes over what is saved in ``link.yaml``."""

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiomon import __version__
from audiomon.config.saved import SavedFile
from audiomon.errors import ConfigError
from audiomon.link.feeds import Feeds
from audiomon.link.ledger import Ledger
from audiomon.link.machine import Machine
from audiomon.link.parts import PARTS
from audiomon.link.reports import Reports
from audiomon.link.settings import LinkConfig, load_link_config
from audiomon.link.state import State
from audiomon.link.status import FILE, WRITE_S, FollowedListener, LinkStatus
from audiomon.link.surroundings import PartKind, Surroundings
from audiomon.link.tasks import end_tasks
from audiomon.link.toggle import Toggle
from audiomon.runtime_files import RuntimeFiles, runtime_folder
from audiomon.systemd import ServiceManager

# How often it is looked whether link.yaml was saved.
_LOOK_S = 1.0
# Waits before a part that failed is started again.
_MIN_RESTART_S = 1.0
_MAX_RESTART_S = 60.0


class LinkProcess:
    """Everything that the link does, in one event loop.

    Args:
        config_path: of ``link.yaml``; None for the defaults.
        feeds: sockets, or folders of sockets, to follow.
        reports: gets what happens.

    Raises:
        ConfigError: ``link.yaml`` is not what it should be.
    """

    def __init__(self, config_path: Path | None, feeds: Sequence[Path], reports: Reports) -> None:
        self._saved = SavedFile(config_path)
        self._config = LinkConfig() if config_path is None else load_link_config(config_path)
        self._places = feeds
        self._reports = reports
        self._manager = ServiceManager()
        self._machine = Machine.this()
        self._actions = Toggle()
        self._ledger = Ledger()
        self._files = RuntimeFiles(runtime_folder())
        self._refused = ""
        self._written = (0.0, "")
        self._running: dict[str, tuple[Any, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        state = State(self._reports)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._forget_saved)
        feeds = asyncio.create_task(Feeds(state, self._places).run())
        try:
            self._apply(state)
            self._manager.tell(READY="1")
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _LOOK_S)
                self._look(state)
        finally:
            self._manager.tell(STOPPING="1")
            self._files.remove(FILE)
            await end_tasks([feeds, *(task for _, task in self._running.values())])

    def _look(self, state: State) -> None:
        """Take over what has been saved, and tell the service manager that all is alive."""
        if (saved := self._saved.changed()) is not None:
            self._reload(saved, state)
        self._manager.tell(WATCHDOG="1")
        self._report(state)

    def _report(self, state: State) -> None:
        """Send systemd the status line, and write the file for ``audiomon status``, when there is news."""
        listeners = {
            name: FollowedListener(one.up, one.problem, one.missed) for name, one in sorted(state.listeners.items())
        }
        parts = {name: state.problems.get(name, "") for name in self._running}
        now_s = time.monotonic()
        status = LinkStatus(os.getpid(), __version__, now_s, self._refused, listeners, parts, self._notes())
        written_s, line = self._written
        if status.line != line:
            self._manager.tell(STATUS=status.line)
        if status.line != line or now_s - written_s >= WRITE_S:
            self._written = (now_s, status.line)
            self._files.write(FILE, status)

    def _notes(self) -> dict[str, str]:
        """Say where the page is, and what came of actions."""
        outcomes: Counter[str] = Counter()
        for (_, outcome), count in self._ledger.outcomes.items():
            outcomes[outcome] += count
        actions = [f"{outcome} {count}" for outcome, count in sorted(outcomes.items())]
        return {
            "page": f"http://{self._config.page.listen}",
            "actions": ", ".join([*([] if self._actions.on else ["paused"]), *actions]),
        }

    def _reload(self, path: Path, state: State) -> None:
        try:
            self._config = load_link_config(path)
        except ConfigError as error:
            self._refused = str(error)
            self._reports.report("link-refused", f"Refused: {error}; goes on as before", "error", reason=str(error))
            return
        self._refused = ""
        self._reports.report("link-applied", f"{path}: applied", file=str(path))
        self._apply(state)

    def _forget_saved(self) -> None:
        self._saved.forget()

    def _apply(self, state: State) -> None:
        """Start the parts that are to be, and start those again whose settings have changed."""
        for kind in PARTS:
            settings = kind.settings(self._config)
            before, task = self._running.get(kind.name, (None, None))
            if settings == before:
                continue
            if task is not None:
                task.cancel()  # and once more by what follows it, if that was missed
                del self._running[kind.name]
            if settings is not None:
                surroundings = Surroundings(
                    self._config, state, self._reports, self._machine, self._actions, self._ledger
                )
                begun = asyncio.create_task(self._keep_running(kind, surroundings, task))
                self._running[kind.name] = (settings, begun)

    async def _keep_running(
        self, kind: PartKind, surroundings: Surroundings, before: asyncio.Task[None] | None
    ) -> None:
        """Run a part, again after each failure; first let the one before it end."""
        if before is not None:
            await end_tasks([before])
        wait_s = _MIN_RESTART_S
        while True:
            try:
                await kind.start(surroundings).run()
                return
            except Exception as error:
                surroundings.state.problems[kind.name] = f"failed: {type(error).__name__}: {error}"
                self._reports.failure(kind.name, error)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _MAX_RESTART_S)
