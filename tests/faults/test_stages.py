"""A stage that raises, hangs or dawdles: named, started again, given up on; and all else goes on."""

import itertools

import pytest

from tests.daemon.daemon import PATIENCE_S, wait_until

pytestmark = pytest.mark.mic


def positions(daemon):
    return [line["position_s"] for line in daemon.predictions()]


def test_an_inference_stage_that_raises_is_named_and_goes_on_with_the_same_stream(daemon, fault):
    fault.on("inference-raises")
    failed = daemon.wait_for("stage-failed")
    assert (failed["stage"], failed["severity"]) == ("inference", "error")
    assert "raised RuntimeError: told to; restarting it" in failed["message"]
    lost = daemon.wait_for("audio-lost")
    daemon.wait_predictions(3)
    assert daemon.of_kind("device-lost") == []
    # The stream was not interrupted: positions go on, and the one gap is what is said to be lost.
    gaps = [after - before for before, after in itertools.pairwise(positions(daemon))]
    assert min(gaps) > 0
    assert lost["lost_s"] < max(gaps) < lost["lost_s"] + 1
    assert daemon.stop() == 0
    total = daemon.wait_for_end("summary")
    assert total["classified"] + total["shed"] + total["lost"] + total["left_over"] > 0
    assert total["lost"] == lost["lost"]


def test_a_stage_that_fails_for_the_third_time_within_a_minute_ends_the_process(daemon, fault):
    fault.on("always-inference-raises")
    assert daemon.process.wait(PATIENCE_S) == 1
    assert "third failure" in daemon.wait_for_end("stage-failed")["message"]
    assert len(daemon.of_kind("stage-failed")) == 3
    assert daemon.of_kind("summary")
    assert "the inference stage raised RuntimeError" in daemon.process.stderr.read()


def test_an_inference_stage_that_hangs_is_left_behind_and_replaced(daemon, fault):
    fault.on("inference-hangs")
    failed = daemon.wait_for("stage-failed")
    assert failed["stage"] == "inference"
    assert "has not moved for" in failed["message"]
    fault.off("inference-hangs")
    daemon.wait_for("listening", 2)
    daemon.wait_predictions(5)
    # The thread that was left behind moves again by now, and says nothing any more.
    assert len(daemon.of_kind("stage-failed")) == 1
    assert daemon.process.poll() is None


def test_sigterm_while_a_stage_hangs_ends_it_all_the_same_with_a_summary(daemon, fault):
    fault.on("inference-hangs")
    wait_until(lambda: fault.in_effect("inference-hangs"), "it hangs")
    assert daemon.stop() == 0
    assert daemon.wait_for_end("summary")["predictions"] == len(daemon.predictions())


def test_a_capture_stage_that_raises_is_named_and_the_microphone_opened_again(daemon, fault):
    fault.on("capture-raises")
    failed = daemon.wait_for("stage-failed")
    assert failed["stage"] == "capture"
    assert "RuntimeError: told to" in failed["message"]
    assert daemon.wait_for("device-back")["lost_away"] > 0
    daemon.wait_predictions(3)
    assert daemon.of_kind("stage-failed") == [failed]
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.process.stderr.read()


def test_a_model_slower_than_real_time_sheds_whole_windows_and_says_by_how_much_it_is_too_slow(daemon, fault):
    fault.on("inference-dawdles", "0.3")
    slow = daemon.wait_for("too-slow")
    assert slow["times_too_slow"] > 2.5
    assert "times too slow" in slow["message"]
    daemon.wait_predictions(20)
    lags_ms = [line["lag_ms"] for line in daemon.predictions()[-10:]]
    # A second is what a window may wait, one more call it may take; the rest is for a busy machine.
    assert max(lags_ms) < 5000
    assert len(daemon.of_kind("too-slow")) == 1
    fault.off("inference-dawdles")
    before = len(daemon.predictions())
    wait_until(lambda: daemon.predictions()[-1]["lag_ms"] < 500, "keeps up again")
    assert len(daemon.predictions()) > before
    assert daemon.stop() == 0
    total = daemon.wait_for_end("summary")
    over = daemon.of_kind("keeps-up")[-1]
    assert total["windows_shed"] == over["windows_shed"] > 0
    assert total["shed"] == over["shed"]
    assert "windows shed" in total["message"]
