import pytest

from tests.cli.command import Audiomon
from tests.models.tiny import write_tiny


@pytest.fixture(scope="session")
def audiomon(tmp_path_factory: pytest.TempPathFactory) -> Audiomon:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "models").mkdir()
    write_tiny(folder / "models" / "tiny")
    return Audiomon(folder)
