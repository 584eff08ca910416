"""A real Home Assistant, asked by its REST interface, as its own page does."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.link.processes import free_port, wait_until

FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audiomon-tests"
STARTS_S = 240


def hass() -> Path:
    """The program, where ``home_assistant.sh`` has put it."""
    found = sorted(FOLDER.glob("home-assistant-*/bin/hass"))
    if not found:
        pytest.skip("no Home Assistant here; tests/link/home_assistant.sh installs one")
    return found[-1]


class HomeAssistant:
    """One that is onboarded and has the broker.

    Args:
        folder: for all of its files.
        broker_port: on this machine.
        frontend: whether it has its own page, too.
    """

    def __init__(self, folder: Path, broker_port: int, *, frontend: bool = False) -> None:
        self._port = free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        self._folder = folder
        (folder / "configuration.yaml").write_text(
            f"http:\n  server_host: 127.0.0.1\n  server_port: {self._port}\nlogger:\n  default: warning\n"
            + ("frontend:\n" if frontend else "")
        )
        self.start()
        self._onboard(broker_port)

    def start(self) -> None:
        command = [hass(), "-c", self._folder, "--skip-pip"]
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + STARTS_S
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "output").read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.5)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(120)

    @property
    def log(self) -> str:
        return (self._folder / "home-assistant.log").read_text()

    def states(self, part: str = "") -> dict[str, dict[str, Any]]:
        """Entities whose id has this in it."""
        return {one["entity_id"]: one for one in self._ask("GET", "/api/states") if part in one["entity_id"]}

    def state(self, entity: str) -> str:
        """An entity's state; empty if there is none."""
        return self.states(entity).get(entity, {}).get("state", "")

    def wait_state(self, entity: str, *wanted: str) -> None:
        wait_until(lambda: self.state(entity) in wanted, lambda: (entity, wanted, self.states(entity)))

    @property
    def signed_in(self) -> dict[str, Any]:
        """What its page keeps of somebody who has signed in, as ``hassTokens``."""
        expires_ms = round((time.time() + self._tokens["expires_in"]) * 1000)
        return {**self._tokens, "hassUrl": self.address, "clientId": f"{self.address}/", "expires": expires_ms}

    def value_of(self, template: str) -> Any:
        """Return what a template that ends in ``to_json`` gives."""
        return self._ask("POST", "/api/template", {"template": template})

    def end_onboarding(self) -> None:
        """Answer what the page would ask for first."""
        client = f"{self.address}/"
        for step in ("core_config", "analytics"):
            self._ask("POST", f"/api/onboarding/{step}", {})
        self._ask("POST", "/api/onboarding/integration", {"client_id": client, "redirect_uri": client})

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.address}/manifest.json", timeout=5).close()
        except OSError:
            return False
        return True

    def _onboard(self, broker_port: int) -> None:
        client = f"{self.address}/"
        user = {"client_id": client, "name": "test", "username": "test", "password": "for a test", "language": "en"}
        code = self._request("POST", "/api/onboarding/users", user)["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": client}
        self._tokens = self._request("POST", "/auth/token", form, form=True)
        self._refreshed_s = time.monotonic()
        flow = self._ask("POST", "/api/config/config_entries/flow", {"handler": "mqtt", "show_advanced_options": False})
        entry = {"broker": "127.0.0.1", "port": broker_port}
        done = self._ask("POST", f"/api/config/config_entries/flow/{flow['flow_id']}", entry)
        assert done["type"] == "create_entry", done

    def _ask(self, method: str, path: str, content: Any = None) -> Any:
        return self._request(method, path, content, token=self._tokens["access_token"])

    def _request(self, method: str, path: str, content: Any = None, *, form: bool = False, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = None
        if content is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded" if form else "application/json"
            body = (urllib.parse.urlencode(content) if form else json.dumps(content)).encode()
        request = urllib.request.Request(self.address + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
