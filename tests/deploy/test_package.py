"""What is published: built, checked, and installed where there is no checkout."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

from tests.deploy.checkout import ROOT

for needed in ("build", "hatchling", "twine"):
    pytest.importorskip(needed, reason="the test extra is not installed")


def run(*command: object, folder: Path = ROOT) -> str:
    """Run a command that knows nothing of this process's paths, and return what it wrote."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AUDIOMON"))}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was made from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment with the wheel in it, and this one's packages behind it."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder)
    (wheel,) = built.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    run(*pip, "install", "--no-deps", "--no-index", "--quiet", wheel, folder=folder)
    # A folder named in a .pth file is searched, but the .pth files in it, an editable audiomon's too, do nothing.
    (site,) = folder.glob("lib/python*/site-packages")
    behind = dict.fromkeys([sysconfig.get_path("purelib"), *(path for path in sys.path if "site-packages" in path)])
    (site / "behind.pth").write_text("\n".join(behind))
    return folder / "bin"


def test_the_packages_pass_the_index_s_own_check(built):
    run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir())


def test_the_source_package_has_what_it_takes_to_test_and_to_install(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in (
        "deploy/install.sh",
        "deploy/service.lock",
        "config/audiomon.yaml",
        "models/esc10/model.tflite",
        "tests/conftest.py",
        "tests/bench/__main__.py",
    ):
        assert wanted in names
    assert not {name for name in names if "__pycache__" in name or name.startswith(".venv")}


def test_the_installed_wheel_hears_with_the_model_that_it_brings(installed, tmp_path):
    where = run(installed / "python", "-c", "import audiomon; print(audiomon.__path__[0])", folder=tmp_path).strip()
    assert Path(where).is_relative_to(installed.parent)
    home = Path(where, "shipped", "models", "home")
    code = "from audiomon.models.package import installed_packages; print(*installed_packages(), sep='\\n')"
    assert str(home) in run(installed / "python", "-c", code, folder=tmp_path).splitlines()
    run(installed / "audiomon", "check", "--no-device", folder=tmp_path)
    heard = run(installed / "audiomon", "classify", "--model", home, home / "sample.flac", folder=tmp_path)
    assert "speech" in heard
    assert "baby_cry" in heard


def test_the_installed_wheel_leaves_the_developers_tools_out(installed, tmp_path):
    code = "import importlib.util as u; print(*map(u.find_spec, ['tests', 'audiomon.lab.swap']))"
    assert run(installed / "python", "-c", code, folder=tmp_path).split() == ["None", "None"]
