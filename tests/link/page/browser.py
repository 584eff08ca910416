"""A real browser without a screen: Debian's Chromium, driven by Selenium."""

import base64
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)
PATIENCE_S = 20


class Browser:
    """A browser window.

    Args:
        width: of what is seen of a page, in CSS pixels.
        height: the same.
        scheme: light or dark.
    """

    def __init__(self, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        webdriver = pytest.importorskip("selenium.webdriver")
        programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
        if None in programs:
            pytest.skip("no Chromium (apt install chromium chromium-driver)")
        options = webdriver.ChromeOptions()
        options.binary_location = programs[0]
        for flag in _FLAGS:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(executable_path=programs[1])
        self.driver: Any = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(PATIENCE_S)
        self.driver.set_script_timeout(PATIENCE_S)
        self.resize(width, height)
        self.scheme(scheme)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_error: object) -> None:
        self.driver.quit()

    def resize(self, width: int, height: int) -> None:
        """Show this much of the page, whatever the least size of a window is."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def scheme(self, scheme: str) -> None:
        """Have pages drawn light or dark."""
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})

    def open(self, url: str) -> None:
        """Open a page."""
        self.driver.get(url)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page and return its result."""
        return self.driver.execute_script(script, *arguments)

    def barriers(self) -> list[str]:
        """Return what axe finds that would keep people from using the page as it is now: rule and elements."""
        self.run((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
        found = self.driver.execute_async_script("axe.run(document).then(arguments[0], (e) => arguments[0](String(e)))")
        assert isinstance(found, dict), found
        assert found["passes"], "axe looked at nothing"
        return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found["violations"]]

    def text(self, selector: str) -> str:
        """Return the text of an element, as it is seen."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def wait(self, what: str, condition: Callable[[], Any]) -> Any:
        """Wait until something is so, and return it."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, PATIENCE_S, poll_frequency=0.05).until(lambda _: condition(), what)

    def wait_for(self, selector: str, text: str) -> None:
        """Wait until an element has this in its text."""
        self.wait(f"{text!r} in {selector}", lambda: text in self.text(selector))

    def complaints(self) -> list[str]:
        """Return what the console says since the last call, errors and warnings."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def picture(self, path: Path, part: tuple[float, float, float, float] | None = None) -> None:
        """Save what is seen, or a part of it, in CSS pixels: left, top, right, bottom."""
        path.parent.mkdir(parents=True, exist_ok=True)
        clip = {}
        if part is not None:
            left, top, right, bottom = part
            clip = {"clip": {"x": left, "y": top, "width": right - left, "height": bottom - top, "scale": 1}}
        png = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", **clip})["data"]
        path.write_bytes(base64.b64decode(png))
