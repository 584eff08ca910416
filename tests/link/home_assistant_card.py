"""Takes the picture of Home Assistant for the README: ``python -m tests.link.home_assistant_card FILE.png``.

Needs Chromium, mosquitto and the Home Assistant of ``home_assistant.sh``. Everything in the picture is real but for the
listener, whose feed says what a house hears.
"""

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from audiomon.outputs.observations import Level
from tests.link.home_assistant import HomeAssistant
from tests.link.page.browser import Browser
from tests.link.test_mqtt import House
from tests.outputs.listening import event, model, snapshot
from tests.waiting import wait_until

LABELS = ("baby_cry", "dog_bark", "speech")
WIDTH, HEIGHT = 1280, 900
WIDTH, HEIGHT = 1280, 1300
# The part of the page with the device's entities, so many, once all have their icons. Elements lie in shadow roots.
_ENTITIES = """
const all = (node, name) => [...node.querySelectorAll("*")].flatMap(one =>
  [...(one.localName === name ? [one] : []), ...(one.shadowRoot ? all(one.shadowRoot, name) : [])]);
const cards = all(document, "ha-device-entities-card");
const icons = cards.flatMap(one => all(one.shadowRoot, "ha-svg-icon")).filter(one => one.path);
if (cards.length < 3 || icons.length < arguments[0]) return null;
const [first, last] = [cards[0], cards.at(-1)].map(one => one.getBoundingClientRect());
return [first.left, first.top, last.right, last.bottom];
"""
_MARGIN = 16


def take(file: Path) -> None:
    """Take it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        house = House(folder, stack)
        (folder / "hass").mkdir()
        assistant = HomeAssistant(folder / "hass", house.port, frontend=True)
        stack.callback(assistant.stop)
        assistant.end_onboarding()
        listener = house.listener(house.link("  state_s: 1\n", name="nursery"))
        listener.feed.observe(model(labels=LABELS))
        listener.stand(snapshot())
        assistant.wait_state("binary_sensor.audiomon_nursery_dog_bark", "off")
        for label, state in (("baby_cry", "on"), ("baby_cry", "off"), ("dog_bark", "on")):
            listener.feed.event(event(label, state, time_ns=time.time_ns()))
        assistant.wait_state("binary_sensor.audiomon_nursery_dog_bark", "on")

        def has_level() -> bool:
            listener.feed.observe(Level(-38.2, -21.5))  # as a listener does every second
            return bool(assistant.state("sensor.audiomon_nursery_level") == "-38.2")

        wait_until(has_level, "the level")
        device = assistant.value_of("{{ device_id('binary_sensor.audiomon_nursery_dog_bark') | to_json }}")
        browser = stack.enter_context(Browser(WIDTH, HEIGHT))
        browser.open(f"{assistant.address}/manifest.json")
        browser.run("localStorage.setItem('hassTokens', arguments[0])", json.dumps(assistant.signed_in))
        browser.open(f"{assistant.address}/config/devices/device/{device}")
        count = len(assistant.states("audiomon_nursery"))
        left, top, right, bottom = browser.wait("the entities", lambda: browser.run(_ENTITIES, count))
        browser.picture(file, (left - _MARGIN, top - _MARGIN, right + _MARGIN, bottom + _MARGIN))


if __name__ == "__main__":
    take(Path(sys.argv[1]))
