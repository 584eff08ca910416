"""Every model that ships passes its own check, says what it is, and comes with a card whose pictures are there."""

import re
from pathlib import Path

import pytest

from audiomon.models.checking_process import CheckingProcess
from audiomon.models.interpreter import installed_backends
from audiomon.models.package import read_package

FOLDERS = sorted(path.parent for path in (Path(__file__).parents[2] / "models").glob("*/model.yaml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_model_that_ships_is_whole(folder):
    package = read_package(folder)
    assert package.manifest.name == folder.name
    for backend in installed_backends():
        CheckingProcess(package.folder, backend).wait()
    assert package.manifest.license != "not stated"
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {folder.name}: ")
    assert "## Licence" in card
    for file in re.findall(r"!\[[^]]*\]\(([^)]*)\)", card):
        assert (folder / file).exists(), file
