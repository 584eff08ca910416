"""``audiomon bench``: measurements, one command each."""

import sys

import click

from audiomon.cli.lazy import LazyGroup

_COMMANDS = {
    "models": ("audiomon.cli.bench_models:models", "A model's call in every way, from model.predict to TFLite."),
    "explain": ("audiomon.cli.bench_explain:explain", "Where the factor between model.predict and TFLite goes."),
    "pipeline": ("audiomon.cli.bench_pipeline:pipeline", "What processing sound costs, beside its bare arithmetic."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def bench() -> None:
    """Measure what models and their processing cost on this machine.

    \b
    Examples:
      audiomon bench pipeline
      audiomon bench explain
    """


def say(what: str) -> None:
    """Show on a terminal what is being measured now; wipe it with an empty line."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{what}", nl=False, err=True)
