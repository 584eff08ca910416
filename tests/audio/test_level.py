"""What is loud, and what is only a constant: the gate, the meter, and channels that cancel."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomon.audio.level import Gate, LevelMeter, level_dbfs
from audiomon.audio.mono import MonoStream
from tests.audio.lists import ListedSource

RATE = 1000
TENTH = 100


def sine(seconds: float, amplitude: float) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * 50 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize(("dbfs", "is_open"), [(-23.1, True), (-22.9, False)])
def test_it_opens_at_the_root_mean_square_of_a_tenth_of_a_second(dbfs, is_open):
    gate = Gate(dbfs, RATE)
    gate.add(sine(1, 0.1))  # -23.01 dBFS
    assert gate.is_open(5 * TENTH) == is_open


def test_until_a_window_has_passed_it_is_open():
    gate = Gate(-60, RATE)
    gate.add(np.zeros(499, np.float32))
    assert gate.is_open(500)
    gate.add(np.zeros(1, np.float32))
    assert not gate.is_open(500)


def test_a_short_sound_keeps_it_open_for_a_window():
    gate = Gate(-30, RATE)
    gate.add(np.zeros(1000, np.float32))
    gate.add(sine(0.1, 0.5))
    opened = []
    for _ in range(8):
        opened.append(gate.is_open(5 * TENTH))
        gate.add(np.zeros(TENTH, np.float32))
    assert opened == [True] * 5 + [False] * 3


@settings(max_examples=15)  # each cuts the sound at 35 places
@given(seed=st.integers(0, 10**6))
def test_portions_make_no_difference(seed):
    chunks = random.Random(seed)
    sound = np.concatenate([sine(1, 0.5), np.zeros(1000, np.float32), sine(0.05, 0.5), np.zeros(2000, np.float32)])
    whole = [at for at in range(0, len(sound), TENTH) if heard(sound[:at], [at]).is_open(3 * TENTH)]
    cut = [
        at for at in range(0, len(sound), TENTH) if heard(sound[:at], chunks.choices(range(1, 700), k=at)).is_open(300)
    ]
    assert whole == cut


def heard(sound: np.ndarray, portions: list[int]) -> Gate:
    gate = Gate(-20, RATE)
    for portion in portions:
        gate.add(sound[:portion])
        sound = sound[portion:]
    return gate


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), offset=st.sampled_from([-0.5, -0.03, 0.0, 0.03, 0.15, 0.9]))
def test_wherever_it_is_asked_the_answer_is_that_of_the_samples_so_far_whatever_the_portions_and_the_offset(
    seed, offset
):
    chunks = random.Random(seed)
    # The tone is as loud as the gate is set, in the middle of a tenth: the most delicate case for rounding.
    sound = np.concatenate([np.zeros(430), sine(0.2, 0.1 * math.sqrt(2)), np.zeros(700)]).astype(np.float32)
    sound += np.float32(offset)
    for at in sorted(chunks.choices(range(1, len(sound)), k=5)):
        assert heard(sound[:at], chunks.choices(range(1, 300), k=at)).is_open(300) == heard(sound[:at], [at]).is_open(
            300
        )


@pytest.mark.parametrize("offset", [-0.6, 0.0, 0.0316, 0.15, 0.6])
def test_a_constant_part_opens_no_gate_and_a_sound_upon_it_does(offset):
    gate = Gate(-50, RATE)
    gate.add(np.full(2000, offset, np.float32))
    assert not gate.is_open(500)
    gate.add(sine(0.1, 0.01) + np.float32(offset))
    assert gate.is_open(500)


@pytest.mark.parametrize("portion", [70, 441, 22_050])
@pytest.mark.parametrize("offset", [-0.6, 0.0, 0.0316, 0.3])
@pytest.mark.parametrize("dbfs", [-80, -50, -6])
def test_the_level_is_of_the_sound_whatever_constant_lies_under_it(dbfs, offset, portion):
    noise = np.random.default_rng(1).standard_normal(22_050)
    noise *= 10 ** (dbfs / 20) / noise.std()
    samples = (np.clip(noise, -0.4, 0.4) if dbfs > -10 else noise) + offset
    meter = LevelMeter()
    expected = 20 * math.log10(samples.std())
    for _ in range(2):
        for start in range(0, len(samples), portion):
            meter.add(samples[start : start + portion].astype(np.float32))
        assert meter.take_dbfs() == pytest.approx(expected, abs=0.05)
    assert meter.take_dbfs() is None


def test_the_level_of_a_constant_is_that_of_silence():
    meter = LevelMeter()
    meter.add(np.full(1000, 0.25, np.float32))
    assert meter.take_dbfs() == -120
    assert meter.take_span().defect == "constant"


def test_the_level_of_a_full_scale_sine_is_minus_3_dbfs_with_or_without_an_offset():
    tone = (16_000 * np.sin(2 * np.pi * np.arange(8000) / 80)).astype(np.int16)[:, np.newaxis]
    assert level_dbfs(2 * tone) == pytest.approx(-3.2, abs=0.05)
    assert level_dbfs(tone + np.int16(12_000)) == level_dbfs(tone)
    assert level_dbfs(np.full((10, 2), 900, dtype=np.int16)) == level_dbfs(np.empty((0, 1), dtype=np.int16)) == -120


@pytest.mark.parametrize(
    ("of_one", "of_other", "cancels"),
    [
        (-1, 0, True),
        (-0.95, 0.01, True),
        (1, 0, False),
        (0, 1, False),
        (0, 0, False),
        (-0.5, 0, False),
    ],
    ids=["opposite", "nearly opposite", "same", "unrelated", "dead", "opposite at half the level"],
)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_channels_that_cancel_in_the_mix_are_noticed(of_one, of_other, cancels, dtype):
    random_ = np.random.default_rng(2)
    one, other = random_.standard_normal((2, 4000)) * 0.05
    # The constant is no sound that they share.
    channels = np.stack([one, of_one * one + of_other * other], axis=1) + 0.1
    meter = LevelMeter()
    stream = MonoStream(
        ListedSource([(channels * 32_768).astype(np.int16) if dtype == np.int16 else channels.astype(dtype)], RATE, 2),
        RATE,
        level=meter,
    )
    assert stream.read(4000) is not None
    assert meter.take_span().cancels == cancels
    assert not meter.take_span().cancels


def test_silence_and_a_single_channel_cancel_nothing():
    for channels in (np.zeros((1000, 2), np.int16), np.ones((1000, 2), np.int16) * np.int16([1, -1])):
        meter = LevelMeter()
        meter.compare(channels)
        meter.add(np.zeros(1000, np.float32))
        assert not meter.take_span().cancels
