"""Every frame has one fate: compared with a list that holds the fate of each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomon.pipeline.accounts import Accounts, Fates

WINDOW = 10


@st.composite
def streams(draw):
    """Windows as (begin, end, classified or shed), some after gaps, and where the stream ends."""
    hop = draw(st.integers(1, WINDOW))
    windows, end = [], draw(st.integers(0, 20)) + WINDOW
    for _ in range(draw(st.integers(0, 25))):
        windows.append((end - WINDOW, end, draw(st.booleans())))
        end += hop if draw(st.integers(0, 3)) else draw(st.integers(WINDOW, 40))
    last = windows[-1][1] if windows else 0
    return windows, last + draw(st.integers(0, 30))


@given(streams())
def test_every_frame_is_classified_shed_lost_or_left_over_and_none_is_two_of_them(stream):
    windows, stream_end = stream
    fates_of = ["left over"] * stream_end
    accounts, end, total = Accounts(), 0, []
    for begin, window_end, classified in windows:
        fates_of[end:begin] = ["lost"] * (begin - end)
        for frame in range(begin, window_end):
            if classified or fates_of[frame] != "classified":
                fates_of[frame] = "classified" if classified else "shed"
        if classified:
            accounts.classified(begin, window_end, joined=begin <= end)
            total.append(accounts.take())
        else:
            accounts.shed(begin, window_end, joined=begin <= end)
        end = window_end
    accounts.finish(stream_end, 0)
    total.append(accounts.take())
    for fate in ("classified", "shed", "lost", "left_over"):
        assert sum(getattr(one, fate) for one in total) == fates_of.count(fate.replace("_", " ")), fate
    assert sum(one.windows_shed for one in total) == sum(not classified for _, _, classified in windows)


def test_a_window_that_is_shed_between_two_that_overlap_it_leaves_nothing_unheard():
    accounts = Accounts()
    accounts.classified(0, 10, joined=True)
    accounts.shed(5, 15, joined=True)
    accounts.take()
    accounts.classified(10, 20, joined=True)
    assert accounts.take() == Fates(classified=10, shed=0, windows_shed=1)


def test_positions_that_are_rounded_apart_are_no_loss():
    accounts = Accounts()
    accounts.classified(0, 10, joined=True)
    accounts.take()
    accounts.classified(11, 21, joined=True)
    assert accounts.take() == Fates(classified=11)
    accounts.classified(22, 32, joined=False)
    assert accounts.take() == Fates(classified=10, lost=1)


@pytest.mark.parametrize("lost", [0, 7])
def test_what_is_lost_after_the_last_window_is_not_left_over(lost):
    accounts = Accounts(100)
    accounts.finish(130, lost)
    assert accounts.take() == Fates(lost=lost, left_over=30 - lost)


def test_what_was_counted_and_not_taken_is_in_what_is_taken_next():
    accounts = Accounts()
    accounts.classified(0, 10, joined=True)
    accounts.shed(5, 15, joined=True)
    accounts.classified(12, 22, joined=False)
    accounts.finish(30, 2)
    taken = accounts.take()
    assert taken == Fates(classified=20, shed=2, lost=2, windows_shed=1, left_over=6)
    assert accounts.take() == Fates()
