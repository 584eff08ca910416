"""Takes the pictures of the page for the README: ``python -m tests.link.screenshot FOLDER``. Needs Chromium."""

import asyncio
import random
import sys
import time
from pathlib import Path

from tests.link.heard import LABELS, Heard, picture
from tests.link.page.browser import Browser
from tests.link.page.serving import Served, served

PICTURES = (("page", 1280, 1180, "light"), ("page-dark", 1280, 1180, "dark"), ("page-phone", 390, 1700, "dark"))


def tell_a_day(heard: Heard) -> None:
    """Have it hear what a house hears in a day."""
    rng = random.Random(7)
    heard.hello(spectrogram=True)
    now_s = time.time()
    times_s = sorted(now_s - 86_000 * rng.random() ** 1.4 for _ in range(30))
    for at_s in times_s:
        hour = time.localtime(at_s).tm_hour
        label = rng.choice(
            ("dog_bark", "dog_bark", "water_running", "doorbell") if hour > 6 else ("baby_cry", "dog_bark")
        )
        duration_s = rng.expovariate(1 / 6) + 0.5
        score = rng.uniform(0.62, 0.99)
        heard.event(label, score=score, at_s=at_s)
        heard.event(label, "off", score=0.3, at_s=at_s + duration_s, duration_s=duration_s)


async def go_on(heard: Heard, pages: Served, columns: int) -> None:
    """Have it hear a dog, while a page looks."""
    rng = random.Random(3)
    for start in range(0, columns, 11):
        heard.columns(picture(11, start, rng))
    heard.level()
    scores = {label: rng.random() * 0.2 for label in LABELS} | {"dog_bark": 0.91, "water_running": 0.34}
    heard.prediction(scores)
    await asyncio.sleep(0)


async def take(folder: Path) -> None:
    """Take all of them."""
    async with served() as page:
        # The page as it is a while after a link has begun: it knows of the day before.
        page.page._day(page.heard.listener).since_s = time.time() - 85_000
        tell_a_day(page.heard)
        page.heard.event("dog_bark", score=0.91, at_s=time.time() - 4)
        page.around.ledger.use(("1 ntfy", "2 webhook"))
        page.around.actions.use(used=True)
        for _ in range(7):
            page.around.ledger.count("1 ntfy", "done")
        for name, width, height, scheme in PICTURES:
            with Browser(width, height, scheme) as browser:
                await asyncio.to_thread(browser.open, page.url)
                for _ in range(30):
                    await go_on(page.heard, page, 11 * 3)
                    await asyncio.sleep(0.2)
                await asyncio.to_thread(browser.picture, folder / f"{name}.png")


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1])))
