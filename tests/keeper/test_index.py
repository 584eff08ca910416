"""What a listing costs does not grow with the number of events: counted in SQLite's own steps, not in time."""

import pytest

from tests.keeper.offers import opened
from tests.keeper.year import QUESTIONS, ask, fill


def steps(folder, count: int) -> dict[str, int]:
    store = opened(folder)
    fill(store, count)
    counted = {}
    for name, question in QUESTIONS.items():
        done = [0]

        def one(done: list[int] = done) -> int:
            done[0] += 1
            return 0

        store.index._database.set_progress_handler(one, 10)
        found = ask(store.index, **question)
        store.index._database.set_progress_handler(None, 0)
        counted[name] = done[0]
        assert found or name == "those that are locked"
    store.close()
    return counted


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    return [steps(tmp_path_factory.mktemp("index"), count) for count in (4000, 40_000)]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_page_of_many_events_costs_what_one_of_few_does(counted, question):
    few, many = (of_size[question] for of_size in counted)
    assert many <= few + 200  # ten times as many events; the oldest page is shorter among few
