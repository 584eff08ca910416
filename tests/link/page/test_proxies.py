"""The page behind a real proxy, set up with the very text of PROXY.md."""

import asyncio
import contextlib
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from audiomon.link.page import app
from tests.link.page.serving import TOKEN, served, unused_port

MANUAL = Path(app.__file__).with_name("PROXY.md").read_text(encoding="utf-8")
NAME = "attic.example.org"


def section(title: str) -> str:
    """What PROXY.md says to write into a proxy's configuration."""
    found = re.search(rf"## {title}\n.*?```\n(.*?)```", MANUAL, re.DOTALL)
    assert found is not None
    return found[1]


def nginx(folder: Path, port: int, page: int) -> list[str]:
    text = section("nginx").replace("listen 443 ssl", f"listen 127.0.0.1:{port}").replace("8117", str(page))
    text = re.sub(r".*ssl_certificate.*\n", "", text)
    temporary = "".join(
        f"{kind}_temp_path {folder};\n" for kind in ("proxy", "client_body", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid; error_log stderr; daemon off; master_process off;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}{text}}}\n"
    )
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, port: int, page: int) -> list[str]:
    text = section("Caddy").replace(NAME, f"http://{NAME}:{port}").replace("8117", str(page))
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n}}\n{text}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@contextlib.asynccontextmanager
async def running(command: list[str], folder: Path, port: int) -> AsyncIterator[None]:
    environment = {"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/bin"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                assert process.poll() is None
                await asyncio.sleep(0.05)
        yield
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)


@pytest.mark.parametrize("proxy", [nginx, caddy])
def test_behind_a_proxy_one_logs_in_and_is_shown_at_once_what_is_heard(proxy, tmp_path, monkeypatch):
    if shutil.which(proxy.__name__, path="/usr/sbin:/usr/bin") is None:
        pytest.skip(f"no {proxy.__name__}")
    (tmp_path / "page-token").write_text(TOKEN)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    port = unused_port()

    async def script() -> None:
        async with asyncio.timeout(60), served(names=(NAME,)) as page:
            url = f"http://127.0.0.1:{port}"
            given = {"Host": f"{NAME}:{port}", "Origin": f"http://{NAME}:{port}"}
            async with (
                running(proxy(tmp_path, port, page.port), tmp_path, port),
                aiohttp.ClientSession(headers=given) as client,
            ):
                async with client.post(f"{url}/login", data={"token": TOKEN}, allow_redirects=False) as answer:
                    assert answer.status == 303
                    cookie = answer.headers["Set-Cookie"].partition(";")[0]
                page.heard.hello()
                client.headers["Cookie"] = cookie
                async with client.get(f"{url}/stream") as answer:
                    assert answer.status == 200
                    assert b'"whole"' in await answer.content.readuntil(b"\n\n")
                    page.heard.event("dog_bark")
                    # It comes at once, and not when a buffer is full.
                    assert b'"occurrence"' in await answer.content.readuntil(b"\n\n")

    asyncio.run(script())
