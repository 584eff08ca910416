"""What the journal says was heard, summed up."""

import tracemalloc

import pytest

from audiomon.cli import report as command
from audiomon.diagnostics import report as report_module
from audiomon.diagnostics.journal_entries import Entry, Host, entry_of
from audiomon.diagnostics.report import LabelHeard, summarise, summarise_by_host
from audiomon.errors import UserError
from audiomon.outputs.message_ids import MESSAGE_IDS
from audiomon.pipeline.losses import Losses
from audiomon.pipeline.tally import Percentiles
from tests.diagnostics.entries import T0, minute, prediction


def test_time_by_label_is_what_the_minutes_say():
    found = summarise([minute(1, {"speech": 30, "background": 90}), minute(2, {"background": 120})])
    assert found.heard_s == 120
    assert list(found.labels) == ["background", "speech"]
    assert found.labels["speech"] == LabelHeard(predictions=30, heard_s=15)
    assert found.labels["background"] == LabelHeard(predictions=210, heard_s=105)


def test_time_below_the_gate_was_heard_and_belongs_to_no_label():
    found = summarise(
        [minute(1, {"speech": 30}, heard_s="60", gated="90", gate_saved_s="0.25"), minute(2, {"speech": 120})]
    )
    assert found.heard_s == 120
    assert found.labels == {"speech": LabelHeard(predictions=150, heard_s=75)}
    assert (found.gated, found.saved_s) == (90, 0.25)


def test_a_minute_without_a_microphone_adds_nothing():
    found = summarise([minute(1, {}, level_dbfs=""), minute(2, {"speech": 120})])
    assert found.heard_s == 60
    assert found.labels == {"speech": LabelHeard(predictions=120, heard_s=60)}


def test_what_no_minute_covers_is_put_together_from_the_predictions():
    killed = [prediction(number / 2, "speech") for number in range(5)]
    covered = [prediction(20 + number / 2, "background") for number in range(120)]
    since_then = [prediction(100 + number / 2, "dog_bark") for number in range(4)]
    found = summarise([*killed, *covered, minute(1.4, {"background": 120}), *since_then])
    assert found.labels["background"] == LabelHeard(predictions=120, heard_s=60)
    assert found.labels["dog_bark"] == LabelHeard(predictions=3, heard_s=1.5)
    assert found.labels["speech"] == LabelHeard(predictions=4, heard_s=2)
    assert found.heard_s == 60 + 1.5 + 2


def test_events_are_counted_with_how_long_they_lasted():
    found = summarise(
        [
            Entry(T0, "event-on", {"label": "dog_bark", "score": "0.7"}),
            Entry(T0 + 3, "event-off", {"label": "dog_bark", "duration_s": "3.0"}),
            Entry(T0 + 9, "event-on", {"label": "dog_bark", "score": "0.7"}),
            Entry(T0 + 10, "event-off", {"label": "dog_bark", "duration_s": "1.25"}),
        ]
    )
    assert found.labels == {"dog_bark": LabelHeard(events=2, on_s=4.25, longest_s=3.0)}


def test_percentiles_are_those_of_the_predictions_that_were_written():
    found = summarise([prediction(number, "speech", inference_us=str(number)) for number in range(101)])
    assert found.latencies["inference_us"] == Percentiles(50, 95, 99, 100)
    assert found.latencies_of == 101


def test_where_none_were_written_the_minutes_say_what_is_true_of_all_of_them():
    def latencies(p50, p95, p99, highest):
        return {"lag_ms_p50": p50, "lag_ms_p95": p95, "lag_ms_p99": p99, "lag_ms_max": highest}

    found = summarise(
        [
            minute(1, {"speech": 120}, **latencies("10", "15", "20", "90")),
            minute(2, {}, **latencies("0", "0", "0", "0")),
            minute(3, {"speech": 120}, **latencies("14", "16", "19", "30")),
        ]
    )
    assert found.latencies["lag_ms"] == Percentiles(12, 16, 20, 90)
    assert found.latencies_of == 0


def test_losses_and_changes_are_added_up():
    found = summarise(
        [
            Entry(T0, "listening", {"model": "home"}),
            Entry(T0 + 1, "audio-lost", {"lost": "1000"}),
            Entry(T0 + 2, "config-applied", {"lost": "5", "lost_reopened": "2200"}),
            Entry(T0 + 3, "model-swapped", {"lost": "0", "model": "esc10"}),
            Entry(T0 + 3, "undelivered", {"lost": "0", "undelivered": "300", "lost_s": "0.0136"}),
            Entry(T0 + 4, "swap-refused", {}),
            Entry(T0 + 5, "device-lost", {}),
            Entry(T0 + 9, "device-back", {"lost": "0", "lost_away": "88200", "lost_s": "4.0"}),
            Entry(T0 + 10, "journal-lost", {"entries_lost": "7"}),
            Entry(T0 + 11, "stopped", {}),
        ]
    )
    assert found.losses == Losses(lost=1005, away=88_200, reopened=2200, undelivered=300)
    assert (found.entries_lost, found.away, found.away_s) == (7, 1, 4.0)
    assert (found.swaps, found.refusals, found.starts) == (1, 1, 1)
    assert found.models == ["home", "esc10"]
    assert (found.begin_s, found.end_s, found.entries) == (T0, T0 + 11, 10)


