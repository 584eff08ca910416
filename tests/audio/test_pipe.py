import os
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomon.audio.pipe import PipeSource
from audiomon.errors import InputError


def ramp(frames: int, channels: int) -> np.ndarray:
    return np.arange(frames * channels).astype("<i2").reshape(frames, channels)


def drain(source: PipeSource, sizes) -> np.ndarray:
    """All of it, in reads of the given sizes; positions checked on the way."""
    got = [np.empty((0, source.channels), dtype=np.int16)]
    position = 0
    while (block := source.read(sizes())) is not None:
        assert block.position == position
        assert block.lost == 0
        position += len(block.samples)
        got.append(block.samples.copy())
    return np.concatenate(got)


@given(
    frames=st.integers(1, 300),
    channels=st.integers(1, 3),
    chunks=st.lists(st.integers(1, 97), min_size=1, max_size=20),
    data=st.data(),
)
def test_every_sample_arrives_once_whatever_the_pipe_s_chunks_and_the_reads(frames, channels, chunks, data):
    expected = ramp(frames, channels)
    raw = expected.tobytes()
    reading, writing = os.pipe()

    def write():
        at = 0
        for index in range(len(raw)):
            if at >= len(raw):
                break
            at += os.write(writing, raw[at : at + chunks[index % len(chunks)]])
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        got = drain(PipeSource(reading, 8000, channels), lambda: data.draw(st.integers(1, 120)))
    finally:
        writer.join()
        os.close(reading)
    np.testing.assert_array_equal(got, expected)


def test_a_read_that_gave_up_waiting_loses_nothing_and_gives_no_more_than_the_next_one_asks_for():
    reading, writing = os.pipe()
    source = PipeSource(reading, 8000)
    os.write(writing, ramp(50, 1).tobytes())
    assert len(source.read(100).samples) == 0
    os.write(writing, ramp(60, 1)[50:].tobytes())
    os.close(writing)
    first = source.read(20)
    assert first.samples[:, 0].tolist() == list(range(20))
    np.testing.assert_array_equal(drain_from(source, 20), np.arange(20, 60))
    os.close(reading)


def drain_from(source: PipeSource, position: int) -> np.ndarray:
    got = []
    while (block := source.read(7)) is not None:
        assert block.position == position
        position += len(block.samples)
        got.append(block.samples[:, 0].copy())
    return np.concatenate(got)


@pytest.mark.parametrize(("channels", "extra_bytes"), [(1, 1), (2, 1), (2, 2), (2, 3)])
def test_a_stream_that_ends_inside_a_sample_frame_is_an_error_after_all_whole_frames(channels, extra_bytes):
    reading, writing = os.pipe()
    os.write(writing, ramp(10, channels).tobytes() + b"\1\2\3"[:extra_bytes])
    os.close(writing)
    source = PipeSource(reading, 1000, channels)
    assert len(source.read(4).samples) == 4
    assert len(source.read(100).samples) == 6
    with pytest.raises(InputError, match=r"ends in the middle of a sample, after 0\.010 s"):
        source.read(100)
    os.close(reading)


def test_a_stream_that_ends_without_a_sample_is_no_success():
    reading, writing = os.pipe()
    os.close(writing)
    with pytest.raises(InputError, match="ended without a sample; did the program that writes to it fail"):
        PipeSource(reading, 8000).read(100)
    os.close(reading)


@pytest.mark.parametrize("start", [b"RIFF\x24\x00\x00\x00WAVE", b"fLaC" + bytes(20), b"OggS" + bytes(20)])
def test_an_audio_file_is_not_heard_as_raw_samples(start):
    reading, writing = os.pipe()
    os.write(writing, start)
    os.close(writing)
    with pytest.raises(InputError, match="is an audio file, not raw samples"):
        PipeSource(reading, 8000).read(100)
    os.close(reading)


def test_closing_from_another_thread_ends_a_waiting_read():
    reading, writing = os.pipe()
    source = PipeSource(reading, 8000)
    ended = threading.Event()

    def read_all():
        while source.read(1000) is not None:
            pass
        ended.set()

    threading.Thread(target=read_all, daemon=True).start()
    os.write(writing, b"\0\0")
    assert not ended.is_set()
    source.close()
    source.close()
    assert ended.wait(10)
    os.close(writing)
    os.close(reading)


def test_closing_ends_a_read_that_a_trickle_keeps_waiting():
    reading, writing = os.pipe()
    source = PipeSource(reading, 8000)
    ended, stop = threading.Event(), threading.Event()

    def trickle():
        while not stop.wait(0.02):
            os.write(writing, b"\0\0")

    def read_all():
        while source.read(1_000_000) is not None:
            pass
        ended.set()

    threads = [threading.Thread(target=trickle), threading.Thread(target=read_all, daemon=True)]
    for thread in threads:
        thread.start()
    source.close()
    assert ended.wait(10)
    stop.set()
    threads[0].join()
    os.close(writing)
    os.close(reading)


def test_a_closed_descriptor_is_one_clear_error():
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    with pytest.raises(InputError, match="cannot be read"):
        PipeSource(reading, 8000).read(10)
