"""A live source that is no microphone: samples through a socket or a FIFO, in real time."""

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from audiomon.audio.capture import CapturedSource
from audiomon.audio.source import LiveSource
from audiomon.audio.stream import StreamSource, is_stream, stream_path, streams
from audiomon.audio.stream_start import FOLDER, refusal
from audiomon.errors import DeviceError

RATE = 8000
PATIENCE_S = 60


def noise(samples: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(channels).integers(-30_000, 30_000, (samples, channels)).astype(np.int16)


def wav_header(rate: int, channels: int = 1) -> bytes:
    """As programs write it that do not know how much will follow."""
    described = struct.pack("<HHIIHH", 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    return struct.pack("<4sI4s4sI", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16) + described + b"data\xff\xff\xff\xff"


@pytest.fixture
def server(tmp_path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "camera"))
        listening.listen()
        yield listening


class Sender:
    """Sends to the first listener, from a thread of its own.

    Args:
        server: that it listens at.
        pieces: to send.
        hangs_up: whether it does so at the end; otherwise the test does, with `hang_up`.
    """

    def __init__(self, server: socket.socket, pieces: Iterable[bytes], *, hangs_up: bool = True) -> None:
        self._server, self._pieces, self._hangs_up = server, pieces, hangs_up
        self._asked = b""
        self.connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def asked(self) -> bytes:
        """What the listener has asked for; waits until all is sent."""
        self._thread.join(PATIENCE_S)
        return self._asked

    def hang_up(self) -> None:
        self._thread.join(PATIENCE_S)
        assert self.connection is not None
        self.connection.close()

    def _send(self) -> None:
        self.connection, _ = self._server.accept()
        self._asked = self.connection.recv(100)
        with contextlib.suppress(BrokenPipeError):  # the listener has heard enough
            for piece in self._pieces:
                self.connection.sendall(piece)
        if self._hangs_up:
            self.connection.close()


def read_all(source: LiveSource) -> tuple[np.ndarray, str]:
    """Every sample until it fails, and why it did."""
    pieces = []
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            block = source.read(777)
        except DeviceError as error:
            return np.concatenate(pieces), str(error)
        assert block is not None
        assert block.lost == 0
        pieces.append(block.samples.copy())
    raise AssertionError("it did not end")


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("piece", [1, 333, 4096])
def test_what_is_sent_is_captured_bit_for_bit_whatever_the_pieces_and_its_end_is_a_failure(
    tmp_path, server, channels, piece
):
    sent = noise(3001, channels)
    data = wav_header(RATE, channels) + sent.astype("<i2").tobytes()
    sender = Sender(server, (data[start : start + piece] for start in range(0, len(data), piece)))
    with StreamSource(tmp_path / "camera", sample_rate=22_050, name="stream:camera") as source:
        assert (source.name, source.sample_rate, source.channels) == ("stream:camera", RATE, channels)
        assert source.live
        heard, why = read_all(source)
        assert sender.asked() == b"rate 22050\n"
        assert why == str(source.failure) == "stream:camera: the stream has ended"
        assert source.captured_end == len(sent)
        assert not source.released
    np.testing.assert_array_equal(heard, sent)


def test_raw_samples_are_heard_at_the_rate_that_they_are_said_to_have(tmp_path, server):
    sent = noise(3001)
    Sender(server, [sent.tobytes()])
    with StreamSource(tmp_path / "camera", sample_rate=22_050, raw_rate=RATE) as source:
        assert (source.sample_rate, source.channels) == (RATE, 1)
        heard, _ = read_all(source)
    np.testing.assert_array_equal(heard, sent)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ([noise(100).tobytes()], "it sends raw samples, and does not tell their rate: set microphone.stream_rate"),
        ([], "it ended before its first sample"),
        ([b"RI"], "it sends raw samples, and does not tell their rate: set microphone.stream_rate"),
        ([refusal("Connection"), b"refused"], "Connection"),
        ([refusal("\x1b[31mred\r\n" + 900 * "x")[:30]], r"\x1b[31mred\r"),
        ([wav_header(RATE)[:30]], "it begins with a damaged WAV header"),
    ],
)
def test_a_sender_without_samples_says_why_in_one_line(tmp_path, server, sent, why):
    Sender(server, sent)
    with pytest.raises(DeviceError) as raised:
        StreamSource(tmp_path / "camera", sample_rate=RATE, name="stream:camera")
    assert str(raised.value) == f"stream:camera: {why}"


