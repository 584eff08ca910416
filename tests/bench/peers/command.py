"""``python -m tests.bench peers``: audiomon beside what people would use instead."""

import json
import tempfile
from pathlib import Path
from typing import Literal

import click

from audiomon.cli.bench import say
from audiomon.cli.settings import interpreter_option, model_option
from audiomon.lab.bench.pipeline.plan import Plan, chosen_backends, log_mel_package
from tests.bench.peers.contest import Effort, run_contests
from tests.bench.peers.contests import contests, write_sounds
from tests.bench.peers.environments import cache_folder
from tests.bench.peers.table import document, table

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@model_option
@interpreter_option
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Figures are medians over these.")
@click.option(
    "--seconds", type=click.FloatRange(1), default=8, show_default=True, help="Seconds of sound in every turn."
)
@click.option("--yamnet", type=_FILE, help="The YAMNet file that MediaPipe uses, to compare on it too.")
@click.option("--audio", type=_FILE, help="A recording to hear; otherwise generated sound.")
@click.option(
    "--environments",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the environments of what is compared.  [default: ~/.cache/audiomon/peers]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all figures instead of a table.")
def peers(
    model: str | None,
    interpreter: Literal["auto", "litert", "tflite-runtime"] | None,
    rounds: int,
    seconds: float,
    yamnet: Path | None,
    audio: Path | None,
    environments: Path | None,
    as_json: bool,
) -> None:
    """Measure audiomon beside the tutorial's loop, MediaPipe, a plain loop, pyopen-wakeword and pymicro-features.

    All process the same sound from memory, without a microphone. The first run installs their environments in a
    folder of their own (about 1.5 GB, from PyPI); delete it to undo that.

    \b
    Examples:
      python -m tests.bench peers
      python -m tests.bench peers --yamnet yamnet.tflite --json
    """
    folder, spec = log_mel_package(model)
    plan = Plan(folder, spec, chosen_backends(interpreter), rounds, bursts=10, speed_s=60 * seconds)
    with tempfile.TemporaryDirectory(prefix="audiomon-bench-") as scratch:
        listed, absent = contests(plan, yamnet, Path(scratch))
        sounds = write_sounds(listed, audio, Path(scratch))
        effort = Effort(plan.rounds, plan.bursts, seconds)
        results, left_out = run_contests(listed, sounds, effort, environments or cache_folder(), _tell, say)
    say("")
    if as_json:
        facts = {**plan.facts(), "seconds": seconds, "figures": [], "interpreter": plan.backends[0]}
        click.echo(json.dumps({**facts, **document(results, absent + left_out)}, indent=1))
    else:
        click.echo(table(results, absent + left_out))


def _tell(what: str) -> None:
    say("")
    click.echo(f"tests.bench: {what}", err=True)
