"""What a listener says of itself: what it listens to, and how it has fared."""

from audiomon.clock import Clock
from audiomon.pipeline.listener import Listener
from audiomon.pipeline.prediction import Facts, Status, StatusKind
from audiomon.pipeline.tally import Percentiles, Tally

# Labels named in a line; the facts have all of them.
_LABELS_NAMED = 8


def listening(listener: Listener, asked_hop_s: float, config: str, clock: Clock) -> Status:
    """Say what is listened to, with what, how often.

    Args:
        listener: what has been set up.
        asked_hop_s: seconds between predictions that were asked for; frames may not allow exactly that.
        config: where the settings came from.
        clock: dates the status.
    """
    source, classifier = listener.source, listener.classifier
    interpreter, hop_s = classifier.interpreter, listener.windows.hop_s
    resampled = f" -> {classifier.spec.sample_rate} Hz" if source.sample_rate != classifier.spec.sample_rate else ""
    labels = classifier.labels
    return Status(
        StatusKind.LISTENING,
        f"Listening to {source.name} ({source.sample_rate} Hz{resampled}) with {classifier.package.manifest.name} "
        f"({', '.join(labels[:_LABELS_NAMED])}{', …' if len(labels) > _LABELS_NAMED else ''}), "
        f"{hop_in_words(asked_hop_s, hop_s)}, {interpreter.backend} {interpreter.version}, {config}",
        clock.time_ns(),
        {
            "source": source.name,
            "sample_rate": source.sample_rate,
            "model": classifier.package.manifest.name,
            "model_sha256": classifier.package.fingerprint,
            "hop_s": round(hop_s, 6),
            "interpreter": f"{interpreter.backend} {interpreter.version}",
            "config": config,
        },
    )


def hop_in_words(asked_s: float, hop_s: float) -> str:
    """Say what became of the seconds between predictions that were asked for."""
    return f"a prediction every {hop_s:.3f} s" + (f" (asked: {asked_s:g} s)" if abs(asked_s - hop_s) > 1e-6 else "")


def summary(tally: Tally, heard_s: float, elapsed_s: float, clock: Clock, left_over_s: float | None = None) -> Status:
    """Sum up what has been done from beginning to end.

    Args:
        tally: the totals.
        heard_s: seconds of audio in all.
        elapsed_s: wall time it took, in seconds.
        clock: dates the status.
        left_over_s: seconds at the end of a recording that were too short for another window.
    """
    inference, features, lag = (
        latency.percentiles() for latency in (tally.inference_us, tally.features_us, tally.lag_ms)
    )
    left_over = "" if left_over_s is None else f", {left_over_s:.2f} s too short for another window"
    return Status(
        StatusKind.SUMMARY,
        f"{tally.predictions} predictions over {heard_s:.1f} s of audio in {elapsed_s:.1f} s"
        f"{_labels(tally)}; {tally.events} events; inference {inference.p50:.0f} µs "
        f"(99 %: {inference.p99:.0f}), features {features.p50:.0f} µs, lag {lag.p50:.0f} ms (99 %: {lag.p99:.0f}); "
        f"{_missing(tally)}{_gated(tally)}{left_over}",
        clock.time_ns(),
        {"heard_s": round(heard_s, 6), "elapsed_s": round(elapsed_s, 3), **_facts(tally)},
    )


def period_summary(tally: Tally, heard_s: float, period_s: float, level_dbfs: float | None, clock: Clock) -> Status:
    """Sum up the last minute, or however long it was.

    Args:
        tally: of that time.
        heard_s: seconds of audio heard in it.
        period_s: how long it was, in seconds.
        level_dbfs: of the input; None if nothing came in.
        clock: dates the status.
    """
    latencies = ", ".join(
        f"{name} {_slashed(latency.percentiles())} {unit}"
        for name, latency, unit in (
            ("inference", tally.inference_us, "µs"),
            ("features", tally.features_us, "µs"),
            ("lag", tally.lag_ms, "ms"),
        )
    )
    level = "no input" if level_dbfs is None else f"level {level_dbfs:.1f} dBFS"
    timed = f"; {latencies} (50 %/95 %/99 %/max)" if tally.predictions else ""
    facts: Facts = {"period_s": round(period_s, 3), "heard_s": round(heard_s, 3), **_facts(tally)}
    if level_dbfs is not None:
        facts["level_dbfs"] = round(level_dbfs, 1)
    return Status(
        StatusKind.SUMMARY,
        f"{tally.predictions} predictions in {period_s:.0f} s{_labels(tally)}; {tally.events} events{timed}; "
        f"{_missing(tally)}{_gated(tally)}; {level}",
        clock.time_ns(),
        facts,
    )


def _labels(tally: Tally) -> str:
    counts = sorted(tally.by_label.items(), key=lambda item: -item[1])
    named = ", ".join(f"{label} {count}" for label, count in counts[:_LABELS_NAMED])
    return f": {named}{', …' if len(counts) > _LABELS_NAMED else ''}" if counts else ""


def _missing(tally: Tally) -> str:
    shed = f"{tally.windows_shed} windows shed ({tally.shed} samples), " if tally.windows_shed else ""
    return f"{shed}{tally.losses.words}"


def _gated(tally: Tally) -> str:
    saved = f", which saved {tally.saved_s:.2f} s of inference" if tally.saved_s else ""
    return f"; {tally.gated} windows below the gate{saved}" if tally.gated else ""


def _slashed(latency: Percentiles) -> str:
    return "/".join(f"{value:.0f}" for value in (latency.p50, latency.p95, latency.p99, latency.max))


def _facts(tally: Tally) -> Facts:
    facts: Facts = {
        "predictions": tally.predictions,
        "by_label": dict(tally.by_label),
        "events": tally.events,
        "classified": tally.classified,
        "shed": tally.shed,
        **tally.losses.facts,
        "left_over": tally.left_over,
        "windows_shed": tally.windows_shed,
        "gated": tally.gated,
        "gate_saved_s": round(tally.saved_s, 3),
    }
    for name, latency, digits in (
        ("features_us", tally.features_us, 1),
        ("inference_us", tally.inference_us, 1),
        ("lag_ms", tally.lag_ms, 3),
    ):
        percentiles = latency.percentiles()
        for which in ("p50", "p95", "p99", "max"):
            facts[f"{name}_{which}"] = round(getattr(percentiles, which), digits)
    return facts
