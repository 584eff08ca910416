"""Feed a target with damage: ``python -m tests.fuzz config --cases 100000``.

Cases are made from seeds and run in processes forked from this one; a case is known by its number, and
``--only NUMBER`` shows it and its end. ``--guided`` has atheris choose the damage by what code it reaches, in this
process, which ends with the first finding (``pip install atheris``; it cannot see into an interpreter of models).
"""

import sys
import tempfile
from pathlib import Path

import click

_TARGETS = ("config", "manifest", "model", "bare", "audio", "stdin", "wants", "feed", "link", "requests", "clips")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar="TARGET…", type=click.Choice(_TARGETS))
@click.option("--cases", default=100_000, show_default=True, help="How many of each.")
@click.option("--first", default=0, show_default=True, help="Number of the first.")
@click.option("--only", type=int, help="Show this case and what comes of it.")
@click.option("--guided", is_flag=True, help="Let atheris look for new paths.")
def fuzz(names: tuple[str, ...], cases: int, first: int, only: int | None, guided: bool) -> None:
    """Feed TARGETs (all of them if none is named) with damaged input; exit status 1 if something was found.

    \b
    Examples:
      python -m tests.fuzz config manifest --cases 100000
      python -m tests.fuzz audio --only 4711
      python -m tests.fuzz config --guided --cases 1000000
    """
    if guided:
        if len(names) != 1:
            raise click.UsageError("--guided takes one target")
        _guided(names[0], cases)  # ends this process
    from tests.fuzz.campaign import campaign, case

    found = False
    for name in names or _TARGETS:
        if only is not None:
            click.echo(case(name, only))
            first, cases = only, 1
        outcome = campaign(name, first, cases, _say)
        _say("")
        ends = ", ".join(f"{count} {end}" for end, count in sorted(outcome.ends.items()))
        click.echo(
            f"{name}: {outcome.cases} cases in {outcome.seconds:.0f} s: {ends}, {len(outcome.findings)} findings"
        )
        for number, what in outcome.findings[:20]:
            click.echo(f"  case {number}: {what}")
        found = found or bool(outcome.findings)
    sys.exit(1 if found else 0)


def _say(what: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{what}", nl=False, err=True)


def _guided(name: str, cases: int) -> None:
    import atheris

    with atheris.instrument_imports(include=["audiomon"]):
        from tests.fuzz.targets import opened
    with opened(name) as target, tempfile.TemporaryDirectory() as corpus:
        for index, seed in enumerate(target.seeds):
            (Path(corpus) / f"seed-{index}").write_bytes(seed)
        options = [f"-runs={cases}", "-seed=1", "-max_len=65536", "-timeout=60", corpus]
        atheris.Setup([sys.argv[0], *options], lambda data: target.read(data, len(data)) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    fuzz()
