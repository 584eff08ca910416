"""A listener's feed that ends as it should not: the link says why, in its own words, and follows the next one."""

import asyncio
from pathlib import Path

import pytest

from audiomon.link.feeds import Follower
from audiomon.link.state import State
from audiomon.outputs.feed_protocol import MAX_LINE_BYTES
from tests.link.heard import Said
from tests.waiting import PATIENCE_S


async def why_two_connections_ended(path: Path, sent: bytes) -> list[str]:
    """Follow a listener that sends the same twice and hangs up."""
    state, ended = State(Said()), asyncio.Queue()
    served = 0

    async def serve(reader, writer):
        nonlocal served
        await reader.readline()  # what is wanted; left unread, it would make the end a reset
        served += 1
        writer.write(sent)
        try:
            await writer.drain()
        finally:
            writer.close()

    lose = state.lose
    state.lose = lambda listener, problem: (lose(listener, problem), ended.put_nowait(listener.problem))
    async with await asyncio.start_unix_server(serve, path):
        following = asyncio.create_task(Follower(path, state).run())
        problems = [await asyncio.wait_for(ended.get(), PATIENCE_S) for _ in range(2)]
        following.cancel()
    assert served == 2
    return problems


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "the connection was closed"),
        (b'{"type":"hel', "the connection was closed"),
        (b'{"type":"event"}\n', "not a line of the feed: Object missing required field"),
        (b"\x1b[2J\n", "not a line of the feed: JSON is malformed"),
        (b"x" * (MAX_LINE_BYTES + 2), f"a line is longer than {MAX_LINE_BYTES} bytes"),
    ],
    ids=["nothing", "half a line", "half a message", "no JSON", "too long"],
)
def test_a_feed_that_breaks_off_is_named_for_what_it_did_and_followed_again(tmp_path, sent, why):
    path = tmp_path / "attic.sock"
    problems = asyncio.run(why_two_connections_ended(path, sent))
    assert [problem.startswith(f"{path}: {why}") for problem in problems] == [True, True], problems
    assert all(problem.isprintable() for problem in problems)
