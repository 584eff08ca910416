"""How long a page of a year's events takes to list: ``python -m tests.keeper.year`` makes a million and says."""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from audiomon.keeper.index import Index
from audiomon.keeper.store import Store
from tests.keeper.offers import NOW_NS, event, keep, offer, opened

YEAR_NS = 365 * 86_400_000_000_000
LABELS = [f"label {number}" for number in range(20)]
QUESTIONS = {
    "the newest 100": {},
    "100 in the middle": {"before": (NOW_NS - YEAR_NS // 2, 1 << 60)},
    "the oldest 100": {"before": (NOW_NS - YEAR_NS + YEAR_NS // 1000, 1 << 60)},
    "100 of one label": {"labels": ("label 7",)},
    "100 of a label that is there five times": {"labels": ("rare",)},
    "100 of three labels, in the middle": {"labels": tuple(LABELS[:3]), "before": (NOW_NS - YEAR_NS // 2, 1 << 60)},
    "100 with a clip": {"only": "clips"},
    "those that nobody has reviewed": {"only": "unreviewed"},
    "those that are locked": {"only": "locked"},
}


def ask(index: Index, **question) -> list:
    arguments = {"labels": (), "only": "all", "since_ns": 0, "before": None, "limit": 100} | question
    return index.events(*arguments.values())


def fill(store: Store, count: int) -> None:
    """Enter events of a year, as the keeper would, but all in one transaction."""
    store.keep(offer(event("first", NOW_NS - YEAR_NS), reason="never"), None)
    database = store.index._database
    database.execute("BEGIN")
    step_ns = YEAR_NS // count
    labels = ("rare" if number % (count // 5) == 7 else LABELS[number % 20] for number in range(count))
    database.executemany(
        "INSERT INTO events (time_ns, label, score, duration_s, listener, outcome, reason) "
        "VALUES (?, ?, 0.9, 1.5, 1, 'refused', 'speech 0.41')",
        ((NOW_NS - YEAR_NS + number * step_ns, label) for number, label in enumerate(labels)),
    )
    database.execute("COMMIT")
    for number in range(50):
        keep(store, event("label 7", NOW_NS - number * 10**9))


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = opened(Path(folder))
        fill(store, count)
        size = sum(path.stat().st_size for path in Path(folder).glob("index.sqlite*"))
        print(f"{count} events, {size / 1e6:.0f} MB")
        for name, question in QUESTIONS.items():
            took_s = []
            for _ in range(5):
                began_s = time.perf_counter()
                found = ask(store.index, **question)
                took_s.append(time.perf_counter() - began_s)
            print(
                f"{name:<42} {len(found):>4} {statistics.median(took_s) * 1e3:8.2f} ms, at most {max(took_s) * 1e3:.2f}"
            )
        store.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
