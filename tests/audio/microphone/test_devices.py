import os
import subprocess
import sys
from pathlib import Path

import pytest

from audiomon.audio.microphone.devices import InputDevice, find_device, input_devices
from audiomon.errors import DeviceError

REPOSITORY = Path(__file__).resolve().parents[3]


def device(index: int, name: str, is_default: bool = False) -> InputDevice:
    return InputDevice(index, name, "ALSA", 1, 48_000, is_default)


DEVICES = [
    device(0, "bcm2835 Headphones: - (hw:0,0)"),
    device(2, "USB PnP Sound Device: Audio (hw:1,0)"),
    device(3, "usb"),
    device(5, "USB Microphone: Audio (hw:2,0)"),
    device(6, "Straße"),
    device(7, "default", is_default=True),
]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (2, 2),
        (0, 0),
        ("default", 7),
        (None, 7),
        ("USB PnP Sound Device: Audio (hw:1,0)", 2),
        ("usb", 3),  # exactly, though it is part of others too
        ("USB", 3),  # but for upper case
        ("pnp", 2),
        ("hw:2", 5),
        ("HEADPHONES", 0),
        ("strasse", 6),
    ],
)
def test_a_device_is_found_by_number_name_or_part_of_it(wanted, index):
    assert find_device(wanted, DEVICES).index == index


@pytest.mark.parametrize("wanted", ["audio", "usb ", "hw:"])
def test_a_part_of_several_names_is_refused_with_those_that_have_it(wanted):
    with pytest.raises(DeviceError, match="part of several") as caught:
        find_device(wanted, DEVICES)
    assert "2 'USB PnP" in str(caught.value)
    assert "Straße" not in str(caught.value)


def test_two_devices_of_one_name_are_told_apart_by_number():
    twins = [device(1, "twin"), device(4, "twin"), device(5, "twin brother")]
    with pytest.raises(DeviceError, match=r"1 'twin', 4 'twin'$"):
        find_device("twin", twins)
    assert find_device(4, twins).index == 4


@pytest.mark.parametrize(("wanted", "named"), [("kitchen", "named 'kitchen'"), (1, "number 1"), (-1, "number -1")])
def test_what_is_not_there_is_refused_with_all_that_is(wanted, named):
    with pytest.raises(DeviceError, match=f"there is no microphone {named}; there are: 0 ") as caught:
        find_device(wanted, DEVICES)
    for existing in DEVICES:
        assert f"{existing.index} {existing.name!r}" in str(caught.value)


def test_no_device_at_all_and_no_default_are_said():
    with pytest.raises(DeviceError, match="there is no microphone: "):
        find_device(None, [])
    with pytest.raises(DeviceError, match="no default microphone, choose one: 0 "):
        find_device("default", DEVICES[:-1])


@pytest.mark.mic
@pytest.mark.usefixtures("virtual_microphone")
def test_the_virtual_microphones_are_listed():
    found = {device.name: device for device in input_devices()}
    assert {"mic", "stereo"} <= set(found)
    assert found["mic"].host_api == "ALSA"
    assert found["mic"].channels >= 1
    assert found["mic"].default_sample_rate >= 8000
    assert sum(device.is_default for device in found.values()) <= 1


@pytest.mark.parametrize(
    ("fake", "message"),
    [
        ("raise OSError('PortAudio library not found')", "apt install libportaudio2"),
        ("raise ImportError", "pip install"),
    ],
)
def test_a_machine_without_portaudio_is_told_what_to_install(tmp_path, fake, message):
    (tmp_path / "sounddevice.py").write_text(fake)
    code = (
        "from audiomon.audio.microphone.devices import input_devices\n"
        "from audiomon.errors import DeviceError\n"
        "try: input_devices()\n"
        "except DeviceError as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
    printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert message in printed.stdout
    assert not printed.stderr
