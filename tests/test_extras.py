import sys
from pathlib import Path

from audiomon.extras import install_extra


def test_an_extra_comes_from_the_checkout_that_runs():
    checkout = Path(__file__).resolve().parents[1]
    assert install_extra("lab").endswith(f"{sys.executable} -m pip install -e '{checkout}[lab]'")


def test_an_installed_audiomon_has_no_checkout_to_name(tmp_path):
    assert install_extra("lab", tmp_path) == "in a checkout of audiomon, .venv/bin/pip install -e '.[lab]'"
