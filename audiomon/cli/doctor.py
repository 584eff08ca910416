"""``audiomon doctor``: what is wrong, in words, and what to do; and a bundle for a bug report."""

from collections.abc import Iterator
from pathlib import Path

import click

from audiomon.cli.clips_outlook import look_at_clips
from audiomon.cli.settings import config_option, instance_option
from audiomon.clock import SystemClock
from audiomon.config.settings import SYSTEM_CONFIG, Settings, load_settings
from audiomon.diagnostics.doctor.bundle import bundle_contents, write_bundle
from audiomon.diagnostics.doctor.finding import Finding
from audiomon.diagnostics.doctor.listening import look_at_microphone, look_at_model
from audiomon.diagnostics.doctor.machine import look_at_clock, look_at_journal, look_at_power, look_at_rights
from audiomon.errors import AudiomonError, UserError
from audiomon.link.settings import LINK_CONFIG, load_link_config
from audiomon.link.status import read_link_status
from audiomon.outputs.snapshot import FILE, Snapshot
from audiomon.runtime_files import FIRST_INSTANCE, find_runtime, read_runtime, unit_of

_COLOURS = {"ok": "green", "note": "yellow", "wrong": "red"}
# The sample rate to listen to a microphone at when there is no model to ask.
_SOME_RATE = 22_050


@click.command()
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also pack what a bug report needs into FILE (.tar.gz): versions, configuration without secrets, devices, the "
    "last 1000 lines of the journal. No audio.",
)
@instance_option
@config_option
def doctor(bundle: Path | None, instance: str, config_path: Path | None) -> int:
    """Look for what is wrong: microphone, level, sample rate, rights, model, clips, clock, journal, power, temperature.

    Listens to the microphone for two seconds. Exit status 0: nothing is wrong; 1: something is.

    \b
    Examples:
      audiomon doctor
      sudo audiomon doctor --bundle audiomon-bug.tar.gz
      sudo audiomon doctor -u kitchen
    """
    if config_path is None and instance != FIRST_INSTANCE:
        config_path = SYSTEM_CONFIG.with_name(f"{instance}.yaml")
    report: list[str] = []
    wrong = False
    for finding in _findings(instance, config_path):
        wrong |= finding.level == "wrong"
        lines = [f"{finding.level:<6} {finding.about:<12} {finding.what}"]
        lines += [f"{'':<6} {'':<12} → {finding.advice}"] if finding.advice else []
        report += lines
        click.echo(click.style(lines[0][:6], fg=_COLOURS[finding.level]) + "\n".join(lines)[6:])
    if bundle is not None:
        settings = _settings(config_path)
        document = settings.document if isinstance(settings, Settings) else None
        config = document.path if document else config_path
        write_bundle(bundle, bundle_contents(config, instance, "\n".join(report) + "\n"))
        click.echo(f"\nPacked into {bundle}; look through it before you send it: it says what was heard, and when.")
    return 1 if wrong else 0


def _settings(config_path: Path | None) -> Settings | AudiomonError:
    try:
        return load_settings(config_path)
    except AudiomonError as error:
        return error


def _findings(instance: str, config_path: Path | None) -> Iterator[Finding]:
    """Look at one thing after the other: as each takes a moment, what is found is shown at once."""
    clock = SystemClock()
    yield look_at_clock()
    yield from look_at_power()
    if (rights := look_at_rights()) is not None:
        yield rights
    yield from _service(instance)
    yield from _link()
    settings = _settings(config_path)
    if not isinstance(settings, Settings):
        yield Finding("wrong", "config", str(settings), "fix that line; `audiomon check` says when it is right")
        return
    yield Finding("ok", "config", settings.source)
    model, classifier = look_at_model(settings, clock)
    yield model
    if classifier is not None and (clips := look_at_clips(settings, classifier, instance)) is not None:
        yield clips
    hop_s = settings.config.asked_hop_s(classifier.spec.window_s) if classifier else settings.config.hop_s
    entries_per_s = 1 / hop_s if settings.config.journal.predictions == "every" else 0.1
    yield from look_at_journal(entries_per_s)
    yield from look_at_microphone(settings, classifier.spec.sample_rate if classifier else _SOME_RATE, clock)


def _service(instance: str) -> Iterator[Finding]:
    try:
        found = read_runtime(find_runtime(None, FILE, instance), FILE, Snapshot)
    except UserError as error:
        yield Finding("note", "service", str(error))
        return
    if not Path(f"/proc/{found.pid}").exists():
        yield Finding("note", "service", "it is not running", f"`sudo systemctl start {unit_of(instance)}`")
    elif found.refused:
        yield Finding("wrong", "service", f"goes on as before, since it refuses: {found.refused}", "fix it and save")
    elif found.reason:
        yield Finding(
            "wrong",
            "service",
            f"{found.health}: {found.reason}",
            f"`journalctl -u {unit_of(instance)} -x -n 50` says more",
        )
    else:
        shed = f", {found.windows_shed} windows shed" if found.windows_shed else ""
        yield Finding("ok", "service", f"{found.health}, {found.lost} samples lost{shed}")


def _link() -> Iterator[Finding]:
    """Look at what tells the network, where that is installed."""
    try:
        found = read_link_status()
        if found is None and not LINK_CONFIG.exists():
            return
        if LINK_CONFIG.exists():
            load_link_config(LINK_CONFIG)
    except UserError as error:
        yield Finding("wrong", "link", str(error), "`journalctl -u audiomon-link -x -n 50` says more")
        return
    if found is None:
        yield Finding("note", "link", "it is not running", "`sudo systemctl start audiomon-link`")
    elif found.problems:
        for problem in found.problems:
            yield Finding("wrong", "link", problem, "`journalctl -u audiomon-link -x -n 50` says more")
    else:
        yield Finding("ok", "link", found.line)
