"""A real Home Assistant on a real broker: what it makes of the link's messages. One life, told in order."""

from contextlib import ExitStack

import pytest

from tests.link.home_assistant import HomeAssistant, hass
from tests.link.processes import publish, wait_until
from tests.link.test_mqtt import House
from tests.outputs.listening import event, model, snapshot

pytestmark = [pytest.mark.homeassistant, pytest.mark.timeout(900)]

SPEECH = "binary_sensor.audiomon_attic_speech"
GARDEN = "binary_sensor.audiomon_attic_garden_speech"


class Home:
    """A house with a Home Assistant and a link in it."""

    def __init__(self, folder, stack):
        hass()
        self.house = House(folder, stack)
        (folder / "hass").mkdir()
        self.assistant = HomeAssistant(folder / "hass", self.house.port)
        stack.callback(self.assistant.stop)
        self.link = self.house.link("  state_s: 1\n")
        self.listener = self.house.listener(self.link)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with ExitStack() as stack:
        yield Home(tmp_path_factory.mktemp("home"), stack)


def test_all_entities_appear_and_are_right(home):
    assistant, listener = home.assistant, home.listener
    assistant.wait_state(SPEECH, "off")
    listener.feed.event(event(time_ns=1_700_000_000_000_000_000))
    assistant.wait_state(SPEECH, "on")
    states = wait_until(lambda: len(found := assistant.states("audiomon_attic")) == 9 and found, assistant.states)
    assert {entity: one["state"] for entity, one in states.items() if not entity.startswith("event.")} == {
        SPEECH: "on",
        "binary_sensor.audiomon_attic_dog_bark": "off",
        "binary_sensor.audiomon_attic_problem": "off",
        "sensor.audiomon_attic_level": states["sensor.audiomon_attic_level"]["state"],
        "sensor.audiomon_attic_health": "listening",
        "sensor.audiomon_attic_model": "home",
        "sensor.audiomon_attic_samples_lost": "0",
        "sensor.audiomon_attic_lag": "50.0",
    }
    assert states[SPEECH]["attributes"]["device_class"] == "sound"
    assert assistant.states(SPEECH)[SPEECH]["attributes"]["score"] == 0.8
    sound = wait_until(
        lambda: (one := assistant.states("event.")["event.audiomon_attic_sound"])["state"] != "unknown" and one,
        assistant.states,
    )
    assert sound["attributes"]["event_type"] == "speech"
    assert sound["attributes"]["event_types"] == ["dog_bark", "speech"]
    listener.stand(snapshot(health="lost", reason="unplugged"))
    assistant.wait_state("binary_sensor.audiomon_attic_problem", "on")
    assistant.wait_state("sensor.audiomon_attic_health", "lost")
    listener.stand(snapshot())
    assistant.wait_state("binary_sensor.audiomon_attic_problem", "off")


def test_what_has_ended_is_unavailable_until_it_is_back(home):
    assistant, house = home.assistant, home.house
    home.listener.close()
    assistant.wait_state(SPEECH, "unavailable")
    home.listener = house.listener(home.link)
    assistant.wait_state(SPEECH, "off")
    home.link.stop(9)
    assistant.wait_state(SPEECH, "unavailable")
    home.link.start()
    assistant.wait_state(SPEECH, "off")
    house.broker.stop()
    assistant.wait_state(SPEECH, "unavailable")
    home.listener.feed.event(event())
    house.broker.start()
    assistant.wait_state(SPEECH, "on")


def test_a_home_assistant_that_restarts_knows_everything_again(home):
    home.assistant.stop()
    home.listener.feed.event(event("dog_bark"))
    home.assistant.start()
    home.assistant.wait_state("binary_sensor.audiomon_attic_dog_bark", "on")
    home.assistant.wait_state(SPEECH, "on")


def test_a_second_instance_is_a_device_of_its_own(home):
    garden = home.house.listener(home.link, "garden")
    home.assistant.wait_state(GARDEN, "off")
    garden.feed.event(event())
    home.assistant.wait_state(GARDEN, "on")
    garden.close()
    home.assistant.wait_state(GARDEN, "unavailable")
    home.assistant.wait_state(SPEECH, "on")


def test_a_label_that_is_no_more_is_removed(home):
    home.listener.feed.event(event("dog_bark", "off"))
    home.listener.feed.observe(model("other", ("speech", "<img onerror=alert(1)>")))
    wait_until(lambda: "binary_sensor.audiomon_attic_dog_bark" not in home.assistant.states(), home.assistant.states)
    names = [one["attributes"].get("friendly_name", "") for one in home.assistant.states("attic_img").values()]
    assert names == ["audiomon attic <img onerror=alert(1)>"]


def test_home_assistant_has_nothing_to_complain_of(home):
    publish(home.house.port, "homeassistant/status", "online")
    home.assistant.wait_state(SPEECH, "on")
    complaints = [line for line in home.assistant.log.splitlines() if "mqtt" in line.lower()]
    # A broker that was killed is one.
    assert [line for line in complaints if "isconnect" not in line and "refused" not in line] == []