def test_what_is_kept_does_not_grow_with_the_time():
    def growth(minutes):
        def entries():
            for number in range(minutes):
                at_s = 60.0 * number
                yield from (prediction(at_s + tenth, "speech", lag_ms=str(number % 100)) for tenth in range(4))
                yield minute(number, {"speech": 4}, lag_ms_p50=str(number % 100))

        tracemalloc.start()
        try:
            summarise(entries())
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    growth(200)  # what is made on first use
    assert growth(2000) < 1.5 * growth(500)


def test_predictions_that_no_summary_follows_are_added_as_they_come(monkeypatch):
    monkeypatch.setattr(report_module, "_MAX_UNCOVERED", 10)
    found = summarise(prediction(number, "speech") for number in range(101))
    assert found.labels["speech"] == LabelHeard(predictions=100, heard_s=100)


@pytest.mark.parametrize(
    "entry",
    [
        Entry(T0, "event-off", {"label": "speech", "duration_s": "boo"}),
        Entry(T0, "event-off", {"label": "speech", "duration_s": "nan"}),
        Entry(T0, "event-off", {"duration_s": "1"}),
        Entry(T0, "event-on", {}),
        prediction(0, "speech", lag_ms="1e999"),
        Entry(T0, "summary", {"by_label": "{", "predictions": "1", "heard_s": "60"}),
        Entry(T0, "summary", {"by_label": '{"speech": 7}', "heard_s": "60"}),
        Entry(T0, "summary", {"by_label": '{"speech": 7}', "predictions": "7", "heard_s": "inf"}),
        Entry(T0, "audio-lost", {"lost": "inf"}),
        Entry(T0, "device-back", {"lost_s": "a while"}),
        Entry(T0, "device-back", {"lost_s": "1", "lost_away": "many"}),
        Entry(T0, "link-action-done", {"outcome": "done"}),
        entry_of(T0, {"MESSAGE_ID": b"00"}),
        entry_of(T0, {"MESSAGE_ID": MESSAGE_IDS["event-on"].encode(), "AUDIOMON_LABEL": b"\xff"}),
        entry_of(T0, {"MESSAGE_ID": MESSAGE_IDS["event-on"].encode(), "AUDIOMON_LABEL": [b"one", b"two"]}),
        entry_of(T0, {"MESSAGE_ID": MESSAGE_IDS["event-on"].encode(), "AUDIOMON_LABEL": b"y" * (1 << 21)}),
    ],
)
def test_an_entry_that_cannot_be_read_is_left_out_and_counted(entry):
    found = summarise([entry])
    assert (found.entries, found.unreadable) == (1, 1)
    assert found.labels == {}
    assert (found.heard_s, found.losses, found.away_s) == (0, Losses(), 0)


def test_several_machines_are_not_summed_up_as_one():
    entries = [minute(1, {"speech": 120}, host="pi-a"), minute(1, {"speech": 60}, host="pi-b")]
    with pytest.raises(UserError, match="pi-a and pi-b among them: name one with --host"):
        summarise(entries)
    found = summarise_by_host(reversed(entries))
    assert {host.name: heard.heard_s for host, heard in found.items()} == {"pi-a": 60, "pi-b": 30}
    assert [host.name for host in found] == ["pi-a", "pi-b"]


def test_machines_that_share_a_name_or_an_identity_are_two():
    entries = [Entry(T0, "listening", {}, Host(*names)) for names in (("pi", "aa"), ("pi", "bb"), ("pi-2", "aa"))]
    assert len(summarise_by_host(entries)) == 3


def test_what_runs_is_the_model_that_was_named_last_with_its_fingerprint():
    found = summarise(
        [
            Entry(T0, "listening", {"model": "home", "model_sha256": "aa"}),
            prediction(1, "speech"),
            minute(1, {"speech": 120}, model_sha256="bb", health="doubtful"),
        ]
    )
    assert (found.model, found.model_sha256, found.health) == ("home", "bb", "doubtful")
    found = summarise([minute(1, {}, model_sha256="bb"), prediction(70, "speech", model="esc10")])
    assert (found.model, found.model_sha256) == ("esc10", "")
    assert summarise([minute(1, {}, health="listening"), Entry(T0 + 61, "stopped", {})]).health == "stopped"


def test_what_came_of_actions_is_counted_by_rule():
    found = summarise(
        Entry(
            T0 + number,
            f"link-action-{'done' if outcome == 'done' else 'failed'}",
            {"action": name, "outcome": outcome},
        )
        for number, (name, outcome) in enumerate(
            [("1 ntfy", "done"), ("1 ntfy", "done"), ("1 ntfy", "late"), ("2 webhook", "failed")]
        )
    )
    assert found.actions == {"1 ntfy": {"done": 2, "late": 1}, "2 webhook": {"failed": 1}}
    lines = command._table(found, "audiomon")
    assert "action        1 ntfy: done 2 times, late once" in lines
    assert "action        2 webhook: failed once" in lines
