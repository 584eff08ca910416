import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiomon.audio.capture import DEFAULT_BLOCK_MS, DEFAULT_RING_S
from audiomon.audio.microphone import MicrophoneSource
from audiomon.config.schema import Microphone
from audiomon.errors import DeviceError
from tests.conftest import VirtualMicrophone

REPOSITORY = Path(__file__).resolve().parents[3]
RATE = 22_050
# Closing gives up after 0.4 s where a stuck server would hold it up for ever; in between, only the machine is slow.
LIVENESS_S = 20
PATIENCE_S = 60


@pytest.fixture
def opened() -> Iterator[Callable[..., MicrophoneSource]]:
    """Opens microphones and closes them after the test."""
    sources = []

    def open_(*arguments: Any, **options: Any) -> MicrophoneSource:
        sources.append(MicrophoneSource(*arguments, **{"sample_rate": RATE, **options}))
        return sources[-1]

    yield open_
    for source in sources:
        source.close()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def noise(tmp_path: Path, seconds: float, channels: int) -> tuple[np.ndarray, Path]:
    """Samples, none of them 0, and a file that plays them."""
    random = np.random.default_rng(channels)
    samples = random.integers(1, 32_768, (round(seconds * RATE), channels)).astype(np.int16)
    samples *= random.choice(np.array([-1, 1], dtype=np.int16), samples.shape)
    soundfile.write(tmp_path / "noise.wav", samples, RATE)
    return samples, tmp_path / "noise.wav"


def read_from_first_sound(source: MicrophoneSource, frames: int) -> tuple[int, np.ndarray]:
    """The position of the first sample that is not silent, and that many from there."""
    deadline = time.monotonic() + PATIENCE_S
    first, pieces = None, []
    while sum(map(len, pieces)) < frames:
        assert time.monotonic() < deadline, "nothing was heard"
        block = source.read(3000)
        assert block.lost == 0
        samples = block.samples.copy()
        if first is None:
            heard = np.flatnonzero(samples.any(axis=1))
            if not len(heard):
                continue
            first = block.position + int(heard[0])
            samples = samples[heard[0] :]
        pieces.append(samples)
    return first, np.concatenate(pieces)[:frames]


@pytest.mark.mic
@pytest.mark.parametrize(("sink", "channels"), [("mic", 1), ("stereo", 2)])
def test_what_is_played_is_captured_bit_for_bit(virtual_microphone, opened, tmp_path, sink, channels):
    samples, wav = noise(tmp_path, 3, channels)
    source = opened(sink, channels=channels)
    assert (source.name, source.sample_rate, source.channels, source.live) == (sink, RATE, channels, True)
    with virtual_microphone.playing(sink, wav):
        _, heard = read_from_first_sound(source, len(samples))
    np.testing.assert_array_equal(heard, samples)


@pytest.mark.mic
def test_a_reader_that_fell_behind_is_told_the_exact_number_it_lost(virtual_microphone, opened, tmp_path):
    samples, wav = noise(tmp_path, 5, 1)
    source = opened("mic", ring_s=2)
    with virtual_microphone.playing("mic", wav):
        first, _ = read_from_first_sound(source, 3000)
        expected = source.read(1).position + 1
        deadline = time.monotonic() + PATIENCE_S
        while source.captured_end < first + 4 * RATE:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        block = source.read(2000)
    assert block.lost > RATE
    assert block.position == expected + block.lost
    start = block.position - first
    np.testing.assert_array_equal(block.samples, samples[start : start + 2000])
    assert source.read(10).lost == 0


@pytest.mark.mic
def test_it_can_go_back_in_what_the_ring_holds(virtual_microphone, opened, tmp_path):
    _, wav = noise(tmp_path, 2, 1)
    source = opened("mic", ring_s=4)
    with virtual_microphone.playing("mic", wav):
        position, heard = read_from_first_sound(source, 6000)
        end = source.read(1).position + 1
        assert source.rewind(end - position) == end - position
        again = source.read(6000)
    assert (again.position, again.lost) == (position, 0)
    np.testing.assert_array_equal(again.samples, heard)


