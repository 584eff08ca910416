"""Runs the program of one action, in a unit of its own: ``python -m audiomon.link.actions.running command``.

systemd starts it for each connection, with that as standard input and output. It takes a rule's number and the facts of
an event from there, and what to run from ``link.yaml``: a writer to the socket chooses among what the machine's
owner wrote down. Nothing of a request becomes an argument but Apprise's title and text.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

import msgspec

from audiomon.errors import AudiomonError, UserError
from audiomon.foreign import shown
from audiomon.link.actions.facts import Facts
from audiomon.link.actions.requests import MAX_REQUEST_BYTES, Answer, Request
from audiomon.link.actions.settings import Action, Apprise
from audiomon.link.settings import LINK_CONFIG, load_link_config

PROGRAM_S = 30.0
# Apprise's own configuration: addresses of services, with their passwords.
APPRISE_CONFIG = "apprise"
_MAX_OUTPUT = 2000
# What a program needs of this unit's environment.
_PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY", "STATE_DIRECTORY")


def answer(line: bytes, kind: str, config: Path) -> Answer:
    """Do what a line asks for.

    Args:
        line: a `Request` as JSON.
        kind: of actions that this unit runs: ``command`` or ``apprise``.
        config: ``link.yaml``.
    """
    try:
        request = msgspec.json.decode(line, type=Request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Answer(False, f"not a request: {shown(str(error))}")
    try:
        actions = load_link_config(config).actions
        if not 0 <= request.rule < len(actions) or actions[request.rule].kind != kind:
            raise UserError(f"{config} has no such {kind}: the link has not taken over what was saved last")
        argv = _argv(actions[request.rule], request.facts)
        return _run(argv, request.facts)
    except AudiomonError as error:
        return Answer(False, str(error))


def _argv(action: Action, facts: Facts) -> list[str]:
    if action.command is not None:
        return list(action.command)
    assert action.apprise is not None
    return _apprise_argv(action.apprise, facts)


def _apprise_argv(apprise: Apprise, facts: Facts) -> list[str]:
    config = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/etc/credstore")) / APPRISE_CONFIG
    if not config.exists():
        raise UserError("the credential apprise is not there: its place is /etc/credstore/audiomon.apprise")
    tags = [option for tag in apprise.tags for option in ("--tag", tag)] or ["--tag", "all"]
    # Given as one word with its option, a title that begins with a dash is none.
    return ["apprise", f"--config={config}", *tags, f"--title={facts.title}", f"--body={facts.message}"]


def _run(argv: list[str], facts: Facts) -> Answer:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | facts.environment
    with tempfile.TemporaryFile() as facts_file, tempfile.TemporaryFile() as output:
        facts_file.write(msgspec.json.encode(facts) + b"\n")
        facts_file.seek(0)
        try:
            # A session of its own: what it starts ends with it.
            process = subprocess.Popen(
                argv, stdin=facts_file, stdout=output, stderr=output, env=environment, start_new_session=True
            )
        except (OSError, ValueError) as error:
            return Answer(False, f"{shown(argv[0])}: {getattr(error, 'strerror', None) or error}")
        try:
            status: int | None = process.wait(PROGRAM_S)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return _ended(argv[0], status, _last_line(output))


def _ended(program: str, status: int | None, last_line: str) -> Answer:
    name = shown(program)
    said = f": {last_line}" if last_line else ""
    if status is None:
        return Answer(False, f"{name} was stopped after {PROGRAM_S:g} s{said}")
    if status < 0:
        return Answer(False, f"{name} was ended by {signal.Signals(-status).name}{said}")
    return Answer(status == 0, f"{name} ended with status {status}{said}")


def _last_line(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _MAX_OUTPUT))
    lines = [line for line in output.read().splitlines() if line.strip()]
    return shown(lines[-1].strip()) if lines else ""


def main() -> None:
    """Answer one line on standard input."""
    kind = sys.argv[1]
    config = Path(sys.argv[2]) if len(sys.argv) > 2 else LINK_CONFIG
    line = sys.stdin.buffer.readline(MAX_REQUEST_BYTES)
    sys.stdout.buffer.write(msgspec.json.encode(answer(line, kind, config)) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
