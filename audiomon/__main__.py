"""``python -m audiomon``, and the ``audiomon`` command. Nothing is imported here but what stops it quietly."""

import os
import signal
from types import FrameType


def _quit(_signal: int, _frame: FrameType | None) -> None:
    """End at once, with the status of a program that Ctrl-C ended. While modules are imported, nothing can be lost."""
    os._exit(130)


def main() -> None:
    """Run the command line and exit."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _quit)
    from audiomon.cli import main as run

    run(_quit)


# A process that multiprocessing spawns imports this file under another name.
if __name__ == "__main__":
    main()
