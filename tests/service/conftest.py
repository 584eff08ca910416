import shutil

import pytest

from tests.models.tiny import write_tiny


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """Model packages: three that read the same windows, one that reads others."""
    folder = tmp_path_factory.mktemp("packages")
    for model in ("float32", "float16", "logits", "waveform"):
        write_tiny(folder / model, model)
    return folder


@pytest.fixture
def folder(tmp_path, packages):
    """A folder with models of its own, for a daemon."""
    shutil.copytree(packages, tmp_path / "models")
    return tmp_path
