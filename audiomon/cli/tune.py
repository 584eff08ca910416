"""``audiomon tune``: what other thresholds would have given, by the scores in the journal."""

from datetime import datetime
from pathlib import Path

import click
import msgspec

from audiomon.cli.report import since_option, until_option
from audiomon.cli.settings import config_option, instance_option, model_option
from audiomon.config.settings import load_settings
from audiomon.diagnostics.journal_entries import read_entries
from audiomon.diagnostics.tune import LEVELS, Given, Tuned, steady_level, threshold_at, tune
from audiomon.errors import UserError
from audiomon.foreign import shown
from audiomon.pipeline.loading import named_package, rules_for

_MAX_LABEL = 40


@click.command("tune")
@click.argument("labels", nargs=-1, metavar="[LABEL]…")
@since_option
@until_option
@instance_option
@model_option
@config_option
@click.option("--directory", type=click.Path(path_type=Path, exists=True, file_okay=False), help="As for `report`.")
@click.option("--host", help="As for `report`.")
def tune_(
    labels: tuple[str, ...],
    since: datetime,
    until: datetime | None,
    instance: str,
    model: str | None,
    config_path: Path | None,
    directory: Path | None,
    host: str | None,
) -> None:
    """Say how many events each threshold would have given, and which line of YAML to write.

    For each LABEL, or for all that any of them would have turned on. The journal must have the scores: listen for an
    evening with `journal: {predictions: every}`.

    \b
    Examples:
      sudo audiomon tune --since 18:00
      sudo audiomon tune dog_bark --since yesterday
    """
    settings = load_settings(config_path, model=model)
    package = named_package(settings)
    rules = rules_for(package, settings)
    if unknown := [label for label in labels if label not in rules.thresholds]:
        raise UserError(f"{shown(unknown[0])}: makes no events with {settings.source} and {package.manifest.name}")
    entries = read_entries(instance, since, until, directory, host)
    found = tune(entries, package.manifest.name, package.manifest.labels, rules)
    asked = labels or tuple(sorted(label for label, given in found.at.items() if any(one.events for one in given)))
    click.echo("\n".join(_table(found, asked)))
    lines = []
    for label in asked:
        level = steady_level(found.at[label])
        if level is not None and level != rules.thresholds[label].on:
            threshold = threshold_at(level, rules.thresholds[label])
            lines.append(f"    {_key(label)}: {{on: {threshold.on:g}, off: {threshold.off:g}}}")
    if lines:
        place = settings.document.path if settings.document else "audiomon.yaml"
        click.echo(
            "\nWhere the number of events changes least from one threshold to the next. Count what there really was, "
            f"choose the column that comes nearest, and write into {place}:\n\ndecisions:\n  labels:\n"
            + "\n".join(lines)
        )


def _table(found: Tuned, labels: tuple[str, ...]) -> list[str]:
    lines = [
        f"{found.predictions} predictions over {found.hours:.1f} h"
        + (f", {found.others} left out: of another model, or not to be read" if found.others else "")
        + ". Events, and minutes on:",
        "",
    ]
    if not labels:
        return [*lines, f"no label would have turned on, not even at {LEVELS[0]:g}"]
    width = max(len("on:"), *(len(shown(label, _MAX_LABEL)) for label in labels))
    lines.append(f"{'on:':<{width}}  " + "  ".join(f"{text:>11}" for text in ("now", *(f"{x:g}" for x in LEVELS))))
    for label in labels:
        cells = [_cell(one) for one in (found.now[label], *found.at[label])]
        lines.append(f"{shown(label, _MAX_LABEL):<{width}}  " + "  ".join(f"{cell:>11}" for cell in cells))
    return lines


def _cell(given: Given) -> str:
    return f"{given.events} {given.on_s / 60:6.1f}" if given.events else "-"


def _key(label: str) -> str:
    """Write a label as a key in YAML: a string in JSON is one too."""
    plain = label.replace("_", "").isalnum() and label[:1].isalpha()
    return label if plain else msgspec.json.encode(label).decode()
