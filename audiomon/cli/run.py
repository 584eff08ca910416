"""``audiomon run``: the main job. Microphone (or file, or pipe) to predictions, until it is stopped."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audiomon.audio.source import Identity, LiveSource, Source
from audiomon.cli.settings import config_option, hop_option, interpreter_option, model_option, scores_option
from audiomon.clock import SystemClock
from audiomon.config.settings import Settings, load_settings
from audiomon.daemon.exposure import exposures
from audiomon.daemon.wakeups import Wakeups
from audiomon.errors import AudiomonError, ConfigError, DeviceError, ModelError
from audiomon.models.package import package_file
from audiomon.outputs.live import Fanout
from audiomon.outputs.opening import OutputOptions, clip_handover, in_service, live_outputs, screen
from audiomon.outputs.selection import Selection
from audiomon.pipeline.listener import Listener
from audiomon.pipeline.loading import LoadingModel
from audiomon.pipeline.output import Output
from audiomon.pipeline.prediction import Status, StatusKind
from audiomon.pipeline.statuses import listening, summary
from audiomon.pipeline.worker import STOP_WAIT_S, InferenceWorker

if TYPE_CHECKING:
    from audiomon.daemon.running import Running
    from audiomon.daemon.startup import Startup
    from audiomon.systemd import ServiceManager

_CLOCK = SystemClock()
# How often the end of a recording is looked for, should its wake-up be missed.
_LOOK_S = 1.0


@click.command()
@click.option("-d", "--device", help="Microphone: a name, part of a name, or a number from `audiomon devices`.")
@click.option(
    "-i", "--input", "input_", metavar="FILE", help="Listen to an audio file instead, or to raw s16le on - (stdin)."
)
@click.option("--rate", type=click.IntRange(1000, 192_000), help="Sample rate of raw input on stdin, in Hz.")
@click.option("--channels", type=click.IntRange(1, 64), help="Channels of raw input on stdin; otherwise 1.")
@click.option("--realtime", is_flag=True, help="Play the file of --input at the pace it was recorded.")
@click.option("--or-sample", is_flag=True, help="Where there is no microphone, listen to the model's sample recording.")
@model_option
@hop_option
@interpreter_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of text.")
@scores_option
@click.option(
    "--predictions",
    type=click.Choice(["every", "changes", "events"]),
    help="Which predictions to write; events always. Otherwise every one, and in the journal those of the "
    "configuration's `journal:`.",
)
@click.option(
    "--feed",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="SOCKET",
    help="Let your other programs follow what is heard, on a Unix socket made for this; see `audiomon feed --help`.",
)
@click.option(
    "--clips",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="SOCKET",
    help="Hand the clips that the configuration's `clips:` wants to your own keeper, on a Unix socket made for this. "
    "See `audiomon clips keep --help`.",
)
@config_option
def run(
    device: str | None,
    input_: str | None,
    rate: int | None,
    channels: int | None,
    realtime: bool,
    or_sample: bool,
    model: str | None,
    hop_s: float | None,
    interpreter: str | None,
    as_json: bool,
    scores: int,
    predictions: Selection | None,
    feed: Path | None,
    clips: Path | None,
    config_path: Path | None,
) -> None:
    """Listen, and say what is heard, until Ctrl-C or the end of the input.

    While it listens to a microphone, it watches its configuration: what is saved there holds within a second. As a
    systemd service it writes to the journal.

    \b
    Examples:
      audiomon run
      audiomon run --device usb --json
      audiomon run --input street.flac --realtime
      arecord -q -f S16_LE -r 22050 | audiomon run --input - --rate 22050
    """
    if input_ == "-" and rate is None:
        raise click.UsageError("raw samples on stdin do not tell their sample rate: add --rate, in Hz")
    for option, given in (("--rate", rate), ("--channels", channels)):
        if input_ != "-" and given is not None:
            raise click.UsageError(f"{option} goes with --input - (stdin)")
    if realtime and input_ in (None, "-"):
        raise click.UsageError("--realtime goes with --input FILE: a microphone and stdin have a pace of their own")
    if input_ is not None and device is not None:
        raise click.UsageError(
            "--device names a microphone, and --input is listened to instead of one: give one of them"
        )

    for option, socket in (("--feed", feed), ("--clips", clips)):
        if input_ is not None and socket is not None:
            raise click.UsageError(f"{option} goes with a microphone")

    def settings_now() -> Settings:
        settings = load_settings(config_path, model=model, hop_s=hop_s, interpreter=interpreter)
        return settings.with_options(device=device, predictions=predictions)

    options = OutputOptions(as_json, scores, predictions, config_path.stem if config_path else "audiomon", feed, clips)
    if input_ is not None:
        settings = settings_now()
        loading = LoadingModel(settings)
        # What comes from a program has no other time than now.
        _listen(
            _recording(input_, rate, channels or 1, realtime), settings, loading, screen(options, dated=input_ == "-")
        )
        return
    output = live_outputs(options, _CLOCK)
    with _reporting_to(output, in_service(options)):
        _run_live(settings_now, output, options, or_sample=or_sample)


def _run_live(load: Callable[[], Settings], output: Fanout, options: OutputOptions, *, or_sample: bool) -> None:
    """Listen to the microphone, or wait for one; as a service, wait for a configuration that holds as well."""
    from audiomon.daemon.model_record import read_record
    from audiomon.daemon.running import Running
    from audiomon.daemon.startup import Startup
    from audiomon.runtime_files import RuntimeFiles, runtime_folder
    from audiomon.systemd import ServiceManager

    manager = ServiceManager()
    is_service = in_service(options) or "NOTIFY_SOCKET" in os.environ
    record = read_record(runtime_folder()) if is_service else None
    files = RuntimeFiles(runtime_folder())
    startup = Startup(load, record, output=output, manager=manager, files=files, clock=_CLOCK)
    source: LiveSource | None = None
    try:
        settings = startup.settings()
        loading = LoadingModel(settings)
        source, absence = _microphone(settings, loading.package.manifest.input.sample_rate)
        sample = _sample(loading) if or_sample else None
        if source is None and sample is not None:
            click.echo(f"audiomon: {absence}\naudiomon: listening to the sample recording {sample} instead", err=True)
            _listen(_recording(str(sample), None, 1, True), settings, loading, screen(options))
            return
        if absence is not None and not is_service:
            # Someone who types a command wants to know; a service waits for its microphone.
            raise absence
        running: Running | None = Running(settings, loading.classifier(), loading.rules)
    except (ConfigError, ModelError) as error:
        if source is not None:
            source.close()
        if not is_service:
            raise
        running, source, absence = startup.wait(error), None, None
    except BaseException:
        if source is not None:
            source.close()
        raise
    if running is None:
        return
    if source is None and absence is None:
        source, absence = _microphone(running.settings, running.classifier.spec.sample_rate)
    for status in exposures(running.settings, running.classifier.package, _CLOCK):
        output.status(status)
    _supervise(source, str(absence or ""), running, startup, load, output, options, manager)


@contextmanager
def _reporting_to(output: Fanout, service: bool) -> Iterator[None]:
    """Close the outputs at the end; write what ends a service there, with its fields, rather than as a bare line."""
    try:
        yield
        if (failure := output.failure) is not None:
            name, error = failure
            raise AudiomonError(f"{name}: {error.strerror if isinstance(error, OSError) else error}")
    except AudiomonError as ended:
        if not service:
            raise
        facts = {"reason": str(ended)}
        output.status(Status(StatusKind.FAILED, f"Ended: {ended}", _CLOCK.time_ns(), dict(facts), "error"))
        raise click.exceptions.Exit(ended.exit_status) from None
    finally:
        output.close()


# Each source is imported only where it is used: a file needs no PortAudio, a microphone no libsndfile.


def _recording(input_: str, rate: int | None, channels: int, realtime: bool) -> Source:
    if input_ == "-":
        from audiomon.audio.pipe import PipeSource

        return PipeSource(0, rate or 0, channels, _CLOCK)
    from audiomon.audio.file import FileSource

    return FileSource(Path(input_), realtime=realtime, clock=_CLOCK)


def _sample(loading: LoadingModel) -> Path | None:
    folder = loading.package.folder
    return min((package_file(folder, path.name) for path in folder.glob("sample.*")), default=None)


def _microphone(settings: Settings, sample_rate: int) -> tuple[LiveSource | None, DeviceError | None]:
    from audiomon.daemon.opening import open_microphone

    try:
        return open_microphone(settings, sample_rate, _CLOCK), None
    except DeviceError as error:
        return None, error


def _listen(source: Source, settings: Settings, loading: LoadingModel, output: Output) -> None:
    """Listen to something that ends by itself, or is ended; nothing is watched meanwhile, and output is waited for."""
    config = settings.config
    hop_s = config.asked_hop_s(loading.package.manifest.input.window_s)
    wakeups = Wakeups(signal.SIGINT, signal.SIGTERM)
    errors: list[Exception] = []

    def note_end(error: Exception | None) -> None:
        errors.extend([] if error is None else [error])
        wakeups.wake()

    with closing(source):
        listener = Listener(
            source,
            loading.classifier(),
            loading.rules,
            hop_s=hop_s,
            channel=config.microphone.channel,
            clock=_CLOCK,
            gate_dbfs=config.gate_dbfs,
        )
        worker = InferenceWorker(listener, output, _CLOCK, on_end=note_end)
        output.status(listening(listener, hop_s, settings.source, _CLOCK))
        started_ns = _CLOCK.monotonic_ns()
        worker.start()
        while not worker.done.is_set() and not wakeups.wait(_LOOK_S):
            pass
        worker.stop(STOP_WAIT_S)
    wakeups.close()
    elapsed_s = (_CLOCK.monotonic_ns() - started_ns) / 1e9
    heard_s = listener.position / source.sample_rate
    left_over_s = listener.unused_s if listener.ended else None
    output.status(summary(worker.tally, heard_s, elapsed_s, _CLOCK, left_over_s))
    if errors:
        raise errors[0]


def _supervise(
    source: LiveSource | None,
    absence: str,
    running: "Running",
    startup: "Startup",
    load: Callable[[], Settings],
    output: Fanout,
    options: OutputOptions,
    manager: "ServiceManager",
) -> None:
    from audiomon.daemon.opening import open_microphone
    from audiomon.daemon.supervisor import Supervisor

    def open_source(asked: Settings, sample_rate: int, before: Identity | None) -> LiveSource:
        return open_microphone(asked, sample_rate, _CLOCK, before)

    try:
        supervisor = Supervisor(
            running,
            load_settings=load,
            open_source=open_source,
            output=output,
            manager=manager,
            failed=startup.failed,
            problem=startup.problem,
            # A terminal that is closed hangs up; its listener then ends.
            reload_on_hangup=not sys.stdin.isatty(),
            clock=_CLOCK,
            clips=clip_handover(options, _CLOCK),
        )
    except BaseException:
        if source is not None:
            source.close()
        raise
    supervisor.run(source, absence)
