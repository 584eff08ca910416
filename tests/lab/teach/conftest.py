from pathlib import Path

import pytest

from audiomon.lab.teach.teaching import Base, open_base
from tests.lab.teach.clips import write_clips
from tests.models.tiny import write_tiny


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for every test."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that was never trained, with 320 values before its scores, and one with 6."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny(folder / "tiny")
    write_tiny(folder / "narrow", "waveform")
    return folder


@pytest.fixture(scope="session")
def opened(models: Path) -> Base:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOMON_MODELS", str(models))
        return open_base("tiny")


@pytest.fixture
def base(opened: Base, models: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    monkeypatch.setenv("AUDIOMON_MODELS", str(models))
    return opened


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return write_clips(tmp_path / "clips")
