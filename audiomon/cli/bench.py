"""``audiomon bench``: measurements, one command each."""

import click

from audiomon.cli.lazy import LazyGroup

_COMMANDS = {
    "models": ("audiomon.cli.bench_models:models", "A model's call in every way, from model.predict to TFLite."),
    "explain": ("audiomon.cli.bench_explain:explain", "Where the factor between model.predict and TFLite goes."),
    "pipeline": (
        "audiomon.cli.bench_pipeline:pipeline",
        "What listening costs, beside its floor and its alternatives.",
    ),
    "stress": (
        "audiomon.cli.bench_stress:stress",
        "What a machine that is busy with other things does to listening.",
    ),
    "swap": (
        "audiomon.cli.bench_swap:swap",
        "How long a saved line takes to become another model's prediction.",
    ),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def bench() -> None:
    """Measure what listening costs on this machine.

    \b
    Example:
      audiomon bench pipeline
      audiomon bench swap
    """
