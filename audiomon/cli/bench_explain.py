"""``audiomon bench explain``: where the time between ``model.predict`` and TFLite goes."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from audiomon.cli.bench import say
from audiomon.cli.bench_models import (
    benchmarked,
    model_argument,
    plot_option,
    pythons_option,
    runs_option,
    weights_option,
)
from audiomon.lab.bench.explain.experiments import explain as run_experiments
from audiomon.lab.bench.explain.text import factor_table, sentences
from audiomon.lab.bench.models.measure import interpreters_for_engines
from audiomon.lab.plots import check_plotting, plot_explanation


@click.command()
@model_argument
@weights_option
@runs_option
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="How often each one runs.")
@pythons_option
@click.option("--instructions", is_flag=True, help="Count the instructions of a TFLite call, too (needs valgrind).")
@plot_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def explain(
    model: Path | None,
    weights: Path | None,
    runs: int,
    rounds: int,
    pythons: tuple[Path, ...],
    instructions: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Explain why TFLite answers so much faster than `model.predict`: each cause by an experiment on this machine.

    The steps from predict down to TFLite with XNNPACK are factors whose product is the whole ratio. Takes about ten
    minutes; without TensorFlow, only what TFLite alone can tell.

    \b
    Example:
      audiomon bench explain --plot explain.png
    """
    if plot:
        check_plotting(plot)
    engines = interpreters_for_engines(list(pythons))
    with benchmarked(model, weights) as network:
        explanation = run_experiments(network, runs, rounds, engines, instructions, say)
    say("")
    if as_json:
        facts = {**asdict(explanation), "ratio": explanation.ratio, "answer": sentences(explanation)}
        click.echo(json.dumps(facts, indent=1))
    else:
        click.echo(factor_table(explanation))
        click.echo("\n" + "\n\n".join(sentences(explanation)))
    if plot:
        plot_explanation(explanation, plot)
