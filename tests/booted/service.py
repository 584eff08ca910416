"""The installed service, asked and told things as its owner would: systemctl, journalctl, and an editor."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

CONFIG = Path("/etc/audiomon/audiomon.yaml")
PATIENCE_S = 60
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Service:
    installer_said: str
    unit: str = "audiomon.service"

    def show(self, name: str) -> str:
        return run("systemctl", "show", "--value", "-p", name, self.unit).strip()

    @property
    def pid(self) -> int:
        return int(self.show("MainPID"))

    def entries(self, **fields: str) -> list[dict[str, Any]]:
        """Journal entries of this unit with these fields, oldest first."""
        matches = [f"{name}={value}" for name, value in fields.items()]
        lines = run("journalctl", "-u", self.unit, "-o", "json", "--no-pager", "-q", *matches).splitlines()
        return [json.loads(line) for line in lines]

    def cursor(self) -> int:
        """How many entries there are by now."""
        return len(self.entries())

    def wait_for_entry(self, after: int, deadline_s: float = PATIENCE_S, **fields: str) -> dict[str, Any]:
        """Return the first entry with these fields that comes after the first ``after`` entries."""

        def look() -> dict[str, Any] | None:
            for entry in self.entries()[after:]:
                if all(entry.get(name) == value for name, value in fields.items()):
                    return entry
            return None

        return wait_for(look, deadline_s, lambda: f"no entry {fields}; the last ones: {self.last_lines()}")

    def wait_for_prediction(self, after: int, **fields: str) -> dict[str, Any]:
        return self.wait_for_entry(after, MESSAGE_ID=message_id("prediction"), **fields)

    def last_lines(self) -> str:
        return run("journalctl", "-u", self.unit, "-n", "15", "--no-pager", "-o", "cat")

    def edit(self, old: str, new: str) -> None:
        """Save the configuration as editors do: a new file takes the old one's place."""
        text = CONFIG.read_text(encoding="utf-8")
        assert old in text, text
        draft = CONFIG.with_suffix(".tmp")
        draft.write_text(text.replace(old, new, 1), encoding="utf-8")
        os.replace(draft, CONFIG)


def message_id(kind: str) -> str:
    from audiomon.outputs.message_ids import MESSAGE_IDS

    return MESSAGE_IDS[kind]


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def wait_for(look: Callable[[], _Found | None], deadline_s: float, otherwise: Callable[[], str]) -> _Found:
    """Wait until ``look`` returns something true; that."""
    give_up = time.monotonic() + deadline_s
    while time.monotonic() < give_up:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(otherwise())


def files_outside_tests() -> set[str]:
    """Every file that an installation could have made: not what the kernel, the journal, apt or these tests make."""
    roots = ["/etc", "/opt", "/usr/local", "/var/lib", "/var/cache", "/root", "/lib/systemd", "/usr/lib/systemd"]
    skip = (
        "/opt/microphone", "/opt/faults", "/root/clone", "/root/.", "/var/lib/apt", "/var/lib/dpkg", "/var/cache",
        "/var/lib/systemd", "/etc/machine-id", "/etc/ld.so.cache", "/etc/systemd/system/audiomon.service.d/test.conf",
        "/var/lib/private", "/var/lib/PackageKit",
    )  # fmt: skip
    found = set()
    for root in roots:
        for folder, _, names in os.walk(root):
            if folder.startswith(skip) or any(folder.startswith(prefix) for prefix in skip):
                continue
            found.update(path for name in names if not (path := f"{folder}/{name}").startswith(skip))
    return found
