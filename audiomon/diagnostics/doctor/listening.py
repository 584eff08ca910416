"""The microphone and the model: whether there is one, what it delivers, and whether this machine is fast enough."""

from collections.abc import Iterator

import numpy as np

from audiomon.audio.level import LevelMeter, Span
from audiomon.audio.microphone.devices import find_device, input_devices, lasting_name
from audiomon.audio.mono import MonoStream
from audiomon.audio.source import Source
from audiomon.audio.stream import is_stream
from audiomon.clock import Clock
from audiomon.config.settings import Settings
from audiomon.daemon.opening import open_microphone
from audiomon.diagnostics.doctor.finding import Finding
from audiomon.errors import AudiomonError, DeviceError
from audiomon.models.classifier import Classifier
from audiomon.pipeline.loading import LoadingModel

LISTEN_S = 2.0
_QUIET_DBFS = -70.0
# A device whose samples come this much faster or slower than it says runs at another rate.
_RATE_OFF = 0.05
_TIMED_WINDOWS = 20

_STREAM_ADVICE = (
    "`audiomon devices` lists the streams; a camera's address is the file audiomon.source-NAME in /etc/credstore, and "
    "`journalctl -u 'audiomon-source@*' -n 20` says what ffmpeg makes of it"
)
_SENDER_ADVICE = "look at the sound settings of the camera, or of the program that sends"
_DEFECTS = {
    "silent": (
        "it delivers nothing but zeros: it is muted, or not connected",
        "unmute it: `alsamixer`, F6, F4, then M",
    ),
    "constant": (
        "it delivers the same value all the time: it is broken, or not connected",
        "look at its cable; try another",
    ),
    "cancelling": (
        "its two channels cancel each other: one of them is wired the other way round",
        "set `microphone: {channel: 0}`, or 1",
    ),
    "clipping": ("it is at full scale second after second: its gain is too high", "lower it: `alsamixer`, F6, F4"),
}


def look_at_microphone(settings: Settings, sample_rate: int, clock: Clock) -> Iterator[Finding]:
    """Find the microphone that the settings name, and listen to it for two seconds.

    Args:
        settings: that name it.
        sample_rate: the model's, in Hz.
        clock: times the listening.
    """
    if is_stream(settings.config.microphone.device):
        yield from _listened(settings, sample_rate, clock, _STREAM_ADVICE)
        return
    try:
        devices = input_devices()
        device = find_device(settings.config.microphone.device, devices)
    except DeviceError as error:
        yield Finding("wrong", "microphone", str(error), "plug one in, or choose one that `audiomon devices` lists")
        return
    lasting = lasting_name(device, devices)
    if settings.config.microphone.device == device.index and lasting != str(device.index):
        yield Finding(
            "note",
            "microphone",
            f"number {device.index} may be another one after a reboot",
            f"write `device: {lasting}`",
        )
    yield from _listened(
        settings,
        sample_rate,
        clock,
        "a running service holds its microphone, and `audiomon status` says how it is; otherwise look what else "
        "uses it: `fuser -v /dev/snd/*`",
    )


def _listened(settings: Settings, sample_rate: int, clock: Clock, unopened_advice: str) -> Iterator[Finding]:
    try:
        source = open_microphone(settings, sample_rate, clock)
    except DeviceError as error:
        yield Finding("wrong", "microphone", str(error), unopened_advice)
        return
    try:
        yield from _heard(source, sample_rate, settings, clock)
    except AudiomonError as error:
        plug = "look at its plug, its cable and the power supply"
        yield Finding("wrong", "microphone", str(error), _STREAM_ADVICE if is_stream(source.name) else plug)
    finally:
        source.close()


def _heard(source: Source, sample_rate: int, settings: Settings, clock: Clock) -> Iterator[Finding]:
    meter = LevelMeter()
    stream = MonoStream(source, sample_rate, settings.config.microphone.channel, meter)
    stream.read(sample_rate // 10)  # the first moments of some are anything
    first, began_ns = stream.read_end, clock.monotonic_ns()
    meter.take_dbfs()
    meter.take_span()
    while clock.monotonic_ns() - began_ns < LISTEN_S * 1e9:
        stream.read(sample_rate // 10)
    rate = (stream.read_end - first) / ((clock.monotonic_ns() - began_ns) / 1e9)
    converted = f", converted to the model's {sample_rate} Hz" if source.sample_rate != sample_rate else ""
    yield from _rated(source, rate, converted)
    yield _levelled(source, meter.take_dbfs(), meter.take_span())


def _rated(source: Source, rate: float, converted: str) -> Iterator[Finding]:
    if not rate:
        yield Finding(
            "wrong",
            "rate",
            f"{source.name} delivers nothing",
            "unplug it and plug it in again; is its sound server stuck?",
        )
    elif abs(rate / source.sample_rate - 1) > _RATE_OFF:
        yield Finding(
            "wrong",
            "rate",
            f"{source.name} says {source.sample_rate} Hz and delivers {rate:.0f} samples a second",
            "choose another device of it: `audiomon devices`; through `default`, ALSA converts",
        )
    else:
        yield Finding("ok", "rate", f"{source.name} delivers {source.sample_rate} Hz{converted}")


def _levelled(source: Source, level_dbfs: float | None, span: Span) -> Finding:
    if defect := "cancelling" if span.cancels else span.defect:
        what, advice = _DEFECTS[defect]
        advice = _SENDER_ADVICE if is_stream(source.name) else advice
        return Finding("wrong", "level", f"{source.name}: {what}", advice)
    if level_dbfs is None:
        return Finding("wrong", "level", f"{source.name} delivers nothing", "unplug it and plug it in again")
    peak = f"{level_dbfs:.0f} dBFS, peak {span.peak_dbfs:.0f} dBFS"
    if level_dbfs < _QUIET_DBFS:
        advice = _SENDER_ADVICE if is_stream(source.name) else "raise its gain: `alsamixer`, F6, F4"
        return Finding("note", "level", f"{peak}: very quiet", f"if the room is not, {advice}")
    return Finding("ok", "level", peak)


def look_at_model(settings: Settings, clock: Clock) -> tuple[Finding, Classifier | None]:
    """Load the model that the settings name, and see whether this machine is fast enough for it."""
    try:
        classifier = LoadingModel(settings).classifier()
    except AudiomonError as error:
        return Finding("wrong", "model", str(error), "`audiomon models` lists those that are installed"), None
    window = np.zeros(classifier.spec.shape, dtype=np.float32)
    costs_s = []
    for _ in range(_TIMED_WINDOWS):
        began_ns = clock.monotonic_ns()
        classifier.scores(window)
        costs_s.append((clock.monotonic_ns() - began_ns) / 1e9)
        if sum(costs_s) > LISTEN_S:
            break
    spec = classifier.spec
    hop_s = spec.nearest_hop_s(settings.config.asked_hop_s(spec.window_s))
    cost_s = sorted(costs_s)[len(costs_s) // 2]
    name = classifier.package.manifest.name
    what = f"{name} takes {cost_s * 1e3:.2f} ms a window, and there is one every {hop_s:.3f} s"
    if cost_s > hop_s:
        advice = f"raise `hop_s` above {cost_s:.2f}, or choose a smaller model; windows are shed otherwise"
        return Finding("wrong", "model", f"{what}: {cost_s / hop_s:.1f} times too slow", advice), classifier
    if cost_s > hop_s / 2:
        return Finding("note", "model", f"{what}: not much is left for other work"), classifier
    return Finding("ok", "model", what), classifier
