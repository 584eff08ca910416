"""The command line: one file per command, loaded only when it is the one that was asked for.

Here, and nowhere else, errors become one line on stderr and an exit status: 0 done, 1 failed, 2 the user's mistake.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import click

from audiomon import __version__
from audiomon.cli.lazy import LazyGroup
from audiomon.cli.terminal_text import discard_output, open_streams, say
from audiomon.errors import AudiomonError
from audiomon.foreign import escaped

_Handler = Callable[[int, FrameType | None], None]

# A disk that is full, a quota that is used up, a device that fails.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

# See LazyGroup.
_COMMANDS = {
    "run": ("audiomon.cli.run:run", "Listen, and say what is heard."),
    "reload": ("audiomon.cli.reload:reload", "Have the running listener apply its configuration."),
    "status": ("audiomon.cli.status:status", "Show what the running listener hears, and how well."),
    "feed": ("audiomon.cli.feed:feed", "Show what programs that follow the running listener get."),
    "link": ("audiomon.cli.link:link", "Tell the network what is heard: MQTT and Home Assistant."),
    "clips": ("audiomon.cli.clips:clips", "Hear what was kept again, correct it, and train on it."),
    "report": ("audiomon.cli.report:report", "Sum up what the journal says was heard."),
    "tune": ("audiomon.cli.tune:tune_", "Say what other thresholds would have given."),
    "classify": ("audiomon.cli.classify:classify", "Say what is heard in audio files."),
    "query": ("audiomon.cli.query:query", "Ask what was heard in an archive of audio files."),
    "devices": ("audiomon.cli.devices:devices", "List the microphones."),
    "doctor": ("audiomon.cli.doctor:doctor", "Say what is wrong, and what to do; pack a bug report."),
    "check": ("audiomon.cli.check:check", "Check configuration, model and microphone."),
    "models": ("audiomon.cli.models:models", "List and show model packages."),
    "record": ("audiomon.cli.record:record", "Record labelled clips to train on."),
    "train": ("audiomon.cli.train:train", "Train a model on your own recordings."),
    "evaluate": ("audiomon.cli.evaluate:evaluate", "Judge a model on labelled recordings."),
    "convert": ("audiomon.cli.convert:convert", "Turn a Keras model into a model package, and prove it."),
    "bench": ("audiomon.cli.bench:bench", "Measure here what listening and models cost, and explain it."),
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="audiomon")
@click.pass_obj
def cli(on_interrupt: _Handler | None) -> None:
    """Listen through a microphone and say what is heard.

    \b
    Begin with:
      audiomon run                 listen to the default microphone
      audiomon classify FILE…      the same for recordings
    """
    if on_interrupt is not None:
        # The command is imported, and may have something to lose.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def main(on_interrupt: _Handler | None = None) -> NoReturn:
    """Run the command line and exit.

    Args:
        on_interrupt: what handles Ctrl-C while nothing can be lost: now, and when the command has ended.
    """
    # Before NumPy is imported: these matrices are small, and more BLAS threads make everything slower.
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    open_streams()
    status = _status(on_interrupt)
    if on_interrupt is not None:
        signal.signal(signal.SIGINT, on_interrupt)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    except OSError as error:
        status = _not_written(error)
    sys.exit(status)


def _status(on_interrupt: _Handler | None) -> int:
    """Run what was asked for; its exit status."""
    try:
        status = cli.main(prog_name="audiomon", standalone_mode=False, obj=on_interrupt)
    except click.ClickException as error:
        _say_misuse(error)
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        status = 130
    except AudiomonError as error:
        say(f"audiomon: {error}")
        status = error.exit_status
    except BrokenPipeError:
        discard_output()
        status = 0
    except OSError as error:
        status = _not_written(error)
    return status if isinstance(status, int) else 0


def _say_misuse(error: click.ClickException) -> None:
    """Say in one line what is wrong with the command; or how it is used, if it lacks everything."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        say(error.format_message())
        return
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f" (see {context.command_path} --help)" if context else ""
    say(f"audiomon: {escaped(error.format_message().rstrip('.'))}{hint}")


def _not_written(error: OSError) -> int:
    """Say in one line what the machine did not allow."""
    discard_output()
    if error.errno not in _NO_ROOM:
        where = "" if error.filename is None else f"{escaped(os.fsdecode(error.filename))}: "
        say(f"audiomon: {where}{error.strerror or error}")
    elif error.filename is None:
        say(f"audiomon: what it says cannot be written: {error.strerror}")
    else:
        say(f"audiomon: {escaped(os.fsdecode(error.filename))}: cannot be written: {error.strerror}")
    return AudiomonError.exit_status
