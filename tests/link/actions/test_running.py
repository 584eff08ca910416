"""The other side of the socket, which runs programs: started as systemd does, with the connection as standard input."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from audiomon.link.actions import running
from audiomon.link.actions.facts import Facts
from audiomon.link.actions.requests import Answer, Request
from audiomon.link.actions.rules import Rule
from audiomon.link.actions.sending import Result, Sender
from audiomon.link.settings import load_link_config

FACTS = Facts("kitchen", "dog $(reboot) `x`\n", "on", 0.873, "2026-11-26T12:00:00+00:00", model="home")


@pytest.fixture
def config(tmp_path):
    def write(*command: str) -> Path:
        path = tmp_path / "link.yaml"
        path.write_text(json.dumps({"actions": [{"on": ["*"], "command": list(command)}]}))
        return path

    return write


def asked(config: Path, rule: int = 0, kind: str = "command", facts: Facts = FACTS) -> Answer:
    return running.answer(msgspec.json.encode(Request(rule, facts)), kind, config)


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "script"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return str(path)


def test_a_program_gets_its_arguments_as_written_and_the_facts_beside_them(config, tmp_path):
    out = tmp_path / "out"
    program = script(
        tmp_path,
        "import json, os, sys\n"
        f"json.dump([sys.argv[1:], json.load(sys.stdin), dict(os.environ)], open({str(out)!r}, 'w'))",
    )
    assert asked(config(program, "$HOME; *", "{label}")).done
    arguments, facts, environment = json.loads(out.read_text())
    assert arguments == ["$HOME; *", "{label}"]
    assert facts["label"] == FACTS.label
    assert environment["AUDIOMON_LABEL"] == "dog $(reboot) `x`\\n"
    assert environment["AUDIOMON_TEST"] == "false"
    assert "PYTHONPATH" not in environment


def test_how_it_ended_is_said_with_its_last_line(config, tmp_path):
    program = script(tmp_path, "print('one'); print('\\x1b[31mtwo\\n'); raise SystemExit(3)")
    found = asked(config(program))
    assert not found.done
    assert found.said.endswith("ended with status 3: \\x1b[31mtwo")
    assert asked(config("/nowhere/program")).said == "/nowhere/program: No such file or directory"


def test_a_program_that_does_not_end_is_stopped_with_all_it_started(config, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "PROGRAM_S", 1.0)
    pid = tmp_path / "pid"
    program = script(
        tmp_path,
        "import subprocess, time\n"
        f"open({str(pid)!r}, 'w').write(str(subprocess.Popen(['sleep', '600']).pid))\n"
        "time.sleep(600)",
    )
    found = asked(config(program))
    assert "was stopped after 1 s" in found.said
    deadline_s = time.monotonic() + 20
    while is_running(pid.read_text()):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def is_running(pid: str) -> bool:
    """Whether a process is there, and is not what is left of one until somebody asks how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(("rule", "kind"), [(-1, "command"), (1, "command"), (10**30, "command"), (0, "apprise")])
def test_only_what_link_yaml_says_is_run(config, rule, kind, tmp_path):
    program = script(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')")
    found = asked(config(program), rule, kind)
    assert not found.done
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("line", [b"", b"\n", b"{}", b"[" * 5000, b'{"rule": 0, "argv": ["/bin/sh"]}', b"\xff" * 100])
def test_what_is_no_request_is_refused_in_one_line(config, line):
    found = running.answer(line, "command", config("/bin/true"))
    assert not found.done
    assert found.said.isprintable()


def test_a_link_yaml_that_is_wrong_runs_nothing(config, tmp_path):
    path = config("/bin/true")
    path.write_text("actions: [{on: [a], command: [relative]}]")
    assert "link.yaml:1: actions[0].command[0]" in asked(path).said


def test_apprise_gets_its_own_configuration_and_no_option_from_a_label(tmp_path, monkeypatch):
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    out = tmp_path / "out"
    program = script(tmp_path, f"import json, sys; json.dump(sys.argv[1:], open({str(out)!r}, 'w'))")
    Path(program).rename(bin_folder / "apprise")
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    path = tmp_path / "link.yaml"
    path.write_text("actions: [{on: ['*'], apprise: {tags: [family]}}]")
    facts = Facts("audiomon", "--config=/etc/shadow", "on", 0.9, "")
    assert "credential apprise is not there" in asked(path, kind="apprise", facts=facts).said
    (tmp_path / "apprise").write_text("family=json://localhost")
    assert asked(path, kind="apprise", facts=facts).done
    assert json.loads(out.read_text()) == [
        f"--config={tmp_path / 'apprise'}",
        "--tag",
        "family",
        "--title=--config=/etc/shadow",
        "--body=--config=/etc/shadow is on, score 0.90",
    ]


def test_over_a_real_socket_the_link_is_told_what_came_of_it(config, tmp_path):
    path = config("/bin/true")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "audiomon-command.sock"))
    listening.listen()

    async def ask() -> Result:
        sender = Sender({}.get, tmp_path)
        task = asyncio.create_task(sender.send(Rule(0, load_link_config(path).actions[0]), FACTS))
        connection, _ = await asyncio.to_thread(listening.accept)
        command: list[Any] = [sys.executable, "-m", "audiomon.link.actions.running", "command", path]
        unit = await asyncio.to_thread(
            subprocess.Popen, command, stdin=connection, stdout=connection, cwd=Path(__file__).parents[3]
        )
        connection.close()
        result = await task
        assert await asyncio.to_thread(unit.wait, 30) == 0
        return result

    with listening:
        assert asyncio.run(ask()) == Result(True, "/bin/true ended with status 0")
