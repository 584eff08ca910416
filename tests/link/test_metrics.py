"""The metrics: what is counted, how many labels there may be; and what Prometheus itself makes of them."""

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from audiomon.link.ledger import Ledger
from audiomon.link.metrics import MAX_LABELS, OTHER, Metrics
from audiomon.link.state import State
from audiomon.link.toggle import Toggle
from tests.link.heard import Heard, Said
from tests.link.page.serving import served, unused_port

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "audiomon.json"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def state() -> State:
    return State(Said())


@pytest.fixture
def heard(state: State) -> Heard:
    return Heard(state)


@pytest.fixture
def scraped(state: State) -> Iterator[Any]:
    """A function that scrapes."""
    metrics = Metrics(state, Ledger(), Toggle(), [])

    def scrape() -> Samples:
        text, content_type = metrics.exposition("")
        assert content_type.startswith("text/plain; version=0.0.4")
        families = text_string_to_metric_families(text.decode())
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    with state.subscribed("metrics", metrics.hear, metrics.kinds):
        yield scrape


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted({"listener": "audiomon", **labels}.items()))]


def test_predictions_events_and_time_on_are_counted_by_label(heard, scraped):
    heard.hello()
    heard.prediction({"dog_bark": 0.9, "doorbell": 0.1})
    heard.prediction({"dog_bark": 0.8, "background": 0.9})
    heard.event("dog_bark")
    samples = scraped()
    assert of(samples, "audiomon_predictions_total", label="dog_bark") == 1
    assert of(samples, "audiomon_predictions_total", label="background") == 1
    assert of(samples, "audiomon_events_total", label="dog_bark") == 1
    assert of(samples, "audiomon_label_on", label="dog_bark") == 1
    # A label that nothing was heard of is there, so that its first event is an increase.
    assert of(samples, "audiomon_events_total", label="doorbell") == 0
    heard.event("dog_bark", "off", duration_s=2.5)
    samples = scraped()
    assert of(samples, "audiomon_label_on_seconds_total", label="dog_bark") == 2.5
    assert of(samples, "audiomon_label_on", label="dog_bark") == 0


def test_times_are_in_seconds_and_in_buckets(heard, scraped):
    heard.hello()
    for inference_us in (90, 1000, 2_000_000):
        heard.prediction({"dog_bark": 0.9}, inference_us)
    samples = scraped()
    assert of(samples, "audiomon_inference_seconds_bucket", le="0.0001") == 1
    assert of(samples, "audiomon_inference_seconds_bucket", le="0.001") == 2
    assert of(samples, "audiomon_inference_seconds_bucket", le="1.0") == 2
    assert of(samples, "audiomon_inference_seconds_bucket", le="+Inf") == 3
    assert of(samples, "audiomon_inference_seconds_sum") == pytest.approx(2.00109)
    assert of(samples, "audiomon_lag_seconds_count") == 3


def test_a_model_with_ten_thousand_labels_makes_no_more_than_fifty_series_and_another(heard, scraped):
    heard.hello(labels=tuple(f"label {number}" for number in range(10_000)))
    for number in range(1000):
        heard.prediction({f"label {number}": 0.9})
        heard.event(f"label {number}")
    samples = scraped()
    for name in ("audiomon_predictions_total", "audiomon_events_total", "audiomon_label_on"):
        labels = [dict(labels)["label"] for found, labels in samples if found == name]
        assert len(labels) == MAX_LABELS + 1
        assert OTHER in labels
    assert of(samples, "audiomon_events_total", label=OTHER) == 1000 - MAX_LABELS
    assert of(samples, "audiomon_label_on", label=OTHER) == 1


def test_another_model_starts_over(heard, scraped):
    heard.hello(labels=("a",))
    heard.event("a")
    heard.hello(labels=("b",), fingerprint="another")
    assert [labels for name, labels in scraped() if name == "audiomon_events_total"] == [
        (("label", "b"), ("listener", "audiomon"))
    ]


def test_a_listener_that_is_down_is_said_to_be(heard, scraped, state):
    heard.hello()
    heard.level(-40.0)
    samples = scraped()
    assert of(samples, "audiomon_listener_up") == 1
    assert of(samples, "audiomon_health", state="listening") == 1
    assert of(samples, "audiomon_level_dbfs") == -40
    state.lose(heard.listener, "gone")
    samples = scraped()
    assert of(samples, "audiomon_listener_up") == 0
    assert of(samples, "audiomon_health", state="down") == 1
    assert ("audiomon_level_dbfs", (("listener", "audiomon"),)) not in samples


