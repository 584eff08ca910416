"""Microphones told apart for good.

There is no sound card here, so the kernel's description of some is laid out in files as a Raspberry Pi shows it: the
real thing cannot exist on a machine without one. That PortAudio ends a card's name in ``(hw:CARD,DEVICE)`` is what its
source code says.
"""

import os

import pytest

from audiomon.audio.microphone.cards import SoundCard, sound_card
from audiomon.audio.microphone.devices import InputDevice, find_device, lasting_name
from audiomon.errors import DeviceError

USB = "sys/devices/platform/soc/3f980000.usb/usb1/1-1"


@pytest.fixture
def root(tmp_path):
    """The headphone jack is card 0; cards 1 and 2 are equal USB microphones, 3 has a serial number."""
    (tmp_path / "sys/class/sound").mkdir(parents=True)
    jack = tmp_path / "sys/devices/platform/soc/bcm2835_audio/sound/card0"
    jack.mkdir(parents=True)
    (jack / "id").write_text("Headphones\n")
    (jack / "device").symlink_to("../..")
    link(tmp_path, jack, 0)
    plug(tmp_path, 1, "1-1.3", "Device", "0d8c", "0014")
    plug(tmp_path, 2, "1-1.2", "Device_1", "0d8c", "0014")
    plug(tmp_path, 3, "1-1.1.2", "Yeti", "b58e", "9e84", "REV8 0123")
    return tmp_path


def link(root, folder, number):
    (root / f"sys/class/sound/card{number}").symlink_to(os.path.relpath(folder, root / "sys/class/sound"))


def plug(root, number, port, card_id, vendor, product, serial=""):
    usb = root / USB / port
    card = usb / f"{port}:1.0" / "sound" / f"card{number}"
    card.mkdir(parents=True)
    (card / "id").write_text(f"{card_id}\n")
    (card / "device").symlink_to("../..")
    for name, text in (("idVendor", vendor), ("idProduct", product), ("serial", serial)):
        if text:
            (usb / name).write_text(f"{text}\n")
    link(root, card, number)


def test_a_usb_card_is_known_by_what_its_plug_says(root):
    assert sound_card(1, root) == SoundCard("Device", "0d8c", "0014", "", "1-1.3")
    assert sound_card(3, root) == SoundCard("Yeti", "b58e", "9e84", "REV8 0123", "1-1.1.2")


def test_another_card_is_known_by_its_id_and_none_is_none(root):
    assert sound_card(0, root) == SoundCard("Headphones")
    assert sound_card(7, root) is None


def devices(root):
    """As PortAudio would list them: one device a card, two of the last, and what a sound server adds."""
    named = [
        ("bcm2835 Headphones: - (hw:0,0)", 0),
        ("USB PnP Sound Device: Audio (hw:1,0)", 1),
        ("USB PnP Sound Device: Audio (hw:2,0)", 2),
        ("Yeti Stereo Microphone: USB Audio (hw:3,0)", 3),
        ("Yeti Stereo Microphone: USB Audio #1 (hw:3,1)", 3),
        ("pulse", None),
    ]
    return [
        InputDevice(index, name, "ALSA", 1, 48_000, False, None if card is None else sound_card(card, root))
        for index, (name, card) in enumerate(named)
    ]


def test_the_lasting_name_is_the_plugs_own_and_the_socket_only_where_two_are_equal(root):
    found = devices(root)
    assert [lasting_name(device, found) for device in found] == [
        "card:Headphones",
        "usb:0d8c:0014@1-1.3",
        "usb:0d8c:0014@1-1.2",
        "usb:b58e:9e84:REV8 0123",
        "usb:b58e:9e84:REV8 0123,1",
        "pulse",
    ]
    assert lasting_name(found[1], [found[1], found[5]]) == "usb:0d8c:0014"


def test_every_lasting_name_means_its_device_and_no_other(root):
    found = devices(root)
    for device in found:
        assert find_device(lasting_name(device, found), found) is device
        assert find_device(lasting_name(device, found).upper(), found) is device


def test_a_name_that_two_equal_ones_share_is_refused_and_one_that_is_not_there_too(root):
    with pytest.raises(DeviceError, match="several"):
        find_device("usb:0d8c:0014", devices(root))
    with pytest.raises(DeviceError, match=r"there is no microphone named 'usb:0d8c:0014@1-1\.4'"):
        find_device("usb:0d8c:0014@1-1.4", devices(root))


def test_after_a_reboot_numbers_differ_and_names_do_not(root, tmp_path):
    before = {lasting_name(device, devices(root)): device.card for device in devices(root)[1:4]}
    other = tmp_path / "after"
    (other / "sys/class/sound").mkdir(parents=True)
    plug(other, 1, "1-1.1.2", "Yeti", "b58e", "9e84", "REV8 0123")
    plug(other, 2, "1-1.2", "Device", "0d8c", "0014")
    plug(other, 3, "1-1.3", "Device_1", "0d8c", "0014")
    after = [InputDevice(n, f"x (hw:{n},0)", "ALSA", 1, 48_000, False, sound_card(n, other)) for n in (1, 2, 3)]
    for name, card in before.items():
        found = find_device(name, after).card
        assert (found.serial, found.usb_path) == (card.serial, card.usb_path)


def test_the_same_microphone_in_another_socket_is_the_same_and_another_is_not(root):
    headphones, first, second, yeti, yeti_too, pulse = devices(root)
    assert second.is_like(first)  # nothing tells them apart but the socket
    assert not yeti.is_like(first)
    assert not yeti_too.is_like(yeti)
    assert not headphones.is_like(pulse)
    assert pulse.is_like(pulse)


def test_another_microphone_that_the_name_fits_does_not_take_the_place_of_one_that_went_away(root):
    found = devices(root)
    _, first, _, yeti, _, pulse = found
    assert find_device("USB PnP", [first, yeti], before=first) is first
    with pytest.raises(
        DeviceError, match=r"PnP .* is not there, and 3 'Yeti .* is not listened to in its place"
    ) as refused:
        find_device("USB", [yeti, pulse], before=first)
    assert "`device: usb:b58e:9e84:REV8 0123` or `accept_other: true`" in str(refused.value)
    # Another one beside it does not make the name doubtful.
    assert find_device("USB", [first, yeti], before=first) is first
    # What was named for good, or is left to the system, is what it is.
    assert find_device("usb:b58e:9e84", [yeti], before=first) is yeti
    with pytest.raises(DeviceError, match="there is no microphone named"):
        find_device("kitchen", [yeti], before=first)
