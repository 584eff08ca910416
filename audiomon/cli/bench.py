"""``audiomon bench``: measurements, one command each."""

import sys

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


def say(what: str) -> None:
    """Show on a terminal what is being measured now; wipe it with an empty line."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{what}", nl=False, err=True)