def test_the_listeners_accounts_are_its_own(heard, scraped):
    heard.hello()
    heard.state_line(lost=7, windows_shed=3, entries_lost=2)
    samples = scraped()
    assert of(samples, "audiomon_samples_lost_total") == 7
    assert of(samples, "audiomon_windows_shed_total") == 3
    assert of(samples, "audiomon_journal_entries_lost_total") == 2


def test_a_label_that_is_an_attack_is_a_label(heard, scraped):
    evil = 'a"} 1\naudiomon_fake{x="\\'
    heard.hello(labels=(evil,))
    heard.event(evil)
    samples = scraped()
    assert not any(name == "audiomon_fake" for name, _ in samples)
    assert [dict(labels)["label"] for name, labels in samples if name == "audiomon_events_total"]


def queries() -> list[str]:
    """All queries of the dashboard, with what Grafana puts into them."""
    found: list[str] = []

    def look(part: Any) -> None:
        if isinstance(part, dict):
            found.extend([part["expr"]] if "expr" in part else [])
            part = list(part.values())
        if isinstance(part, list):
            for inner in part:
                look(inner)

    look(json.loads(DASHBOARD.read_text(encoding="utf-8")))
    return [query.replace("$__rate_interval", "1m").replace("$listener", ".*") for query in found]


def test_the_dashboard_asks_for_metrics_that_there_are(heard, scraped):
    heard.hello()
    heard.level()
    heard.event("dog_bark")
    heard.prediction({"dog_bark": 0.9})
    known = {name for name, _ in scraped()} | {"audiomon_actions_total"}
    asked = {name for query in queries() for name in re.findall(r"audiomon_\w+", query)}
    assert asked <= known
    assert len(asked) > 10


@pytest.mark.prometheus
def test_promtool_and_a_real_prometheus_take_them_and_answer_every_query_of_the_dashboard(tmp_path):
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} (apt install prometheus)")

    async def script() -> None:
        async with asyncio.timeout(120), served() as page, aiohttp.ClientSession() as client:
            page.around.ledger.use(("1 ntfy",))
            page.heard.hello()
            say(page)
            async with client.get(f"{page.url}/metrics") as answer:
                text = await answer.text()
            check = ["promtool", "check", "metrics"]
            checked = await asyncio.to_thread(
                subprocess.run, check, input=text, capture_output=True, text=True, timeout=60
            )
            assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
            async with prometheus(tmp_path, page.port) as url:
                left = set(queries())
                while left:
                    say(page)
                    await asyncio.sleep(0.5)
                    for query in tuple(left):
                        if await answered(client, url, query):
                            left.discard(query)

    asyncio.run(script())


def say(page: Any) -> None:
    """Have things heard, so that every counter moves."""
    page.heard.level()
    for label in ("dog_bark", "doorbell"):
        page.heard.prediction({label: 0.9})
        page.heard.event(label)
        page.heard.event(label, "off", duration_s=0.2)
    page.around.ledger.count("1 ntfy", "done")


async def answered(client: aiohttp.ClientSession, url: str, query: str) -> bool:
    """Ask Prometheus; whether there was anything in its answer."""
    async with client.get(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}") as answer:
        found = await answer.json()
    assert found["status"] == "success", (query, found)
    return bool(found["data"]["result"])


@contextlib.asynccontextmanager
async def prometheus(folder: Path, port: int) -> Any:
    """A Prometheus that scrapes the page twice a second."""
    own = unused_port()
    config = {"scrape_configs": [{"job_name": "audiomon", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]}
    (folder / "prometheus.yml").write_text(
        json.dumps({"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}, **config})
    )
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{own}",
        "--log.level=error",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{own}"
    try:
        deadline_s = time.monotonic() + 60
        async with aiohttp.ClientSession() as client:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with client.get(f"{url}/-/ready") as answer:
                        if answer.status == 200:
                            break
                assert process.poll() is None
                assert time.monotonic() < deadline_s
                await asyncio.sleep(0.1)
        yield url
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)
