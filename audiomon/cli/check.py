"""``audiomon check``: whether `audiomon run` would start, without starting it."""

from collections.abc import Callable
from pathlib import Path

import click

from audiomon.audio.microphone.devices import find_device, input_devices
from audiomon.audio.stream import is_stream, stream_path
from audiomon.cli.clips_outlook import look_at_clips
from audiomon.cli.settings import config_option, model_option
from audiomon.config.settings import Settings, load_settings
from audiomon.daemon.exposure import exposed, exposed_in_words
from audiomon.diagnostics.doctor.finding import Finding
from audiomon.errors import AudiomonError, DeviceError, UserError
from audiomon.models.classifier import Classifier
from audiomon.pipeline.loading import LoadingModel
from audiomon.pipeline.statuses import hop_in_words
from audiomon.runtime_files import FIRST_INSTANCE


@click.command()
@model_option
@click.option("-d", "--device", help="Microphone to check, instead of the configured one.")
@click.option("--no-device", is_flag=True, help="Leave the microphone out.")
@config_option
def check(model: str | None, device: str | None, no_device: bool, config_path: Path | None) -> int:
    """Check the configuration, the model (loaded and self-tested), and that the microphone is there.

    Prints a line for each. Exit status 0 when all are well, 2 when one is not. Warns where clips are wanted
    and would not be kept, and of files that anybody may change.

    \b
    Examples:
      audiomon check
      audiomon check --config /etc/audiomon/audiomon.yaml --no-device
    """
    found: list[Settings] = []
    files: list[Path] = []
    clips: list[Finding] = []

    def configuration() -> str:
        found.append(load_settings(config_path, model=model).with_options(device=device, predictions=None))
        files.extend([found[0].document.path] if found[0].document else [])
        return found[0].source

    def package() -> str:
        classifier = LoadingModel(found[0]).classifier()
        files.extend(classifier.package.files)
        # The instance that `audiomon run` with this configuration is.
        instance = config_path.stem if config_path else FIRST_INSTANCE
        if (finding := look_at_clips(found[0], classifier, instance)) is not None:
            clips.append(finding)
        return _model(found[0], classifier)

    checks: list[tuple[str, Callable[[], str]]] = [("config", configuration), ("model", package)]
    if not no_device:
        checks.append(("microphone", lambda: _microphone(found[0])))
    status = 0
    for name, look in checks:
        try:
            click.echo(f"ok      {name:<11} {look()}")
        except AudiomonError as error:
            click.echo(f"WRONG   {name:<11} {error}")
            status = UserError.exit_status
            if not found:
                break
    for finding in clips:
        click.echo(f"{'ok' if finding.level == 'ok' else 'WARNING':<7} {finding.about:<11} {finding.what}")
    for place in exposed(files):
        click.echo(f"WARNING {'files':<11} {exposed_in_words(place)}")
    return status


def _model(settings: Settings, classifier: Classifier) -> str:
    interpreter, hop_s = classifier.interpreter, settings.config.asked_hop_s(classifier.spec.window_s)
    return (
        f"{classifier.package.folder}: {len(classifier.labels)} labels, self-test passed with "
        f"{interpreter.backend} {interpreter.version}, {hop_in_words(hop_s, classifier.spec.nearest_hop_s(hop_s))}"
    )


def _microphone(settings: Settings) -> str:
    named = settings.config.microphone.device
    if is_stream(named):
        path = stream_path(str(named))
        if not path.exists():
            raise DeviceError(f"{named}: there is no stream: nothing sends at {path}")
        return f"{named} ({path})"
    device = find_device(named, input_devices())
    return f"{device.index} {device.name} ({device.host_api}, {device.default_sample_rate} Hz)"
