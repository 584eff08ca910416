from collections.abc import Iterator

import pytest

from audiomon.lab.tensorflow_process import TensorFlowProcess, is_installed


@pytest.fixture(scope="session")
def tensorflow() -> Iterator[TensorFlowProcess]:
    """One process with TensorFlow for all tests that need it: it takes seconds to start."""
    if not is_installed():
        pytest.skip("TensorFlow is not installed (the lab extra)")
    with TensorFlowProcess() as process:
        yield process
