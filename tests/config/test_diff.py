from typing import Annotated

import msgspec

from audiomon.config import Config, Decisions, Journal, LabelDecisions, Microphone
from audiomon.config.diff import changed_keys
from audiomon.config.key import key


def test_each_key_that_differs_is_named_with_its_values_and_its_class():
    before = Config()
    after = Config(
        model="esc10",
        hop_s=0.25,
        microphone=Microphone(device="usb", channel=1),
        decisions=Decisions(on=0.7, labels={"speech": LabelDecisions(on=0.8)}),
        journal=Journal(predictions="events"),
    )
    assert [(str(change), change.reload) for change in changed_keys(before, after)] == [
        ("model home → esc10", "live"),
        ("hop_s 0.5 → 0.25", "live"),
        ("microphone.device default → usb", "reopen"),
        ("microphone.channel mix → 1", "reopen"),
        ("decisions.on unset → 0.7", "live"),
        ('decisions.labels {} → {"speech":{"on":0.8}}', "live"),
        ("journal.predictions every → events", "live"),
    ]
    assert changed_keys(before, Config()) == []


def test_a_key_that_needs_a_restart_says_so():
    class Later(msgspec.Struct):
        port: Annotated[int, key("A port.", "restart")] = 1

    (change,) = changed_keys(Later(), Later(2))
    assert change.reload == "restart"
    assert str(change) == "port 1 → 2 (after a restart)"