@pytest.mark.mic
@pytest.mark.usefixtures("virtual_microphone")
def test_capture_times_follow_the_monotonic_clock(opened):
    source = opened("mic")
    for _ in range(5):
        block = source.read(RATE // 4)
        assert block.captured_ns <= time.monotonic_ns()
        assert time.monotonic_ns() - block.captured_ns < 10e9
    assert source.captured_ns >= block.captured_ns


@pytest.mark.mic
@pytest.mark.usefixtures("virtual_microphone")
def test_a_device_that_makes_any_number_of_channels_is_captured_in_one(opened):
    source = opened("stereo")
    assert source.identity.channels > 8
    assert source.channels == 1


@pytest.mark.mic
@pytest.mark.usefixtures("virtual_microphone")
def test_a_device_is_found_by_number_and_by_part_of_its_name(opened):
    source = opened("STER")
    assert source.name == "stereo"
    number = source.identity.index
    source.close()
    assert opened(number).name == "stereo"


@pytest.mark.mic
@pytest.mark.usefixtures("virtual_microphone")
@pytest.mark.parametrize("wanted", ["no such thing", 4711])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(wanted):
    with pytest.raises(DeviceError) as caught:
        MicrophoneSource(wanted, sample_rate=RATE)
    assert "'mic'" in str(caught.value)
    assert str(wanted) in str(caught.value)
    assert "\n" not in str(caught.value)


# PulseAudio's ALSA device refuses rates below 1 kHz, as a sound card refuses those that its crystal cannot make.
IMPOSSIBLE_RATE = 500


@pytest.mark.mic
@pytest.mark.usefixtures("virtual_microphone")
def test_a_device_that_cannot_have_the_model_s_rate_runs_at_its_own(opened):
    pytest.importorskip("soxr")
    source = opened("mic", sample_rate=IMPOSSIBLE_RATE)
    assert source.sample_rate == source.identity.default_sample_rate > IMPOSSIBLE_RATE
    assert len(source.read(1000).samples) == 1000


@pytest.mark.mic
@pytest.mark.usefixtures("virtual_microphone")
def test_where_nothing_can_resample_an_impossible_rate_is_refused(monkeypatch):
    monkeypatch.setattr("audiomon.audio.microphone.source.can_resample", lambda: False)
    with pytest.raises(DeviceError, match="mic: cannot run at the model's 500 Hz, and this machine has no soxr"):
        MicrophoneSource("mic", sample_rate=IMPOSSIBLE_RATE)


@pytest.mark.mic
@pytest.mark.usefixtures("virtual_microphone")
def test_a_channel_count_that_no_device_has_falls_back_to_all_that_this_one_has(opened):
    source = opened("mic", channels=1000)
    assert source.channels == source.identity.channels


@pytest.mark.mic
@pytest.mark.usefixtures("virtual_microphone")
def test_closing_from_another_thread_ends_a_waiting_read(opened):
    source = opened("mic")
    results = []
    reading = threading.Thread(target=lambda: results.extend(iter(lambda: source.read(RATE), None)))
    reading.start()
    source.close()
    source.close()
    reading.join(PATIENCE_S)
    assert not reading.is_alive()
    assert source.read(10) is None
    assert source.failure is None
    wait_until(lambda: source.released)


@pytest.mark.mic
@pytest.mark.usefixtures("virtual_microphone")
def test_opening_and_closing_many_times_leaves_no_thread_behind():
    before = threading.active_count()
    for _ in range(10):
        source = MicrophoneSource("mic", sample_rate=RATE)
        assert len(source.read(100).samples) == 100
        source.close()
        wait_until(lambda: source.released)  # noqa: B023 - called before the next one
    assert threading.active_count() == before


class Capturing:
    """A process that captures; see ``capturing.py``."""

    def __init__(self, environment: dict[str, str], **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.audio.microphone.capturing", json.dumps({"sample_rate": RATE, **options})],
            env={**os.environ, **environment, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.opened = self.answer()

    def answer(self) -> dict[str, Any]:
        return json.loads(self.process.stdout.readline())

    def __call__(self, command: str) -> dict[str, Any]:
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answer()

    def ends_quietly(self) -> None:
        """Its input closed, it ends by itself, well, and has printed nothing to stderr."""
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        assert (self.process.returncode, errors) == (0, "")


@pytest.fixture
def capturing() -> Iterator[Callable[..., Capturing]]:
    started = []

    def start(microphone: VirtualMicrophone, **options: Any) -> Capturing:
        started.append(Capturing(microphone.environment, **options))
        return started[-1]

    yield start
    for capturing in started:
        capturing.process.kill()
        capturing.process.communicate()


@pytest.mark.mic
def test_nothing_of_portaudio_and_alsa_reaches_stderr(own_virtual_microphone, capturing):
    """Opening first tries a rate and a channel count that PortAudio refuses in several lines of its own."""
    process = capturing(own_virtual_microphone, device="mic", sample_rate=IMPOSSIBLE_RATE, channels=1000)
    assert process("read 100") == {"ended": False, "frames": 100}
    process("close")
    while not process("released")["released"]:
        time.sleep(0.05)  # a busy machine takes its time; the test's own limit ends a wait for ever
    process.ends_quietly()


@pytest.mark.mic
def test_a_killed_server_is_a_failure_after_all_that_was_captured(own_virtual_microphone, capturing):
    process = capturing(own_virtual_microphone, device="mic")
    process("read 100")
    own_virtual_microphone("kill")
    read = 100
    while "error" not in (result := process("read 22050")):
        assert not result["ended"]
        read += result["frames"]
    assert result["error"].startswith("mic: the microphone has failed: ")
    assert result["failed"] == result["error"]
    assert read == process("captured")["frames"]
    assert process("close")["took_s"] < LIVENESS_S
    process.ends_quietly()


@pytest.mark.mic
def test_an_unplugged_microphone_is_a_failure(own_virtual_microphone, capturing):
    process = capturing(own_virtual_microphone, device="mic")
    process("read 100")
    own_virtual_microphone("unplug", "mic")
    while "error" not in process("read 22050"):
        pass
    assert process("close")["took_s"] < LIVENESS_S
    process.ends_quietly()


@pytest.mark.mic
def test_a_frozen_server_is_a_pause_and_not_the_end(own_virtual_microphone, capturing):
    process = capturing(own_virtual_microphone, device="mic")
    assert process("read 1000")["frames"] == 1000
    own_virtual_microphone("freeze")
    while process("read 11025")["frames"]:
        pass
    own_virtual_microphone("thaw")
    deadline = time.monotonic() + PATIENCE_S
    while not process("read 1000")["frames"]:
        assert time.monotonic() < deadline
    process("close")
    while not process("released")["released"]:
        time.sleep(0.05)  # a busy machine takes its time; the test's own limit ends a wait for ever
    process.ends_quietly()


@pytest.mark.mic
def test_closing_while_the_server_is_frozen_returns_and_the_process_ends(own_virtual_microphone, capturing):
    process = capturing(own_virtual_microphone, device="mic")
    process("read 1000")
    own_virtual_microphone("freeze")
    while process("read 11025")["frames"]:
        pass
    assert process("close")["took_s"] < LIVENESS_S
    process.ends_quietly()


@pytest.mark.mic
def test_opening_at_a_frozen_server_is_given_up_and_the_process_ends(own_virtual_microphone, capturing):
    own_virtual_microphone("freeze")
    process = capturing(own_virtual_microphone, device="mic", max_opening_s=2)
    assert "has not answered for 2 s" in process.opened["error"]
    process.ends_quietly()


@pytest.mark.mic
def test_a_name_that_is_not_utf_8_is_listed_escaped_and_another_device_is_captured(own_virtual_microphone, tmp_path):
    configuration = (own_virtual_microphone.folder / "asoundrc").read_bytes()
    (tmp_path / "asoundrc").write_bytes(configuration + configuration.replace(b"mic", b'"K\xfcche"', 1))
    environment = {**own_virtual_microphone.environment, "ALSA_CONFIG_PATH": str(tmp_path / "asoundrc")}
    code = (
        "from audiomon.audio.microphone import MicrophoneSource, input_devices\n"
        "print([device.name for device in input_devices()])\n"
        "with MicrophoneSource('mic', sample_rate=22_050) as source: print(len(source.read(100).samples))\n"
        "try: MicrophoneSource('che', sample_rate=22_050)\n"
        "except Exception as error: print(repr(error))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    names, samples, refused = printed.stdout.splitlines()
    assert "'mic'" in names
    assert r"'K\\xfcche'" in names
    assert samples == "100"
    assert refused.startswith("DeviceError")
    assert "its name is not UTF-8" in refused


def test_importing_the_microphone_loads_no_portaudio():
    code = "import sys, audiomon.audio.microphone; print('sounddevice' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "False"


def test_the_defaults_are_the_configuration_s():
    assert (Microphone().block_ms, Microphone().ring_s) == (DEFAULT_BLOCK_MS, DEFAULT_RING_S)
