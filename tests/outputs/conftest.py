import pytest

from tests.outputs.journald import Journald


@pytest.fixture
def journald(tmp_path):
    return Journald(tmp_path / "socket")
