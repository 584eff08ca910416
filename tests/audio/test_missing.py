"""How many samples never came, told from when those that did were found."""

import random

import pytest

from audiomon.audio.missing import MissingMeter

RATE = 22_050


def finds(seconds, *, drift_ppm=0.0, jitter_s=0.01, losses=(), stops=(), every_s=0.1, seed=1):
    """(frames, monotonic ns) of every find of a device that delivers 50 ms chunks and is looked at every ``every_s``.

    ``losses`` are (when, seconds) that the device drops; ``stops`` are (when, seconds) during which nobody looks, after
    which everything that came meanwhile is found at once.
    """
    chance, at_s = random.Random(seed), 0.0
    while at_s < seconds:
        at_s += every_s + chance.expovariate(1 / jitter_s)
        for begin_s, lasts_s in stops:
            if begin_s <= at_s < begin_s + lasts_s:
                at_s = begin_s + lasts_s
        lost_s = sum(lasts_s for begin_s, lasts_s in losses if begin_s <= at_s)
        chunks = int((at_s * (1 + drift_ppm / 1e6) - lost_s) / 0.05)
        yield round(chunks * 0.05 * RATE), round(at_s * 1e9)


def undelivered(*arguments, **options):
    meter = MissingMeter(RATE)
    return [one for find in finds(*arguments, **options) if (one := meter.add(*find)) is not None]


@pytest.mark.parametrize("drift_ppm", [-500, -100, 0, 30, 100, 500])
@pytest.mark.parametrize("jitter_s", [0.002, 0.05])
@pytest.mark.parametrize("every_s", [0.1, 1.0])
def test_an_hour_of_drift_and_jitter_are_no_loss(drift_ppm, jitter_s, every_s):
    assert undelivered(3600, drift_ppm=drift_ppm, jitter_s=jitter_s, every_s=every_s) == []


@pytest.mark.parametrize("drift_ppm", [-100, 0, 100])
@pytest.mark.parametrize("lost_s", [0.1, 0.7, 18.0])
@pytest.mark.parametrize("every_s", [0.1, 0.5, 1.0])
def test_what_a_device_drops_is_measured_to_within_the_stated_uncertainty(drift_ppm, lost_s, every_s):
    (one,) = undelivered(900, drift_ppm=drift_ppm, losses=[(600.3, lost_s)], every_s=every_s)
    assert abs(one.samples - lost_s * RATE) <= one.uncertain
    assert one.uncertain < 0.05 * RATE


def test_several_losses_add_up():
    losses = [(100.0, 0.5), (130.0, 2.0), (160.0, 0.2)]
    found = undelivered(300, losses=losses)
    assert sum(one.samples for one in found) == pytest.approx(2.7 * RATE, abs=sum(one.uncertain for one in found))


def test_a_reader_that_was_stopped_while_the_sound_system_kept_everything_has_lost_nothing():
    assert undelivered(300, stops=[(100.0, 8.0), (200.0, 30.0)]) == []


def test_a_reader_that_was_stopped_for_longer_than_the_sound_system_keeps_has_lost_the_rest():
    (one,) = undelivered(300, stops=[(100.0, 30.0)], losses=[(112.0, 18.0)])
    assert abs(one.samples - 18 * RATE) <= one.uncertain
