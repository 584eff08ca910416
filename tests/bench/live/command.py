"""``python -m tests.bench live``: what listening on a microphone costs, as ratios measured in one run."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Literal

import click

from audiomon.cli.bench import say
from audiomon.cli.settings import interpreter_option, model_option
from audiomon.lab.bench.pipeline.figures import table
from audiomon.lab.bench.pipeline.measure import figures
from audiomon.lab.bench.pipeline.plan import chosen_backends, log_mel_package
from audiomon.models.interpreter import Backend
from tests.bench.live.measure import live_figures
from tests.bench.live.plan import LivePlan
from tests.bench.microphone import device_option
from tests.bench.peers.contests import tutorial_environment
from tests.bench.peers.environments import cache_folder, existing


@click.command()
@model_option
@interpreter_option
@device_option
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Figures are medians over these.")
@click.option(
    "--seconds", type=click.FloatRange(1), default=8, show_default=True, help="Seconds on the microphone, each time."
)
@click.option(
    "--loop-python",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Python with librosa for the tutorial loop; otherwise this one, if it has it, or that of `peers`.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all figures instead of a table.")
def live(
    model: str | None,
    interpreter: Literal["auto", "litert", "tflite-runtime"] | None,
    device: str | None,
    rounds: int,
    seconds: float,
    loop_python: Path | None,
    as_json: bool,
) -> None:
    """Measure all of listening: `audiomon bench pipeline`, then the same on a microphone beside the usual loop.

    Contenders take turns, each in a process of its own. Takes about five minutes.

    \b
    Examples:
      python -m tests.bench live
      python -m tests.bench live --interpreter litert --device usb --json
    """
    folder, spec = log_mel_package(model)
    backends = chosen_backends(interpreter)
    plan = LivePlan(
        folder=folder,
        spec=spec,
        backends=backends,
        rounds=rounds,
        bursts=10,
        speed_s=60 * seconds,
        live_s=seconds,
        device=device,
        loop_python=loop_python or _python_with_librosa(backends[0]),
    )
    measured = [*figures(plan, say), *live_figures(plan, say)]
    say("")
    if as_json:
        click.echo(json.dumps({**plan.facts(), "figures": [figure.to_json() for figure in measured]}, indent=1))
    else:
        click.echo(table(measured))


def _python_with_librosa(backend: Backend) -> Path | None:
    """Return this Python, or the one that `peers` has set up; None if neither has librosa."""
    if importlib.util.find_spec("librosa"):
        return Path(sys.executable)
    return existing(tutorial_environment(backend), cache_folder())
