import pytest

from audiomon.models.interpreter import installed_backends
from tests.models.tiny import write_tiny


@pytest.fixture(params=installed_backends())
def backend(request):
    """Each TFLite runtime that works here."""
    return request.param


@pytest.fixture
def folder(tmp_path):
    """A model package that passes its checks."""
    return write_tiny(tmp_path / "tiny")
