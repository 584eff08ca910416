"""``python -m tests.bench``: acceptance benchmarks, one command each. They run from a checkout alone."""

import sys

import click

from audiomon.cli.lazy import LazyGroup
from audiomon.errors import AudiomonError

_COMMANDS = {
    "peers": ("tests.bench.peers.command:peers", "audiomon beside what people would use instead."),
    "stress": ("tests.bench.stress:stress", "What a machine that is busy with other things does to listening."),
    "swap": ("tests.bench.swap:swap", "How long a saved line takes to become another model's prediction."),
    "few-clips": ("tests.bench.few_clips:few_clips", "How well a head hears that was taught with a few clips."),
    "call-cost": ("tests.bench.call_cost:call_cost", "What a call of one package's network costs beside another's."),
    "live": ("tests.bench.live.command:live", "What listening on a microphone costs, beside its alternatives."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def bench() -> None:
    """Measure what audiomon must reach on this machine."""


if __name__ == "__main__":
    try:
        bench(prog_name="python -m tests.bench")
    except AudiomonError as error:
        click.echo(f"tests.bench: {error}", err=True)
        sys.exit(error.exit_status)
