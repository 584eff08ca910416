"""A configuration with a command's options on top."""

import math

import pytest

from audiomon.config import Config
from audiomon.config.settings import Settings, load_settings
from audiomon.errors import UserError


def test_an_option_wins_over_the_file_also_over_its_other_way_to_say_the_same(tmp_path):
    path = tmp_path / "audiomon.yaml"
    path.write_text("hop_fraction: 0.5\nthreads: 2\n")
    config = load_settings(path, hop_s=0.25, model=None).config
    assert (config.hop_s, config.hop_fraction, config.threads) == (0.25, None, 2)
    assert config.asked_hop_s(1.0) == 0.25


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"hop_s": math.nan}, "hop_s: is nan, must be a number from 0.01 to 60"),
        ({"hop_s": math.inf}, "hop_s: is inf, must be a number from 0.01 to 60"),
        ({"model": ""}, "model: is '', must be text of length at least 1"),
    ],
)
def test_an_option_that_its_key_cannot_have_is_refused(tmp_path, option, said):
    (tmp_path / "audiomon.yaml").touch()
    with pytest.raises(UserError) as caught:
        load_settings(tmp_path / "audiomon.yaml", **option)
    assert str(caught.value) == said


@pytest.mark.parametrize(("given", "chosen"), [("3", 3), ("²", "²"), ("9" * 5000, "9" * 5000), ("usb", "usb")])
def test_a_device_is_a_number_or_a_name(given, chosen):
    settings = Settings(Config(), None).with_options(device=given, predictions=None)
    assert settings.config.microphone.device == chosen
