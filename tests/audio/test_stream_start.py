"""How streams begin: WAV headers as programs write them, refusals, and anything else."""

import random
import struct

import pytest

from audiomon.audio.stream_start import Start, read_start, refusal, request, requested_rate
from audiomon.errors import DeviceError
from tests.audio.test_stream import wav_header

LIST = struct.pack("<4sI", b"LIST", 5) + b"INFO\0\0"
EXTENSIBLE = struct.pack("<HHIIHHHHIH", 0xFFFE, 2, 48_000, 192_000, 4, 16, 22, 16, 3, 1) + bytes(14)


def test_a_request_is_read_as_it_was_written():
    assert [requested_rate(request(rate)) for rate in (8000, 22_050, 192_000)] == [8000, 22_050, 192_000]
    for wrong in (b"", b"rate 22050", b"rate 999\n", b"rate 999999\n", b"rate -1\n", b"GET / HTTP/1.1\r\n", b"\xff\n"):
        assert requested_rate(wrong) is None


@pytest.mark.parametrize(
    ("header", "start"),
    [
        (wav_header(22_050), Start(22_050, 1, 44)),
        (wav_header(44_100, 2)[:36] + LIST + wav_header(1)[36:], Start(44_100, 2, 58)),
        (
            b"RIFF\0\0\0\0WAVE" + struct.pack("<4sI", b"fmt ", 40) + EXTENSIBLE + b"data\0\0\0\0",
            Start(48_000, 2, 68),
        ),
    ],
)
def test_a_wav_header_is_read_once_it_is_whole(header, start):
    assert read_start(header + b"\1\2", ended=False) == start
    for length in range(len(header)):
        assert read_start(header[:length], ended=False) is None


def test_what_begins_with_neither_a_header_nor_a_refusal_is_samples():
    assert read_start(b"\0\0", ended=False) == Start()
    assert read_start(b"RIFX", ended=False) == Start()
    assert read_start(b"audio", ended=True) == Start()


@pytest.mark.parametrize(
    ("received", "why"),
    [
        (wav_header(22_050).replace(b"WAVE", b"AVI "), "damaged WAV header"),
        (wav_header(7), "1 channels at 7 Hz"),
        (b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 3, 1, 8000, 0, 0, 32) + b"data\0\0\0\0", "32 bits"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "damaged WAV header"),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\xff" + bytes(20), "damaged WAV header"),
        (refusal("Connection refused"), "^Connection refused$"),
        (refusal("x" * 900), "^x+$"),
    ],
)
def test_what_cannot_be_heard_is_refused(received, why):
    with pytest.raises(DeviceError, match=why):
        read_start(received, ended=False)


def test_no_bytes_of_a_strangers_raise_anything_else():
    chance = random.Random(1)
    for _ in range(3000):
        bytes_ = bytearray(wav_header(22_050, 2) + LIST if chance.random() < 0.7 else refusal("no") + bytes(50))
        for _ in range(chance.randrange(4)):
            bytes_[chance.randrange(len(bytes_))] = chance.randrange(256)
        try:
            start = read_start(bytes(bytes_[: chance.randrange(len(bytes_) + 1)]), ended=chance.random() < 0.5)
        except DeviceError:
            continue
        assert start is None or 1 <= start.channels <= 64
