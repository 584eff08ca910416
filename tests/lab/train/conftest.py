from pathlib import Path

import pytest

from audiomon.lab.train.settings import DEFAULT_SPEC, TrainingSettings, with_features
from audiomon.models.importing.describe import feature_option
from tests.lab.train.sounds import FEATURES, write_dataset


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for every test."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "dataset")


@pytest.fixture
def settings() -> TrainingSettings:
    spec = with_features(DEFAULT_SPEC, dict(feature_option(feature) for feature in FEATURES))
    return TrainingSettings(spec=spec, epochs=2, windows=4, batch=8)
