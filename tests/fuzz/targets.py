"""What is fed with damage, each as the program itself would read it.

A case ends well if it is taken, or refused with an `AudiomonError` of one readable line. Anything else is a finding.
"""

import contextlib
import hashlib
import io
import os
import random
import re
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import soundfile
import yaml

from audiomon.audio.file import FileSource
from audiomon.audio.pipe import PipeSource
from audiomon.audio.source import Source
from audiomon.cli.feed import line_in_words
from audiomon.clock import SystemClock
from audiomon.config import Config, Decisions, decision_rules, load_config
from audiomon.daemon.messages import refusal_facts
from audiomon.errors import AudiomonError
from audiomon.keeper.answering import answered
from audiomon.keeper.store import Store
from audiomon.lab.teach.fusing import cut, find_embedding
from audiomon.link.discovery import Described, announced, discovery
from audiomon.link.feeds import read_line
from audiomon.link.machine import Machine
from audiomon.link.settings import LinkConfig, load_link_config
from audiomon.link.state import Listener
from audiomon.link.topics import MachineTopics, slugs_of
from audiomon.models.checking_process import CheckingProcess
from audiomon.models.classifier import Classifier
from audiomon.models.importing.add import Asked, examine
from audiomon.models.interpreter import installed_backends
from audiomon.models.package import MANIFEST, WEIGHTS, find_package, read_package
from audiomon.outputs.clip_handover import flac_in_memory
from audiomon.outputs.clip_protocol import Offer
from audiomon.outputs.clip_requests import Delete, Exported, Exports, Fetch, List, Lock, Mark
from audiomon.outputs.feed_connection import ClientGoneError, Connection
from audiomon.outputs.feed_protocol import (
    MAX_WANT_BYTES,
    ColumnsLine,
    Dropped,
    EventLine,
    Goodbye,
    Hello,
    LevelLine,
    Limits,
    On,
    PredictionLine,
    StateLine,
    StatusLine,
    encode,
)
from audiomon.pipeline.clips import Clip
from audiomon.pipeline.listener import Listener as StreamListener
from tests.fuzz.http_requests import SEEDS, TOKENS, Requests
from tests.fuzz.warm_check import forked_check
from tests.keeper.offers import NOISE, NOW_NS, RATE, offer, sound
from tests.keeper.offers import opened as opened_store
from tests.manual_clock import ManualClock
from tests.models.metadata import described_model
from tests.models.tiny import FIXTURES, LABELS, RUNNABLE, content, write_tiny
from tests.outputs.listening import snapshot

REPOSITORY = Path(__file__).resolve().parents[2]

# In memory: a hundred thousand files would wear out an SD card.
_SCRATCH = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())

_YAML_TOKENS = (
    b"&a", b"*a", b"<<: *a", b"!!python/object/apply:os.system ['true']", b"!!binary aGk=", b"!!set", b"!x",
    b"[" * 200, b"{" * 200, b"- " * 100, b"? ", b"|", b">-", b"%YAML 9.9\n", b"%TAG ! x", b"---\n", b"...\n",
    b"\xef\xbb\xbf", b"\x00", b"\xc2\x85", b"\xe2\x80\xa8", b"\xff", b"\xed\xa0\x80", b"\xf0\x9f\x90\xb6",
    b"\x1b[31m", b"on", b"yes", b"null", b"~", b"2026-01-01", b"''", b'"', b"'", b'"\\', b'"\\x00"', b"#", b": ",
    b":", b",", b"]", b"}", b"`", b"@", b"..", b"../..", b"/", b"~nobody", b"a" * 5000, b"/" * 5000, b"mix", b"max",
    b"waveform", b"log-mel", b"{kind: waveform, samples: 16}",
)  # fmt: skip


_JSON_TOKENS = (
    b"{", b"}", b"[" * 2000, b"]", b'"', b"\\u0000", b"\\ud800", b"\n", b"\x00", b"\xff", b"null", b"true", b"-0",
    b"9" * 400, b'"type":"hello"', b'"type":"event"', b'"type":"new"', b'"labels":{}', b'"on":{"":{}}', b"\xe2\x80\xae",
    b"\x1b[31m", b"a" * 5000, b'"want":[', b'"want":null', b"\xf0\x9f\x90\xb6", b"NaN", b"Infinity", b"1e999",
)  # fmt: skip


