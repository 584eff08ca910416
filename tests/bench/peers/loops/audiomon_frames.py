"""audiomon's front end alone: log-mel frames and nothing after them."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from audiomon.audio.mono import MonoStream
from audiomon.clock import SystemClock
from audiomon.features import LogMelSpec
from audiomon.pipeline.windows import Window, open_windows
from tests.bench.peers.loops.reading import ReadSource


def answers(read: Callable[[int], bytes], spec: dict[str, Any], hop_s: float) -> Iterator[Window | None]:
    """Yield windows of frames as the spec, a dictionary of `LogMelSpec`'s fields, describes them."""
    described = msgspec.convert(spec, LogMelSpec)
    stream = MonoStream(ReadSource(read, described.sample_rate), described.sample_rate)
    windows = open_windows(stream, described, hop_s, SystemClock())
    while True:
        yield windows.next()
