"""audiomon itself: samples, windows, scores, decisions, prediction, as ``audiomon run`` does them."""

from collections.abc import Callable, Iterator
from pathlib import Path

from audiomon.clock import SystemClock
from audiomon.config import Decisions, decision_rules
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import Backend
from audiomon.models.package import read_package
from audiomon.pipeline.listener import Heard, Listener
from tests.bench.peers.loops.reading import ReadSource


def answers(read: Callable[[int], bytes], model: str, backend: Backend, hop_s: float) -> Iterator[Heard | None]:
    """Yield what each window of the model package led to."""
    package = read_package(Path(model))
    listener = Listener(
        ReadSource(read, package.manifest.input.sample_rate),
        Classifier(package, backend),
        decision_rules(package.manifest.labels, package.manifest.decisions, Decisions()),
        hop_s=hop_s,
        channel="mix",
        clock=SystemClock(),
    )
    while True:
        yield listener.next()
