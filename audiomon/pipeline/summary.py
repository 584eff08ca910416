"""A tally in words: the line a listener ends with."""

from audiomon.clock import Clock
from audiomon.pipeline.listener import Listener
from audiomon.pipeline.prediction import Status
from audiomon.pipeline.tally import Tally


def summary(tally: Tally, listener: Listener, elapsed_s: float, clock: Clock) -> Status:
    """Sum up what a listener has done.

    Args:
        tally: its totals.
        listener: for the seconds heard, and those left over.
        elapsed_s: wall time it took, in seconds.
        clock: dates the status.
    """
    heard_s = listener.position / listener.source.sample_rate
    inference, features, lag = (
        latency.percentiles() for latency in (tally.inference_us, tally.features_us, tally.lag_ms)
    )
    labels = ", ".join(f"{label} {count}" for label, count in sorted(tally.by_label.items(), key=lambda item: -item[1]))
    left_over = f", {listener.unused_s:.2f} s too short for another window" if not listener.source.live else ""
    return Status(
        "summary",
        f"{tally.predictions} predictions over {heard_s:.1f} s of audio in {elapsed_s:.1f} s"
        f"{f': {labels}' if labels else ''}; {tally.events} events; inference {inference.p50:.0f} µs "
        f"(99 %: {inference.p99:.0f}), features {features.p50:.0f} µs, lag {lag.p50:.0f} ms (99 %: {lag.p99:.0f}); "
        f"{tally.lost} samples lost{left_over}",
        clock.time_ns(),
        {
            "predictions": tally.predictions,
            "by_label": dict(tally.by_label),
            "events": tally.events,
            "lost": tally.lost,
            "heard_s": round(heard_s, 6),
            "elapsed_s": round(elapsed_s, 3),
            "features_us_p50": round(features.p50, 1),
            "features_us_p99": round(features.p99, 1),
            "inference_us_p50": round(inference.p50, 1),
            "inference_us_p99": round(inference.p99, 1),
            "lag_ms_p50": round(lag.p50, 3),
            "lag_ms_p99": round(lag.p99, 3),
        },
    )
