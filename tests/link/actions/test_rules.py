from typing import Any

import pytest

from audiomon.link.actions.rules import Rule
from audiomon.link.actions.settings import Action
from audiomon.outputs.feed_protocol import EventLine


def rule(**settings: Any) -> Rule:
    return Rule(0, Action(**{"on": ("dog*", "bell"), "command": ("/bin/true",), **settings}))


def judged(one: Rule, label: str = "dog_bark", state: Any = "on", score: float = 0.8, **at: Any) -> Any:
    event = EventLine("", label, state, score, 0.0, 0.0)
    return one.judge(at.get("listener", "a"), event, 1_790_000_000.0, at.get("at_s", 0.0))


@pytest.mark.parametrize(("label", "due"), [("dog", True), ("dog_bark", True), ("bells", False), ("Dog", False)])
def test_labels_are_named_or_matched(label, due):
    assert (judged(rule(), label) == "done") is due


def test_a_bracket_in_a_label_is_a_bracket():
    one = rule(on=("[a]*",))
    assert judged(one, "[a] dog") == "done"
    assert judged(one, "a dog") is None


@pytest.mark.parametrize(("when", "due"), [("on", ["on"]), ("off", ["off"]), ("both", ["on", "off"])])
def test_it_is_due_when_it_turns_on_or_off_as_asked(when, due):
    one = rule(when=when)
    assert [state for state in ("on", "off") if judged(one, state=state) == "done"] == due


def test_a_score_too_low_is_none_of_its_business_but_for_turning_off():
    one = rule(when="both", min_score=0.7)
    assert judged(one, score=0.69) is None
    assert judged(one, score=0.7) == "done"
    assert judged(one, state="off", score=0.2) == "done"


def test_a_cooldown_is_each_labels_and_each_listeners_own():
    one = rule(cooldown_s=60)
    assert judged(one, at_s=0) == "done"
    assert judged(one, at_s=59.9) == "cooling"
    assert judged(one, "bell", at_s=59.9) == "done"
    assert judged(one, at_s=59.9, listener="b") == "done"
    assert judged(one, at_s=60) == "done"
    assert judged(one, at_s=61) == "cooling"


def test_what_was_not_done_in_quiet_hours_starts_no_cooldown():
    one = rule(quiet=("00:00-24:00",))
    assert judged(one) == "quiet"
    assert not one._due_s


def test_ten_thousand_labels_do_not_grow_without_end():
    one = rule(on=("*",))
    for number in range(10_000):
        judged(one, str(number))
    assert len(one._due_s) == 2000
