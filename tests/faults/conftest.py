"""The daemon on a microphone of its own, with faults that can be injected."""

import pytest

from tests.daemon.conftest import folder, packages
from tests.daemon.daemon import running_daemon
from tests.faults import CONFIG
from tests.faults.injected import Injection

__all__ = ["folder", "packages"]


@pytest.fixture
def fault(tmp_path):
    return Injection(tmp_path / "injected")


@pytest.fixture
def daemon(folder, own_virtual_microphone, fault):
    environment = {**own_virtual_microphone.environment, **fault.environment}
    with running_daemon(folder, environment, CONFIG) as daemon:
        daemon.wait_predictions(3)
        yield daemon
