"""A throw-away checkout with the real scripts, on a machine whose Python, apt and dpkg note what they are asked."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Stands for python3 and for the python of an environment made by it. FAILING names the module that is to fail.
_PYTHON = """#!/bin/bash
[ "$1" != -c ] || case "$2" in *version_info*) echo "{version}"; exit;; *) exit;; esac
echo "$*" >>"$CALLS"
case "$*" in
  "-m venv"*) mkdir -p "${{@: -1}}/bin"; cp "$0" "${{@: -1}}/bin/python";;
  "-m pip"*) sleep "${{PIP_TAKES_S:-0}}";;
  # more than a pipe holds before what matters
  "-m pytest"*) seq 40000
    printf '=== short test summary info ===\\n%s\\n' '=== tests in tests ===' '=== tests of {version} ===';;
esac
case "$*" in *"${{FAILING:-nothing fails}}"*) echo "no route to {version}"; exit 1;; esac
"""

_APT_GET = '#!/bin/bash\necho "apt-get $*" >>"$CALLS"\n'
_DPKG_QUERY = '#!/bin/bash\ncase " $INSTALLED " in *" ${@: -1} "*) echo -n installed;; *) exit 1;; esac\n'


class Checkout:
    """The scripts in a folder of their own, and programs of its own first on PATH.

    Args:
        folder: an empty folder to build it in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.programs = folder / "programs"
        self._calls = folder / "calls"
        self.programs.mkdir()
        shutil.copytree(ROOT / "deploy", self.folder / "deploy")
        shutil.copy(ROOT / "pyproject.toml", self.folder)
        self.add_program("apt-get", _APT_GET)
        self.add_program("dpkg-query", _DPKG_QUERY)
        self.add_python("3.11")
        self.add_to_environment(f'system_python="{self.programs}/python"')

    def add_program(self, name: str, text: str) -> Path:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def add_python(self, version: str, name: str = "python") -> Path:
        return self.add_program(name, _PYTHON.format(version=version))

    def add_to_environment(self, text: str) -> None:
        """Have the scripts find these definitions, after those of environment.sh."""
        with (self.folder / "deploy" / "environment.sh").open("a") as file:
            file.write(f"{text}\n")

    def start(self, *command: str, **variables: str) -> "subprocess.Popen[str]":
        """Start a command in the checkout, without a terminal."""
        environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "CALLS": str(self._calls),
        }
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, **variables: str) -> tuple[int, str]:
        """Run a command and return its exit status and what it said."""
        process = self.start(*command, **variables)
        said, _ = process.communicate(timeout=60)
        return process.returncode, said

    def run_function(self, call: str, **variables: str) -> tuple[int, str]:
        """Run a call of one of the functions in environment.sh."""
        return self.run("bash", "-c", f"set -euo pipefail; . deploy/environment.sh; {call}", **variables)

    def calls(self, about: str) -> list[str]:
        """What was asked of Python and apt since the checkout was made, one a line, if it is about this."""
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        return [line for line in lines if about in line]
