"""What the link takes a listener to be, by the lines of its feed."""

from audiomon.link.state import Lost, Message, State
from tests.link.heard import Heard, Said

WAITING = {"health": "waiting", "reason": "audiomon.yaml:3: modle: is not a key"}


def test_a_listener_that_waits_for_a_model_is_down_and_says_for_what():
    state = State(Said())
    heard = Heard(state)
    got: list[Message] = []
    with state.subscribed("test", lambda _, message: got.append(message), ("state",)):
        heard.hello((), model="", state=WAITING)
        heard.state_line(**WAITING | {"reason": "audiomon.yaml:4: is not YAML"})
    assert (heard.listener.up, heard.listener.snapshot, got) == (False, None, [])
    assert heard.listener.problem == "waiting: audiomon.yaml:4: is not YAML"
    heard.hello()
    assert (heard.listener.up, heard.listener.problem) == (True, "")


def test_one_that_has_to_wait_again_is_lost_and_keeps_what_was_announced_of_it():
    state = State(Said())
    heard = Heard(state)
    got: list[Message] = []
    heard.hello()
    with state.subscribed("test", lambda _, message: got.append(message)):
        heard.hello((), model="", state=WAITING)
    assert got == [Lost(f"waiting: {WAITING['reason']}")]
    assert not heard.listener.up
