"""``audiomon bench pipeline``: what the offline path costs, as ratios measured in one run."""

import json
from typing import Literal

import click

from audiomon.cli.bench import say
from audiomon.cli.settings import interpreter_option, model_option
from audiomon.lab.bench.pipeline.figures import table
from audiomon.lab.bench.pipeline.measure import figures
from audiomon.lab.bench.pipeline.plan import Plan, chosen_backends, log_mel_package


@click.command()
@model_option
@interpreter_option
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Figures are medians over these.")
@click.option(
    "--seconds",
    type=click.FloatRange(10),
    default=480,
    show_default=True,
    help="Length of the recording to classify, each time.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all figures instead of a table.")
def pipeline(
    model: str | None,
    interpreter: Literal["auto", "litert", "tflite-runtime"] | None,
    rounds: int,
    seconds: float,
    as_json: bool,
) -> None:
    """Measure what processing sound costs here: beside its bare arithmetic, and in times real time.

    Contenders take turns, each in a process of its own; they disturb a machine that does something else, and are
    disturbed by it. Needs no microphone and takes about half a minute. In a checkout, `python -m tests.bench live`
    measures what listening on a microphone costs, and `python -m tests.bench peers` compares it with alternatives.

    \b
    Examples:
      audiomon bench pipeline
      audiomon bench pipeline --interpreter litert --json
    """
    folder, spec = log_mel_package(model)
    plan = Plan(folder, spec, chosen_backends(interpreter), rounds, bursts=10, speed_s=seconds)
    measured = list(figures(plan, say))
    say("")
    if as_json:
        click.echo(json.dumps({**plan.facts(), "figures": [figure.to_json() for figure in measured]}, indent=1))
    else:
        click.echo(table(measured))
