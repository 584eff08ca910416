import shutil
from collections.abc import Iterator

import msgspec
import pytest

from audiomon.models.importing.write import write_package
from tests.daemon.house import House
from tests.models.tiny import LOG_MEL, content, manifest, write_tiny


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """Model packages: three that read the same windows, one that reads others, one that wants another sample rate."""
    folder = tmp_path_factory.mktemp("packages")
    for model in ("float32", "float16", "logits", "waveform"):
        write_tiny(folder / model, model)
    faster = msgspec.structs.replace(manifest(), input=msgspec.structs.replace(LOG_MEL, sample_rate=22_050))
    write_package(folder / "faster", content("float32"), faster, "# Tiny\n")
    return folder


@pytest.fixture
def folder(tmp_path, packages):
    """A folder with models of its own, for a daemon."""
    shutil.copytree(packages, tmp_path / "models")
    return tmp_path


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.end()
