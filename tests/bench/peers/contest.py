"""Audiomon beside what people would use instead, on the same sound.

Without capture, which all share: every contender is a process of its own that reads the sound from memory. The
contenders of a contest are alive together and take turns, burst by burst, so that whatever disturbs the machine
disturbs them alike; a ratio is the median over the turns.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from audiomon.errors import AudiomonError
from audiomon.lab.bench.processes import contender_environment
from tests.bench.peers.environments import Environment, set_up

LOOPS = Path(__file__).with_name("loops")
_MEASURING = LOOPS / "measuring.py"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to have a second of sound worked off.

    Attributes:
        name: for people.
        loop: its file.
        options: of its ``answers``.
        sample_rate: of the sound it hears, in Hz.
        environment: that it needs; None for audiomon's own.
        reach: what audiomon's CPU divided by this one's must not exceed; None where it is only shown.
    """

    name: str
    loop: Path
    options: Mapping[str, Any]
    sample_rate: int
    environment: Environment | None = None
    reach: float | None = None


@dataclass(frozen=True, slots=True)
class Contest:
    """Contenders for the same work.

    Attributes:
        name: stable word for programs.
        title: what the work is.
        contenders: audiomon first.
    """

    name: str
    title: str
    contenders: tuple[Contender, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A contender, or a whole contest, that could not be measured here.

    Attributes:
        name: whose.
        reason: why, and what to do.
    """

    name: str
    reason: str


@dataclass(slots=True)
class Row:
    """What was measured of one contender.

    Attributes:
        contender: whose.
        versions: of the packages it needs, by name; the first one is what it is known by.
        cpu_ms_per_s: CPU milliseconds per second of sound, all threads, for every turn.
        windows_per_s: windows per second when it does nothing else, for every turn.
        start_s: from the start of its process to its first answer, for every round.
        peak_rss_mb: largest resident set, in MB of 10^6 bytes, for every round.
    """

    contender: Contender
    versions: Mapping[str, str]
    cpu_ms_per_s: list[float] = field(default_factory=list)
    windows_per_s: list[float] = field(default_factory=list)
    start_s: list[float] = field(default_factory=list)
    peak_rss_mb: list[float] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Who it is, with the version of what it is known by."""
        known_by = "".join(f", {name} {version}" for name, version in list(self.versions.items())[:1])
        return self.contender.name + known_by

    @property
    def cpu(self) -> float:
        """Median CPU milliseconds per second of sound."""
        return statistics.median(self.cpu_ms_per_s)

    def ratio(self, ours: "Row") -> float:
        """Audiomon's CPU divided by this one's: the median over the turns that both had."""
        return statistics.median(
            mine / theirs for mine, theirs in zip(ours.cpu_ms_per_s, self.cpu_ms_per_s, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Result:
    """A contest's outcome.

    Attributes:
        contest: which.
        rows: of those who took part, audiomon first.
    """

    contest: Contest
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: times that every process is started.
        turns: bursts of each contender in a round, after one that does not count.
        burst_s: seconds of sound in a burst.
    """

    rounds: int
    turns: int
    burst_s: float


def run_contests(
    contests: Sequence[Contest],
    sounds: Mapping[int, Path],
    effort: Effort,
    environments: Path,
    tell: Callable[[str], None],
    say: Callable[[str], None],
) -> tuple[list[Result], list[LeftOut]]:
    """Measure all contests, one after the other.

    Args:
        contests: what to measure.
        sounds: WAV files of 16 bits and one channel, by sample rate.
        effort: for how long.
        environments: folder of the peers' environments.
        tell: is told what is installed.
        say: is told what is being measured now.

    Returns:
        What was measured, and who could not take part.

    Raises:
        AudiomonError: a contender of ours failed.
    """
    results: list[Result] = []
    left_out: list[LeftOut] = []
    for contest in contests:
        rows: list[Row] = []
        commands: list[list[str]] = []
        for contender in contest.contenders:
            say(f"{contest.title}: first start of {contender.name}")
            try:
                python, versions = _python_for(contender, environments, tell)
                command = _command(python, contender, sounds[contender.sample_rate])
                # Nothing is taken from it: it compiles Python, and numba where librosa needs it.
                _Running(command, contender).end()
            except AudiomonError as error:
                if contender.environment is None:
                    raise
                left_out.append(LeftOut(contender.name, str(error)))
                continue
            rows.append(Row(contender, versions))
            commands.append(command)
        for number in range(effort.rounds):
            say(f"{contest.title}: round {number + 1} of {effort.rounds}")
            _round(rows, commands, effort)
        results.append(Result(contest, tuple(rows)))
    return results, left_out


def _python_for(
    contender: Contender, environments: Path, tell: Callable[[str], None]
) -> tuple[Path, Mapping[str, str]]:
    if contender.environment is None:
        return Path(sys.executable), {}
    ready = set_up(contender.environment, environments, tell)
    return ready.python, ready.versions


def _command(python: Path, contender: Contender, sound: Path) -> list[str]:
    return [str(python), str(_MEASURING), str(contender.loop), str(sound), json.dumps(dict(contender.options))]


def _round(rows: Sequence[Row], commands: Sequence[list[str]], effort: Effort) -> None:
    with ExitStack() as stack:
        running = [
            stack.enter_context(_Running(command, row.contender)) for row, command in zip(rows, commands, strict=True)
        ]
        for row, process in zip(rows, running, strict=True):
            row.start_s.append(process.start_s)
            process.burst(effort.burst_s)
        for _ in range(effort.turns):
            for row, process in zip(rows, running, strict=True):
                cost = process.burst(effort.burst_s)
                row.cpu_ms_per_s.append(1e3 * cost["cpu_s"] / cost["audio_s"])
                row.windows_per_s.append(cost["windows"] / cost["wall_s"])
        for row, process in zip(rows, running, strict=True):
            row.peak_rss_mb.append(process.burst(effort.burst_s)["peak_rss_mb"])


class _Running:
    """A contender's process, from its first answer to its end. A context manager.

    Attributes:
        start_s: from its start to its first answer, in seconds.

    Raises:
        AudiomonError: it ended.
    """

    def __init__(self, command: list[str], contender: Contender) -> None:
        self._name = contender.name
        # A file: nobody reads along, and some have much to say.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the process
        environment = contender_environment()
        if contender.environment is not None:
            del environment["PYTHONPATH"]
        started_s = time.monotonic()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        self._answer()
        self.start_s = time.monotonic() - started_s

    def burst(self, seconds: float) -> dict[str, float]:
        """Have it work off so many seconds of sound, and return what that cost."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{seconds}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        return self._answer()

    def end(self) -> None:
        """Close its standard input and wait for it to end."""
        self._process.communicate()
        self._errors.close()

    def __enter__(self) -> "_Running":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        self.end()

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
            raise AudiomonError(f"{self._name} failed: {said[-1][:300] if said else f'status {status}'}")
        answer: dict[str, float] = json.loads(line)
        return answer
