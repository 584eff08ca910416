"""The gate: what counts as loud enough, and for how long."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomon.audio.level import Gate

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
