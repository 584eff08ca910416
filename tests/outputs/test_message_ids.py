"""Every kind of entry has an id, every id an explanation that people can use."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from audiomon.outputs.message_ids import MESSAGE_IDS
from audiomon.pipeline.prediction import StatusKind

REPOSITORY = Path(__file__).resolve().parents[2]
CATALOG = REPOSITORY / "deploy" / "systemd" / "audiomon.catalog"

ENTRY = re.compile(r"^-- ([0-9a-f]{32})\n(.*?)\n\n(.*?)(?=^-- |\Z)", re.DOTALL | re.MULTILINE)
EXPLANATIONS = {found[1]: (found[2], found[3].strip()) for found in ENTRY.finditer(CATALOG.read_text(encoding="utf-8"))}


def test_ids_are_128_bits_and_no_two_are_the_same():
    assert all(re.fullmatch("[0-9a-f]{32}", message_id) for message_id in MESSAGE_IDS.values())
    assert len(set(MESSAGE_IDS.values())) == len(MESSAGE_IDS)


def test_every_kind_of_entry_has_an_id_and_no_other_has():
    the_journals_own = {"prediction", "event-on", "event-off", "journal-lost"}
    the_links = {kind for kind in MESSAGE_IDS if kind.startswith("link-")}
    assert {str(kind) for kind in StatusKind} | the_journals_own | the_links == set(MESSAGE_IDS)


def test_every_kind_of_status_is_written_somewhere():
    code = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "audiomon").rglob("*.py"))
    assert [kind for kind in StatusKind if f"StatusKind.{kind.name}" not in code] == []
    assert [kind for kind in MESSAGE_IDS if kind.startswith("link-") and code.count(f'"{kind}"') < 2] == []


def test_the_catalog_explains_every_id_and_nothing_else():
    assert set(EXPLANATIONS) == set(MESSAGE_IDS.values())


@pytest.mark.parametrize("kind", MESSAGE_IDS)
def test_an_explanation_has_a_subject_and_says_something(kind):
    head, text = EXPLANATIONS[MESSAGE_IDS[kind]]
    assert re.search(r"^Subject: \S", head, re.MULTILINE)
    assert len(text.split()) >= 10
    lines = re.sub(r"@\w+@", "x" * 12, text).splitlines()
    assert max(map(len, lines)) <= 80, "journalctl does not wrap them"


@pytest.mark.parametrize("kind", MESSAGE_IDS)
def test_fields_in_an_explanation_have_names_that_journalctl_fills_in(kind):
    """It leaves names with digits, such as …_P50, as they are."""
    named = re.findall(r"@(\w+)@", "\n".join(EXPLANATIONS[MESSAGE_IDS[kind]]))
    assert all(re.fullmatch("AUDIOMON_[A-Z_]+", name) for name in named), named


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="no journalctl")
def test_journalctl_accepts_the_catalog_and_finds_every_id_in_it(tmp_path):
    folder = tmp_path / "usr" / "lib" / "systemd" / "catalog"
    folder.mkdir(parents=True)
    shutil.copy(CATALOG, folder)
    (tmp_path / "var" / "lib" / "systemd" / "catalog").mkdir(parents=True)

    def journalctl(*arguments):
        command = ["journalctl", f"--root={tmp_path}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    complaints = journalctl("--update-catalog").stderr
    assert "ignoring" not in complaints.lower(), complaints
    listed = journalctl("--list-catalog").stdout
    assert {line.split()[0] for line in listed.splitlines()} == set(MESSAGE_IDS.values())