def _readable(error: AudiomonError) -> str:
    text = str(error)
    if not text or "\n" in text or not text.isprintable() or len(text) > 20_000:
        raise AssertionError(f"not one readable line: {text[:300]!r}")
    refusal_facts(error)  # as they go to the journal
    return "refused"


@dataclass(frozen=True)
class Target:
    """Something that reads.

    Attributes:
        seeds: whole and well-formed inputs, to be damaged.
        tokens: what damage may put in.
        read: takes one input, in a folder of its own; "taken" or "refused".
    """

    seeds: tuple[bytes, ...]
    tokens: tuple[bytes, ...]
    read: Callable[[bytes, int], str]


@contextlib.contextmanager
def opened(name: str) -> Iterator[Target]:
    """Set up a target, and remove what it has written."""
    with tempfile.TemporaryDirectory(prefix="audiomon-fuzz-", dir=_SCRATCH) as scratch:
        yield TARGETS[name](Path(scratch))


def _config(scratch: Path) -> Target:
    path = scratch / "audiomon.yaml"
    labels = ("background", "baby_cry", "dog_bark", "speech")

    def read(data: bytes, _number: int) -> str:
        path.write_bytes(data)
        try:
            config, document = load_config(path)
        except AudiomonError as error:
            return _readable(error)
        assert isinstance(config, Config)
        with contextlib.suppress(ValueError):
            decision_rules(labels, Decisions(), config.decisions)
        try:
            find_package(config.model, scratch)
        except AudiomonError as error:
            _readable(document.error(("model",), str(error)))
        return "taken"

    shipped = (REPOSITORY / "config" / "audiomon.yaml").read_bytes()
    plain = b"\n".join(line for line in shipped.split(b"\n") if line and not line.lstrip().startswith(b"#")) + b"\n"
    full = (
        b"model: home\nhop_s: 0.25\nmicrophone:\n  device: 'USB: 1'\n  channel: 0\ndecisions:\n  on: 0.7\n  off: 0.3\n"
        b"  deny: [background]\n  labels:\n    speech: {on: 0.9, min_on_s: 2}\n    dog_bark:\n      off: 0.1\n"
    )
    bomb = b"a: &a [x,x]\n" + b"".join(b"%c: &%c [*%c,*%c]\n" % (n + 1, n + 1, n, n) for n in range(97, 121))
    deep = b"model: " + b"[" * 3000 + b"]" * 3000
    return Target(
        (plain, full, full.replace(b"\n", b"\r\n"), shipped, bomb, deep, b"{model: home}"), _YAML_TOKENS, read
    )


def _manifest(scratch: Path) -> Target:
    with forked_check():
        folders = [write_tiny(scratch / model, model) for model in ("float32", "waveform")]
    seeds = tuple((folder / MANIFEST).read_bytes() for folder in (*folders, REPOSITORY / "models" / "home"))

    def read(data: bytes, number: int) -> str:
        folder = folders[number % len(folders)]
        # Damage to the checksum alone would hide all other damage.
        (folder / MANIFEST).write_bytes(data)
        try:
            package = read_package(folder)
        except AudiomonError as error:
            return _readable(error)
        manifest = package.manifest
        assert manifest.input.nearest_hop_s(0.5) > 0
        assert decision_rules(manifest.labels, manifest.decisions, Decisions()).smoothing_s >= 0
        assert len(package.fingerprint) == 64
        msgspec.json.encode(manifest)
        yaml.safe_dump(msgspec.to_builtins(manifest))
        return "taken"

    return Target(seeds, _YAML_TOKENS, read)


