"""What ffmpeg says, of two versions, and what is passed on of it."""

import pytest

from audiomon.sources.address import read_address
from audiomon.sources.ffmpeg import Complaints

ADDRESS = read_address("rtsp://admin:hunter2@127.0.0.1:8554/cam")

OLD_REFUSED = """\
[tcp @ 0x55c927f35380] Connection to tcp://127.0.0.1:8554?timeout=3500000 failed: Connection refused
[concat @ 0x55c927f20b40] Impossible to open 'rtsp://admin:hunter2@127.0.0.1:8554/cam'
pipe:3: Connection refused
"""
NEW_REFUSED = """\
[tcp @ 0x1] Connection to tcp://127.0.0.1:8554?timeout=3500000 failed: Connection refused
[concat @ 0x2] Impossible to open 'rtsp://admin:hunter2@127.0.0.1:8554/cam'
[in#0 @ 0x3] Error opening input: Connection refused
Error opening input file pipe:3.
Error opening input files: Connection refused
"""
BEGUN = """\
Input #0, concat, from 'pipe:3':
  Duration: N/A, start: 0.000000, bitrate: 64 kb/s
  Stream #0:0: Audio: pcm_alaw, 8000 Hz, mono, s16, 64 kb/s
Stream mapping:
  Stream #0:0 -> #0:0 (pcm_alaw (native) -> pcm_s16le (native))
Output #0, wav, to 'pipe:1':
  Stream #0:0: Audio: pcm_s16le ([1][0][0][0] / 0x0001), 22050 Hz, mono, s16, 352 kb/s
"""


def heard(text: str) -> Complaints:
    complaints = Complaints(ADDRESS)
    for line in text.encode().splitlines(keepends=True):
        complaints.take(line)
    return complaints


@pytest.mark.parametrize("text", [OLD_REFUSED, NEW_REFUSED])
def test_of_a_failure_its_reason_is_passed_on_and_nothing_of_the_address(text):
    complaints = heard(text)
    assert (complaints.begun, complaints.why, complaints.sound) == (False, "Connection refused", "")


def test_what_kind_of_sound_comes_is_passed_on_once_it_comes():
    complaints = heard(BEGUN)
    assert (complaints.begun, complaints.why) == (True, "")
    assert complaints.sound == "pcm_alaw, 8000 Hz, mono, s16, 64 kb/s"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("Stream map '0:a:0' matches no streams.", "there is no sound in it"),
        ("pipe:7: Server returned 401 Unauthorized", "Server returned 401 Unauthorized"),
        ("pipe:7: \x1b rtsp://a:hunter2@b/ said hunter2", "\\x1b (address) said (address)"),
        ("[in#0/concat @ 0x1] Error during demuxing: Connection timed out", "Connection timed out"),
        ("    title           : pipe:3: hunter2", ""),
        ("", ""),
    ],
)
def test_reasons_are_known_by_their_form(line, why):
    assert heard(line).why == why
