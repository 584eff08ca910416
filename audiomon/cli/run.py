"""``audiomon run``: the main job. Microphone (or file, or pipe) to predictions, until told to stop."""

import signal
import sys
from pathlib import Path
from types import FrameType

import click

from audiomon.audio.source import Source
from audiomon.cli.settings import config_option, hop_option, interpreter_option, model_option
from audiomon.clock import Clock, SystemClock
from audiomon.config.settings import Settings, load_settings
from audiomon.errors import DeviceError
from audiomon.outputs.json_lines import JsonLines
from audiomon.outputs.selection import Selected
from audiomon.outputs.terminal import Terminal
from audiomon.pipeline.listener import Listener
from audiomon.pipeline.loading import LoadingModel
from audiomon.pipeline.output import Output
from audiomon.pipeline.statuses import listening, summary
from audiomon.pipeline.worker import InferenceWorker

# Ctrl-C must end within a second; a worker that has not ended by then is inside a model or a driver, and is left there.
_STOP_PATIENCE_S = 0.7


@click.command()
@click.option("-d", "--device", help="Microphone: a name, part of a name, or a number from `audiomon devices`.")
@click.option(
    "-i", "--input", "input_", metavar="FILE", help="Listen to an audio file instead, or to raw s16le on - (stdin)."
)
@click.option("--rate", type=click.IntRange(1000, 192_000), help="Sample rate of raw input on stdin, in Hz.")
@click.option("--channels", type=click.IntRange(1, 64), default=1, help="Channels of raw input on stdin.")
@click.option("--realtime", is_flag=True, help="Play a file at the pace it was recorded.")
@click.option("--or-sample", is_flag=True, help="Where there is no microphone, listen to the model's sample recording.")
@model_option
@hop_option
@interpreter_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of text.")
@click.option(
    "--predictions",
    type=click.Choice(["every", "changes", "events"]),
    help="Which predictions to write; events always.",
)
@config_option
def run(
    device: str | None,
    input_: str | None,
    rate: int | None,
    channels: int,
    realtime: bool,
    or_sample: bool,
    model: str | None,
    hop_s: float | None,
    interpreter: str | None,
    as_json: bool,
    predictions: str | None,
    config_path: Path | None,
) -> None:
    """Listen, and say what is heard, until Ctrl-C or the end of the input.

    \b
    Examples:
      audiomon run
      audiomon run --device usb --json
      audiomon run --input street.flac --realtime
      arecord -q -f S16_LE -r 22050 | audiomon run --input - --rate 22050
    """
    if input_ == "-" and rate is None:
        raise click.UsageError("raw samples on stdin do not tell their sample rate: add --rate, in Hz")
    if input_ != "-" and rate is not None:
        raise click.UsageError("--rate goes with --input - (stdin)")
    settings = load_settings(config_path, model=model, hop_s=hop_s, interpreter=interpreter)
    settings = settings.with_options(device=device, predictions=predictions)
    clock = SystemClock()
    loading = LoadingModel(settings)
    source = _open_source(settings, loading, input_, rate, channels, realtime, or_sample, clock)
    output = _output(settings, loading, as_json)
    try:
        listener = Listener(
            source,
            loading.classifier(),
            loading.rules,
            hop_s=settings.config.hop_s,
            channel=settings.config.microphone.channel,
            clock=clock,
        )
        _listen(listener, output, settings, clock)
    finally:
        source.close()


def _open_source(
    settings: Settings,
    loading: LoadingModel,
    input_: str | None,
    rate: int | None,
    channels: int,
    realtime: bool,
    or_sample: bool,
    clock: Clock,
) -> Source:
    # Each source is imported only where it is used: a file needs no PortAudio, a microphone no libsndfile.
    if input_ == "-":
        from audiomon.audio.pipe import PipeSource

        return PipeSource(0, rate or 0, channels, clock)
    if input_ is not None:
        return _file(Path(input_), realtime, clock)
    from audiomon.audio.microphone import MicrophoneSource

    microphone = settings.config.microphone
    try:
        return MicrophoneSource(
            microphone.device,
            sample_rate=loading.package.manifest.input.sample_rate,
            block_ms=microphone.block_ms,
            ring_s=microphone.ring_s,
            clock=clock,
        )
    except DeviceError as error:
        samples = sorted(loading.package.folder.glob("sample.*"))
        if not or_sample or not samples:
            raise
        click.echo(f"audiomon: {error}\naudiomon: listening to the sample recording {samples[0]} instead", err=True)
        return _file(samples[0], True, clock)


def _file(path: Path, realtime: bool, clock: Clock) -> Source:
    from audiomon.audio.file import FileSource

    return FileSource(path, realtime=realtime, clock=clock)


def _output(settings: Settings, loading: LoadingModel, as_json: bool) -> Output:
    if as_json:
        output: Output = JsonLines(sys.stdout)
    else:
        output = Terminal(sys.stdout, loading.package.manifest.labels, colour=sys.stdout.isatty())
    return Selected(output, settings.config.journal.predictions)


def _listen(listener: Listener, output: Output, settings: Settings, clock: Clock) -> None:
    worker = InferenceWorker(listener, output, clock)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        worker.done.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    output.status(listening(listener, settings.config.hop_s, settings.source, clock))
    started_ns = clock.monotonic_ns()
    worker.start()
    worker.done.wait()
    worker.stop(_STOP_PATIENCE_S)
    elapsed_s = (clock.monotonic_ns() - started_ns) / 1e9
    heard_s = listener.position / listener.source.sample_rate
    left_over_s = listener.unused_s if listener.ended else None
    output.status(summary(worker.tally, heard_s, elapsed_s, clock, left_over_s))
    if worker.error is not None:
        raise worker.error
