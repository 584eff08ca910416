"""The command line: one file per command, loaded only when it is the one that was asked for.

Here, and nowhere else, errors become one line on stderr and an exit status: 0 done, 1 failed, 2 the user's mistake.
"""

import os
import sys
from typing import NoReturn

import click

from audiomon import __version__
from audiomon.cli.lazy import LazyGroup
from audiomon.errors import AudiomonError

# See LazyGroup.
_COMMANDS = {
    "run": ("audiomon.cli.run:run", "Listen, and say what is heard."),
    "reload": ("audiomon.cli.reload:reload", "Have the running listener apply its configuration."),
    "status": ("audiomon.cli.status:status", "Show what the running listener hears, and how well."),
    "feed": ("audiomon.cli.feed:feed", "Show what programs that follow the running listener get."),
    "link": ("audiomon.cli.link:link", "Tell the network what is heard: MQTT and Home Assistant."),
    "report": ("audiomon.cli.report:report", "Sum up what the journal says was heard."),
    "classify": ("audiomon.cli.classify:classify", "Say what is heard in audio files."),
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
def cli() -> None:
    """Listen through a microphone and say what is heard.

    \b
    Begin with:
      audiomon run                 listen to the default microphone
      audiomon classify FILE…      the same for recordings
    """


def main() -> NoReturn:
    """Run the command line and exit."""
    # Before NumPy is imported: these matrices are small, and more BLAS threads make everything slower.
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    try:
        status = cli.main(prog_name="audiomon", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f" (see {context.command_path} --help)" if context else ""
        click.echo(f"audiomon: {error.format_message().rstrip('.')}{hint}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except AudiomonError as error:
        click.echo(f"audiomon: {error}", err=True)
        sys.exit(error.exit_status)
    sys.exit(status if isinstance(status, int) else 0)
