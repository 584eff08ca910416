"""Entries of a journal, as the daemon writes them."""

from audiomon.diagnostics.journal_entries import Entry, Host

T0 = 1_700_000_000.0


def minute(number, counts, host="", **fields):
    predictions = sum(counts.values())
    given = {
        "predictions": str(predictions),
        "heard_s": str(predictions / 2),
        "by_label": "{" + ",".join(f'"{label}":{count}' for label, count in counts.items()) + "}",
        "level_dbfs": "-42.5",
        "model": "home",
        "instance": "audiomon",
    }
    return Entry(T0 + 60 * number, "summary", given | fields, Host(host, host))


def prediction(at_s, label, **fields):
    given = {
        "label": label,
        "score": "0.9",
        "features_us": "100",
        "inference_us": "36",
        "lag_ms": "12",
        "model": "home",
    }
    return Entry(T0 + at_s, "prediction", given | fields)
