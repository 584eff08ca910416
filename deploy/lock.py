#!/usr/bin/env python3
"""Write the exact versions, and the checksums of every file, that the installer takes: ``deploy/lock.py PYTHON…``.

Run it after a change of the dependencies, or to take newer ones in, with the Pythons to be supported (it needs pip, a
network, and what systemd-python is compiled with; nothing is installed):

    deploy/lock.py python3.11 python3.13

It resolves what ``pyproject.toml`` asks for once, for the first Python, holds the others to the same versions, and
downloads each file that a machine of ``_PLATFORMS`` would, to sum it up. 32-bit ARM takes from Debian what it has no
wheels of, and compiles the little that Debian lacks from sources, whose checksums are here too.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent
LOCK = DEPLOY / "service.lock"
BUILD_LOCK = DEPLOY / "build.lock"

# glibc of Debian 12 is 2.36. What a wheel's name may ask for, newest first.
_GLIBC = ("2_36", "2_35", "2_34", "2_31", "2_28", "2_27", "2_26", "2_24", "2_17")
_WIDE = ("x86_64", "aarch64")
_NARROW = "armv7l"
_NARROW_PYTHON = "3.11"  # the only one for which there is an interpreter of models
# Debian's own on 32-bit ARM; see environment.sh.
_DEBIANS = {"numpy", "cffi", "pycparser", "pyyaml", "systemd-python"}
_ONLY_WIDE = "platform_machine == 'x86_64' or platform_machine == 'aarch64'"
_ONLY_NARROW = "platform_machine != 'x86_64' and platform_machine != 'aarch64'"
# What the sources among them, and audiomon itself, are built with.
_BUILD = ("setuptools>=80", "setuptools-scm>=8")


def main() -> None:
    """Write both files."""
    pythons = sys.argv[1:]
    if not pythons or any(argument.startswith("-") for argument in pythons):
        sys.exit(__doc__)
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["service"]]
    versions = [_version(python) for python in pythons]
    wide = _resolved(pythons, wanted)
    build = _resolved(pythons, list(_BUILD))
    narrow_only = {"tflite-runtime": _resolved(pythons[:1], ["tflite-runtime>=2.14"])["tflite-runtime"]}
    # What only the wide ones' interpreter needs is not worth a wheel, or a compiler, on the narrow one.
    narrow = {_plain(name) for name in _closure(pythons[0], wanted, without=("ai-edge-litert", "soxr"))} - _DEBIANS
    named = " and ".join(versions)
    head = f"# Made by deploy/lock.py for Python {named}; the installer takes no other files than these.\n"
    lines = [head]
    for name, version in sorted((wide | narrow_only).items()):
        on_wide, on_narrow = name in wide, name in narrow_only or name in narrow
        marker = "" if on_wide and on_narrow else f" ; {_ONLY_WIDE if on_wide else _ONLY_NARROW}"
        sums = _sums(pythons[0], name, version, versions if on_wide else [], narrow=on_narrow)
        lines.append(_entry(name, f"{version}{marker}", sums))
        print(f"{name} {version}: {len(sums)} files", file=sys.stderr)
    LOCK.write_text("".join(lines), encoding="utf-8")
    entries = [
        _entry(name, version, _sums(pythons[0], name, version, versions, narrow=True))
        for name, version in sorted(build.items())
    ]
    BUILD_LOCK.write_text("".join([head, *entries]), encoding="utf-8")


def _entry(name: str, version: str, sums: list[str]) -> str:
    return f"{name}=={version}" + "".join(f" \\\n    --hash=sha256:{digest}" for digest in sums) + "\n"


def _version(python: str) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def _pip(python: str, *arguments: str) -> str:
    done = subprocess.run([python, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"lock.py: pip {' '.join(arguments)}\n{done.stderr.strip()}")
    return done.stdout


def _report(python: str, *arguments: str) -> list[dict[str, dict[str, str]]]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        _pip(python, "install", "--dry-run", "--ignore-installed", "--quiet", "--report", str(report), *arguments)
        found: list[dict[str, dict[str, str]]] = json.loads(report.read_text(encoding="utf-8"))["install"]
    return found


def _resolved(pythons: list[str], wanted: list[str]) -> dict[str, str]:
    """Return the version of all that is needed, the same for every Python."""
    versions: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder) / "held"
        for python in pythons:
            held.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()), encoding="utf-8")
            for one in _report(python, "-c", str(held), *wanted):
                versions[_plain(one["metadata"]["name"])] = one["metadata"]["version"]
    return versions


def _closure(python: str, wanted: list[str], without: tuple[str, ...]) -> list[str]:
    kept = [requirement for requirement in wanted if not requirement.startswith((*without, "tflite-runtime"))]
    return [one["metadata"]["name"] for one in _report(python, *kept)]


def _sums(python: str, name: str, version: str, versions: list[str], *, narrow: bool) -> list[str]:
    """Return the checksums of every file of a release that some machine takes."""
    with tempfile.TemporaryDirectory() as folder:
        targets = [(for_python, machine) for for_python in versions for machine in _WIDE]
        targets += [(_NARROW_PYTHON, _NARROW)] if narrow else []
        if not all(_downloaded(python, name, version, folder, *target) for target in targets):
            # No wheel: compiled from its source.
            _pip(python, "download", "--quiet", "--no-deps", "--no-binary", name, "-d", folder, f"{name}=={version}")
        return sorted({hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(folder).iterdir()})


def _downloaded(python: str, name: str, version: str, folder: str, for_python: str, machine: str) -> bool:
    """Download the wheel that a machine would; False if there is none."""
    platforms = [f"--platform=manylinux_{glibc}_{machine}" for glibc in _GLIBC]
    platforms += [f"--platform=manylinux2014_{machine}", f"--platform=linux_{machine}"]
    wanted = ["-d", folder, f"--python-version={for_python}", f"{name}=={version}"]
    done = subprocess.run(
        [python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *platforms, *wanted],
        capture_output=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=False,
    )
    return done.returncode == 0


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    main()
