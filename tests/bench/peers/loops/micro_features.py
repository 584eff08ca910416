"""pymicro-features, as its documentation shows: a frame of 40 bands every 10 ms."""

from collections.abc import Callable, Iterator


def answers(read: Callable[[int], bytes], frames: int) -> Iterator[list[list[float]]]:
    """Yield so many new frames at a time, for a model to read."""
    from pymicro_features import MicroFrontend

    frontend = MicroFrontend()
    while True:
        yield [frontend.process_samples(read(160)).features for _ in range(frames)]