def _model(scratch: Path) -> Target:
    backend = installed_backends()[0]
    with forked_check():
        folders = {model: write_tiny(scratch / model, model) for model in RUNNABLE}
    whole = {model: content(model) for model in RUNNABLE}
    manifests = {model: _brief(folder) for model, folder in folders.items()}
    sums = {model: hashlib.sha256(data).hexdigest().encode() for model, data in whole.items()}
    names = tuple(RUNNABLE)

    def read(data: bytes, number: int) -> str:
        # The manifest of the model that most of it was.
        model = max(names, key=lambda name: sum(a == b for a, b in zip(data[::97], whole[name][::97], strict=False)))
        folder = folders[model]
        (folder / WEIGHTS).write_bytes(data)
        checksum = hashlib.sha256(data).hexdigest().encode()
        (folder / MANIFEST).write_bytes(manifests[model].replace(sums[model], checksum))
        try:
            package = read_package(folder)
            with forked_check():
                CheckingProcess(package.folder, backend).wait()
            classifier = Classifier(package, backend)
            rng = np.random.default_rng(number)
            classifier.scores(rng.normal(size=classifier.spec.shape).astype(np.float32))
        except AudiomonError as error:
            if "could not be checked" in str(error):  # it raised what it does not expect
                raise AssertionError(str(error)) from None
            return _readable(error)
        return "taken"

    seeds = tuple(path.read_bytes() for path in sorted(FIXTURES.glob("*.tflite")))
    return Target(seeds, (b"TFL3", b"\0" * 16, b"serving_default", b"\xff" * 8), read)


def _brief(folder: Path) -> bytes:
    """A package's manifest with one self-test of its four: a hundred thousand checks are long enough."""
    said = yaml.safe_load((folder / MANIFEST).read_bytes())
    said["self_test"] = [test for test in said["self_test"] if test["signal"] == "clicks"]
    return yaml.safe_dump(said).encode()


def _bare(scratch: Path) -> Target:
    """A stranger's file, for which `audiomon models add` writes a manifest and on which `train --on` builds."""
    listed = ",".join(LABELS)
    asked = (Asked(labels=listed), Asked(labels=listed, sample_rate=16_000, features=("n_fft=512", "hop_length=256")))

    def read(data: bytes, number: int) -> str:
        ends = set()
        for reading in (
            lambda: examine(scratch / "case.tflite", data, asked[number % 2]),
            lambda: cut(data, find_embedding(data)),
        ):
            try:
                reading()
                ends.add("taken")
            except AudiomonError as error:
                ends.add(_readable(error))
        return "taken" if "taken" in ends else "refused"

    seeds = tuple(path.read_bytes() for path in sorted(FIXTURES.glob("*.tflite")))
    return Target((*seeds, described_model()), (b"TFL3", b"M001", b"\0" * 16, b"\xff" * 8, b"PK\x03\x04"), read)


def _tiny_classifier(scratch: Path) -> Classifier:
    with forked_check():
        folder = write_tiny(scratch / "tiny")
    return Classifier(read_package(folder), installed_backends()[0])


def _listened_to(source: Source, classifier: Classifier, hop_s: float) -> None:
    """Classify a whole recording, as ``audiomon classify`` does, or the first 50 windows of it."""
    rules = decision_rules(classifier.labels, Decisions(), Decisions())
    listener = StreamListener(source, classifier, rules, hop_s=hop_s, channel="mix", clock=SystemClock())
    for _ in range(50):
        if listener.ended:
            break
        listener.next()


def _audio(scratch: Path) -> Target:
    classifier = _tiny_classifier(scratch)
    path = scratch / "case"

    def read(data: bytes, number: int) -> str:
        path.write_bytes(data)
        try:
            source = FileSource(path)
            _listened_to(source, classifier, random.Random(number).choice((0.05, 0.1, 0.32)))
        except AudiomonError as error:
            return _readable(error)
        return "taken"

    return Target(
        tuple(_recordings()), (b"RIFF", b"data\0\0\0\0", b"fmt ", b"fLaC", b"OggS", b"\xff\xfb\x90", b"LIST"), read
    )


