"""Addresses: what is one, what ffmpeg is given of it, and that no secret of it gets out."""

import pytest

from audiomon.errors import UserError
from audiomon.sources.address import read_address

CAMERA = "rtsp://admin:hunter%402@10.0.0.5:554/stream1?channel=2&token=s3cr3t"


@pytest.mark.parametrize("url", [CAMERA, "http://radio.example/live.mp3", "srt://10.0.0.5:9000?passphrase=tellnobody"])
def test_an_address_is_handed_on_as_it_is(url):
    assert f"file '{url}'\n".encode() in read_address(url).script()


@pytest.mark.parametrize(
    "text",
    [
        *("", "hunter2", "file:///etc/shadow", "/etc/shadow", "concat:hunter2", "rtsp://", "pipe:0"),
        *("rtsp://hunter2 x", "rtsp://hunter2\noption safe 0", "http://[hunter2/"),
    ],
)
def test_what_is_no_address_is_refused_without_being_quoted(text):
    with pytest.raises(UserError) as raised:
        read_address(text)
    assert "is no address of sound" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_quote_in_an_address_ends_nothing():
    script = read_address("http://h/a'b\\c").script().decode()
    assert r"file 'http://h/a'\''b\c'" in script


def test_rtsp_goes_over_tcp_unless_the_address_says_otherwise_and_asks_for_sound_alone():
    script = read_address(CAMERA).script().decode()
    assert "option rtsp_transport tcp\n" in script
    assert "option allowed_media_types audio\n" in script
    assert "rtsp_transport" not in read_address("rtsp://h/a?udp").script().decode()
    assert "rtsp_transport" not in read_address("rtsp://h/a?x=1&multicast").script().decode()


def test_no_secret_of_an_address_stays_in_a_text():
    address = read_address(CAMERA)
    said = address.hidden(
        f"cannot open '{CAMERA}': hunter%402 or hunter@2, admin:hunter%402, token s3cr3t, "
        "moved to https://other.example/x?key=9876 : Connection refused"
    )
    for secret in ("hunter", "s3cr3t", "9876", "admin:", "10.0.0.5"):
        assert secret not in said
    assert said.endswith(" : Connection refused")
    assert "hunter" not in repr(address)


def test_what_comes_over_http_is_slowed_to_the_pace_at_which_it_was_made():
    assert [read_address(url).is_paced for url in (CAMERA, "http://h/a", "HTTPS://h/a")] == [True, False, False]