def test_a_fifo_is_a_stream_too_and_may_wait_for_its_sender(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    sent = noise(2000)
    sender = threading.Thread(target=lambda: (tmp_path / "fifo").write_bytes(sent.tobytes() + b"x"))
    sender.start()
    with StreamSource(tmp_path / "fifo", sample_rate=RATE, raw_rate=RATE) as source:
        heard, why = read_all(source)
    sender.join(PATIENCE_S)
    assert why.endswith("fifo: the stream has ended")
    np.testing.assert_array_equal(heard, sent)


def test_a_reader_that_fell_behind_loses_an_exact_number_and_the_sender_is_never_held_up(tmp_path, server):
    sent = noise(5 * RATE)
    sender = Sender(server, [sent.tobytes()], hangs_up=False)
    with StreamSource(tmp_path / "camera", sample_rate=RATE, raw_rate=RATE, ring_s=2) as source:
        deadline = time.monotonic() + PATIENCE_S
        while source.captured_end < len(sent):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        block = source.read(100)
        sender.hang_up()
    assert block is not None
    assert block.position == block.lost == 4 * RATE
    np.testing.assert_array_equal(block.samples, sent[block.position : block.position + 100])


def test_where_nothing_sends_opening_is_refused_in_one_line(tmp_path):
    with pytest.raises(DeviceError, match=r"^stream:camera: there is no stream: nothing sends there$"):
        StreamSource(tmp_path / "camera", sample_rate=RATE, name="stream:camera")


def test_senders_are_alike_by_name(tmp_path, server):
    Sender(server, [b"\0\0\0\0"])
    with StreamSource(tmp_path / "camera", sample_rate=RATE, raw_rate=RATE, name="a") as one:
        Sender(server, [b"\0\0\0\0"])
        with StreamSource(tmp_path / "camera", sample_rate=RATE, raw_rate=RATE) as other:
            assert one.identity.is_like(one.identity)
            assert not one.identity.is_like(other.identity)


def test_streams_are_named_or_said_by_their_path(tmp_path):
    assert stream_path("stream:cam-1.b") == FOLDER / "cam-1.b"
    assert str(stream_path("stream:/run/my radio")) == "/run/my radio"
    for wrong in ("stream:", "stream:../shadow", "stream:a/b", "stream:a b", "stream:.a", "stream:\n"):
        with pytest.raises(DeviceError, match=r"is neither stream:NAME .* nor stream:/PATH"):
            stream_path(wrong)
    assert [is_stream(device) for device in ("stream:x", "usb stream:", 3, None)] == [True, False, False, False]


def test_the_streams_of_a_machine_are_its_sockets_and_fifos(tmp_path, server):
    os.mkfifo(tmp_path / "a-radio")
    (tmp_path / "a file").touch()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert streams(tmp_path) == ["stream:a-radio", "stream:camera"]
    assert streams(tmp_path / "nothing") == []


class Device:
    """A device that does what a test wants; see `InputStream`."""

    sample_rate = RATE
    channels = 1
    kept_s = 0.0
    ending = False

    def __init__(self, samples: np.ndarray, error: Exception | None = None) -> None:
        self.identity = self
        self.name = "a device"
        self.let_go = threading.Event()
        self.let_go.set()
        self.inside = threading.Lock()
        self._samples, self._error = samples, error

    def is_like(self, other: object) -> bool:
        return other is self

    def available(self) -> int:
        with self.inside:
            if self._error is not None and not len(self._samples):
                raise self._error
            return len(self._samples)

    def read(self, count: int) -> bytes:
        taken, self._samples = self._samples[:count], self._samples[count:]
        return taken.tobytes()

    def close(self) -> None:
        assert self.let_go.wait(PATIENCE_S)


def test_a_failure_comes_after_all_that_was_captured_and_is_a_new_exception_each_time():
    device = Device(noise(1600), RuntimeError("broken"))
    with CapturedSource(lambda: device) as source:
        heard, why = read_all(source)
        assert len(heard) == 1600
        assert why == "a device: capturing raised RuntimeError: broken"
        first, second = source.failure, source.failure
    assert first is not second
    assert str(first) == str(second) == why
    assert first is not None
    assert first.__traceback__ is None


def test_what_is_raised_while_opening_is_raised_to_the_one_who_opens():
    def fails() -> Device:
        raise OSError("no")

    with pytest.raises(DeviceError, match="opening the microphone raised OSError: no"):
        CapturedSource(fails)


def test_a_device_that_does_not_let_go_is_not_released_until_it_does():
    device = Device(noise(10))
    device.let_go.clear()
    stuck: list[bool] = []
    source = CapturedSource(lambda: device, on_stuck=lambda: stuck.append(True))
    assert not source.released
    source.close()
    assert not source.released
    assert stuck == [True]
    device.let_go.set()
    deadline = time.monotonic() + PATIENCE_S
    while not source.released:
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Keeping(Device):
    """A device that keeps two seconds, and makes samples as time passes; counts how often it is looked at."""

    kept_s = 2.0

    def __init__(self) -> None:
        super().__init__(noise(60 * RATE))
        self.looks = 0
        self.began_s = time.monotonic()
        self._read = 0

    def available(self) -> int:
        self.looks += 1
        return int((time.monotonic() - self.began_s) * RATE) - self._read

    def read(self, count: int) -> bytes:
        self._read += count
        return super().read(count)


def looks_per_read(source: LiveSource, device: Keeping, frames: int, reads: int) -> float:
    """How often the device is looked at, for each read that was answered."""
    source.read(frames)
    before = device.looks
    for _ in range(reads):
        block = source.read(frames)
        assert block is not None
        assert len(block.samples) == frames
    return (device.looks - before) / reads


def test_a_reader_of_more_than_a_block_is_served_when_what_it_lacks_is_complete():
    device = Keeping()
    with CapturedSource(lambda: device, block_ms=20) as source:
        # Blocks would be ten looks each.
        assert looks_per_read(source, device, RATE // 5, 10) < 5
        assert source.due_ns > time.monotonic_ns() - 10_000_000_000
        assert looks_per_read(source, device, RATE // 100, 20) < 5


def test_where_nobody_waits_or_the_device_keeps_little_it_is_read_block_by_block():
    for kept_s in (2.0, 0.0):
        device = Keeping()
        device.kept_s = kept_s
        with CapturedSource(lambda device=device: device, block_ms=20) as source:
            deadline = time.monotonic() + PATIENCE_S
            while source.captured_end < RATE // 2:
                if not kept_s:
                    source.read(RATE // 5)
                assert time.monotonic() < deadline
                time.sleep(0.001)
            assert device.looks > 15


def test_a_reader_that_wants_less_than_it_said_does_not_wait_for_what_it_said():
    device = Keeping()
    with CapturedSource(lambda: device, block_ms=20) as source:
        for _ in range(3):
            source.read(RATE)
        asked = source.captured_end
        source.read(RATE // 10)
        assert source.captured_end - asked < RATE


def test_closing_does_not_wait_until_samples_are_due():
    device = Keeping()
    source = CapturedSource(lambda: device)
    for _ in range(2):
        source.read(RATE)
    source.close()
    assert source.released


def test_a_live_source_need_be_nothing_but_what_the_protocol_says():
    class Stub:
        """Typed by the protocol alone."""

        name, sample_rate, channels, live = "stub", RATE, 1, True
        identity = Device(noise(0))
        captured_end = captured_ns = due_ns = 0
        failure = None
        released = False

        def read(self, frames):  # the protocol's signature
            return None

        def rewind(self, frames):  # the protocol's signature
            return 0

        def close(self):
            self.released = True

        def take_missing(self):
            return []

    source: LiveSource = Stub()
    source.close()
    assert source.released
