from pathlib import Path

import msgspec
import pytest

from audiomon.config import Decisions
from audiomon.lab.teach.correcting import Correction, correct, open_correctable, write_corrected
from audiomon.lab.teach.teaching import Base, open_base, settings_for, teach, write_taught
from audiomon.lab.train.dataset import Split
from tests.lab.teach.clips import WORDS, baby, blender, hiss, hum, recordings, write_clips
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


@pytest.fixture(scope="session")
def home(tmp_path_factory, models) -> Path:
    """A model that has never heard a blender."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("AUDIOMON_MODELS", str(models))
        base = open_base("tiny")
        settings = settings_for(base, many=False, decisions=Decisions(on=0.6))
        settings = msgspec.structs.replace(settings, generated=11, strength=1000.0)
        heard = recordings(folder / "recordings", range(0, 16, 2), baby_cry=baby, hum=hum, background=hiss)
        taught = teach(base, heard, Split(), settings, lambda *_: None, hold_out="none")
        write_taught(folder / "home", taught, WORDS)
    return folder / "home"


@pytest.fixture(scope="session")
def ten(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Correction, Path]:
    """That model corrected with ten recordings of blenders, and its package."""
    folder = tmp_path_factory.mktemp("home2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        reviewed = recordings(folder / "recordings", range(10), background=blender)
        correction = correct(open_correctable(str(home)), reviewed, Split(), lambda *_: None, generated=44)
        write_corrected(folder / "home2", correction, WORDS)
    return correction, folder / "home2"