def _recordings() -> Iterator[bytes]:
    rng = np.random.default_rng(5)
    for form, subtype, rate, channels in (
        ("WAV", "PCM_16", 16_000, 1), ("WAV", "FLOAT", 22_050, 2), ("WAV", "PCM_24", 8000, 1),
        ("WAV", "IMA_ADPCM", 8000, 1), ("WAVEX", "PCM_16", 48_000, 6), ("W64", "PCM_16", 16_000, 1),
        ("RF64", "PCM_16", 16_000, 1), ("FLAC", "PCM_16", 22_050, 1), ("OGG", "VORBIS", 22_050, 1),
        ("OGG", "OPUS", 48_000, 1), ("MP3", "MPEG_LAYER_III", 22_050, 1), ("AIFF", "PCM_16", 16_000, 1),
        ("AU", "ULAW", 8000, 1), ("CAF", "PCM_16", 16_000, 2), ("VOC", "PCM_U8", 8000, 1),
        ("MAT5", "PCM_16", 8000, 1), ("SD2", "PCM_16", 8000, 1),
    ):  # fmt: skip
        samples = rng.integers(-9000, 9000, (rate // 2, channels)).astype(np.int16)
        file = io.BytesIO()
        with contextlib.suppress(soundfile.LibsndfileError, ValueError):  # this libsndfile cannot write it
            soundfile.write(file, samples, rate, format=form, subtype=subtype)
            yield file.getvalue()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16_000, 2, 16)
    yield b"RIFF" + struct.pack("<I", 36) + b"WAVE" + form + b"data\0\0\0\0" + bytes(9000)


def _stdin(scratch: Path) -> Target:
    classifier = _tiny_classifier(scratch)

    def read(data: bytes, number: int) -> str:
        rng = random.Random(number)
        reading, writing = os.pipe()
        try:
            os.write(writing, data)  # less than a pipe holds
            os.close(writing)
            source = PipeSource(reading, rng.choice((1000, 8000, 16_000, 22_050, 192_000)), rng.choice((1, 2, 3, 64)))
            _listened_to(source, classifier, rng.choice((0.05, 0.1, 0.32)))
        except AudiomonError as error:
            return _readable(error)
        finally:
            os.close(reading)
        return "taken"

    noise = np.random.default_rng(9).integers(-30_000, 30_000, 9000).astype("<i2").tobytes()
    return Target(
        (noise, noise[:999], b"", b"RIFF" + noise[:7000], bytes(9000)), (b"\xff\x7f" * 40, b"\x00\x80" * 40), read
    )


def _wants(_scratch: Path) -> Target:
    """What clients send to the feed: a listener's side of one connection."""

    def read(data: bytes, _number: int) -> str:
        ours, theirs = socket.socketpair()
        with theirs:
            connection = Connection(ours, ManualClock())
            try:
                for start in range(0, len(data), MAX_WANT_BYTES):
                    theirs.sendall(data[start : start + MAX_WANT_BYTES])
                    connection.receive()
            except ClientGoneError:
                return "refused"
            finally:
                connection.hang_up()
        return "taken"

    seeds = (b'{"want": ["event", "status"]}\n', b'{"want": ["columns"]}\n{"want": []}\n', b"\n")
    return Target(seeds, _JSON_TOKENS, read)


def _feed(_scratch: Path) -> Target:
    """What a listener sends: as the link reads it, keeps it, and announces it."""
    topics = MachineTopics("audiomon/pi")

    def read(data: bytes, _number: int) -> str:
        listener = Listener("kitchen")
        ends = set()
        for line in data.splitlines():
            try:
                message = read_line(line)
            except ValueError as refused:
                ends.add("refused" if str(refused).isprintable() else "unprintable")
                continue
            if message is None:
                continue
            listener.take(message)
            assert line_in_words(message).isprintable()
            ends.add("taken")
        if listener.hello is not None:
            slugs = slugs_of(listener.hello.labels)
            assert all(re.fullmatch(r"[a-z0-9_]+", slug) for slug in slugs.values())
            assert len(set(slugs.values())) == len(slugs)
            machine = Machine("pi", "0123456789ab")
            described = Described(
                machine, listener.name, listener.hello.version, topics, topics.listener(listener.name), slugs, True
            )
            assert announced(discovery(described, {})).keys() >= {"level", "sound"}
        assert "unprintable" not in ends
        return "refused" if "refused" in ends else "taken"

    lines = [
        Hello(1, "0.1.0", "kitchen", "home", "f0", {"dog": Limits(0.6, 0.4)}, {"dog": On("2026", 0.9)}, snapshot()),
        EventLine("2026-11-26T12:00:00.000000+00:00", "dog", "on", 0.9, 12.5, 0.0),
        PredictionLine("2026-11-26T12:00:00+00:00", "dog", 0.9, {"dog": 0.9}, 1.0, 500.0, 300.0, 50.0, 0, "home"),
        StatusLine("2026-11-26T12:00:00+00:00", "listening", "info", "Listening", {"lost": 0, "by": {"dog": 1}}),
        StateLine(snapshot()), LevelLine(-40.0, -20.0), ColumnsLine(2, 0.1, False, b"abcd"), Dropped(3), Goodbye("so"),
    ]  # fmt: skip
    seeds = tuple(encode(line) + b"\n" for line in lines)
    return Target((*seeds, b"".join(seeds)), _JSON_TOKENS, read)


_ACTIONS = b"""\
page: {listen: '0.0.0.0:8117', names: [a.example], spectrogram: true}
actions:
- {on: ['dog*'], when: both, min_score: 0.5, quiet: ['22:00-07:00'], ntfy: {url: 'https://a/b', tags: [c]}}
- {on: [cat], webhook: {url: 'http://a:1/', headers: {X-A: b}, json: {a: ['{label}']}, token: b}}
- {on: ['*'], apprise: {tags: [a]}}
- {on: ['*'], command: [/bin/true, a]}
"""


def _link(scratch: Path) -> Target:
    path = scratch / "link.yaml"

    def read(data: bytes, _number: int) -> str:
        path.write_bytes(data)
        try:
            config = load_link_config(path)
        except AudiomonError as error:
            return _readable(error)
        assert isinstance(config, LinkConfig)
        return "taken"

    shipped = (REPOSITORY / "config" / "link.yaml").read_bytes()
    plain = b"\n".join(line for line in shipped.split(b"\n") if line and not line.lstrip().startswith(b"#")) + b"\n"
    mqtt = b"mqtt: {broker: 'a:1883', tls: auto, labels: ['*']}\n"
    return Target((plain, shipped, mqtt, _ACTIONS), _YAML_TOKENS, read)


def _requests(_scratch: Path) -> Target:
    requests = Requests()
    return Target(SEEDS, TOKENS, requests.read)


def _clips(scratch: Path) -> Target:
    """What the keeper receives: offers, each with the sound that it should have, and what people ask."""
    stores: dict[int, Store] = {}  # of each process: a connection to SQLite does not survive a fork
    file = flac_in_memory(Clip(NOISE, RATE, 0, 0, (), "", "", "", 0.0, ""))
    whole = msgspec.structs.replace(offer(), sound=sound(file, NOISE, NOW_NS))
    requests = [
        List(("dog",), "unreviewed", 1, (2, 3), 4), Fetch("20261126-180312-1a2b3c4d"), Mark(("a", "b"), "label", "cat"),
        Lock(("a",), True), Delete(("a",)), Exports("a", True), Exported(("a",)),
    ]  # fmt: skip
    seeds = tuple(msgspec.json.encode(one) for one in (whole, offer(reason="never", detail="speech"), *requests))

    def read(data: bytes, _number: int) -> str:
        kept = scratch / f"kept-{os.getpid()}"
        if os.getpid() not in stores:
            stores[os.getpid()] = opened_store(kept)
        store = stores[os.getpid()]
        taken = False
        for line in data.split(b"\n"):
            reply, beside = answered(store, line)
            if beside is not None:
                os.close(beside)
            msgspec.json.encode(reply)
            taken = taken or not reply.error
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                answer = store.keep(msgspec.json.decode(line, type=Offer), file)
                msgspec.json.encode(answer)
                taken = taken or answer.kept
        assert {path.stem for path in (kept / "clips").glob("*/*")} == store.index.all_clips()
        return "taken" if taken else "refused"

    return Target(seeds, _JSON_TOKENS, read)


TARGETS: dict[str, Callable[[Path], Target]] = {
    "config": _config,
    "manifest": _manifest,
    "model": _model,
    "bare": _bare,
    "audio": _audio,
    "stdin": _stdin,
    "wants": _wants,
    "feed": _feed,
    "link": _link,
    "requests": _requests,
    "clips": _clips,
}
