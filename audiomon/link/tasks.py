"""Ending tasks, for certain: one that is cancelled in the moment in which what it waits for arrives may miss it."""

import asyncio
from collections.abc import Iterable

_AGAIN_S = 1.0


async def end_tasks(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel tasks until all of them have ended; what they raise is dropped."""
    tasks = tuple(tasks)
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # or asyncio would complain that nobody has asked
