"""``audiomon record``: labelled clips from the microphone, to train on."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from audiomon.audio.recorder import BEFORE_S, Recorder, Take, write_take
from audiomon.cli.settings import config_option
from audiomon.clock import SystemClock
from audiomon.config.settings import load_settings
from audiomon.errors import UserError

_QUIETEST_SHOWN_DBFS = -70.0
_METER_WIDTH = 40


@click.command()
@click.argument("label")
@click.option(
    "-o", "--to", "dataset", type=click.Path(path_type=Path, file_okay=False), default="recordings", show_default=True,
    help="Data set: clips go to its folder LABEL.",
)  # fmt: skip
@click.option("-n", "--count", type=click.IntRange(1), default=1, show_default=True, help="Clips to record.")
@click.option(
    "--seconds", type=click.FloatRange(0.2, 3600), default=5.0, show_default=True, help="Length of each clip."
)
@click.option("--on-sound", is_flag=True, help="Begin when something is heard, and keep half a second before it.")
@click.option("--countdown", type=click.IntRange(0, 60), default=3, show_default=True, help="Seconds before each clip.")
@click.option("-d", "--device", help="Microphone: a name, part of a name, or a number from `audiomon devices`.")
@click.option("--rate", type=click.IntRange(8000, 192_000), default=22_050, show_default=True, help="Hz.")
@config_option
def record(
    label: str,
    dataset: Path,
    count: int,
    seconds: float,
    on_sound: bool,
    countdown: int,
    device: str | None,
    rate: int,
    config_path: Path | None,
) -> None:
    """Record clips of LABEL from the microphone into DATASET/LABEL/, as FLAC. Nothing is ever overwritten.

    Record what is usually heard, too, as `background`. Clips of one session count as one source: `audiomon train` never
    learns from some of them and is judged on others, so record on several days and in several places.

    \b
    Examples:
      audiomon record doorbell --count 10
      audiomon record dog_bark --on-sound --seconds 3 --count 20
      audiomon record background --seconds 60 --to recordings
    """
    if not label.strip() or label.startswith(".") or "/" in label or "\0" in label:
        raise UserError(f"LABEL {label!r} cannot be a folder's name; letters, digits and _ will do, as in dog_bark")
    if on_sound and seconds <= BEFORE_S:
        raise UserError(f"--seconds {seconds:g}: with --on-sound, {BEFORE_S:g} s of it come before the sound")
    from audiomon.audio.microphone import MicrophoneSource
    from audiomon.audio.stream import is_stream
    from audiomon.daemon.opening import open_microphone

    settings = load_settings(config_path).with_options(device=device, predictions=None)
    named = settings.config.microphone.device
    source = (
        open_microphone(settings, rate, SystemClock())
        if is_stream(named)
        else MicrophoneSource(named, sample_rate=rate, channels=1)
    )
    session = time.strftime("%Y%m%d-%H%M%S")
    meter = _Meter()
    click.echo(f"Recording {label} from {source.name} ({source.sample_rate} Hz); Ctrl-C ends", err=True)
    recorder = Recorder(source, seconds)
    recorded = 0
    try:
        while recorded < count:
            take = _take(recorder, f"{label} {recorded + 1}/{count}", on_sound, countdown, meter)
            if take.lost:
                click.echo(f"audiomon: {take.lost} samples were lost; recording this one again", err=True)
                continue
            path = write_take(take, dataset / label, session)
            recorded += 1
            click.echo(f"{path}  {_verdict(take)}")
    except KeyboardInterrupt:
        meter.clear()
        click.echo(f"{recorded} of {count} recorded in {dataset / label}", err=True)
    finally:
        source.close()


def _take(recorder: Recorder, what: str, on_sound: bool, countdown: int, meter: "_Meter") -> Take:
    if on_sound:
        recorder.wait_for_sound(meter.shown(f"{what}: waiting for a sound"))
    else:
        for left in range(countdown, 0, -1):
            recorder.pause(1.0, meter.shown(f"{what}: in {left}"))
    take = recorder.take(meter.shown(f"{what}: recording"))
    meter.clear()
    return take


def _verdict(take: Take) -> str:
    level = f"peak {take.peak_dbfs:.0f} dBFS"
    if take.clipped:
        return f"{level}  CLIPPED: {take.clipped} samples at full scale; turn the gain down, or step back"
    if take.is_silent:
        return f"{level}  SILENT: is the microphone muted, or the wrong one? see `audiomon devices`"
    return level


class _Meter:
    """A line with the level, drawn over itself; nothing where nobody watches."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()

    def shown(self, what: str) -> Callable[[float], None]:
        """Return what draws the level beside some words."""

        def show(level_dbfs: float) -> None:
            if self._watched:
                part = min(1.0, max(0.0, 1 - level_dbfs / _QUIETEST_SHOWN_DBFS))
                bar = "█" * round(part * _METER_WIDTH)
                click.echo(f"\r\033[K{what:<36} {bar:<{_METER_WIDTH}} {level_dbfs:5.0f} dBFS", err=True, nl=False)

        return show

    def clear(self) -> None:
        """Wipe the line."""
        if self._watched:
            click.echo("\r\033[K", err=True, nl=False)
