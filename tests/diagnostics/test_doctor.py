"""What the doctor finds. What only a Raspberry Pi's kernel tells is laid out in files, as it cannot exist elsewhere."""

import tarfile
import time

import msgspec
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from audiomon.cli import cli
from audiomon.diagnostics.doctor.bundle import bundle_contents, without_secrets, write_bundle
from audiomon.diagnostics.doctor.machine import look_at_clock, look_at_journal, look_at_power, look_at_rights
from audiomon.errors import AudiomonError
from audiomon.outputs.snapshot import FILE
from audiomon.runtime_files import RuntimeFiles
from tests.cli.command import Audiomon
from tests.cli.test_status import STANDING
from tests.daemon.camera import Camera
from tests.models.tiny import write_tiny


def lay_out(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
ZONE = "sys/class/thermal/thermal_zone0/temp"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, []),
        ({FIRMWARE: "0\n", ZONE: "48312\n"}, [("ok", "never throttled"), ("ok", "48 °C")]),
        ({FIRMWARE: "50005\n"}, [("wrong", "at this moment: too little voltage, it is throttled")]),
        ({FIRMWARE: "50000\n"}, [("wrong", "since the start: too little voltage, it is throttled")]),
        (
            {FIRMWARE: "20001\n"},
            [("wrong", "at this moment: too little voltage"), ("note", "since the start: its clock is capped")],
        ),
        (
            {"sys/class/hwmon/hwmon1/name": "rpi_volt\n", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"},
            [("wrong", "too little voltage")],
        ),
        ({ZONE: "76000\n"}, [("note", "76 °C")]),
        ({ZONE: "82000\n", "sys/class/thermal/thermal_zone1/temp": "40000"}, [("wrong", "82 °C")]),
        ({FIRMWARE: "rubbish", ZONE: "rubbish"}, []),
    ],
)
def test_power_and_temperature_are_what_the_kernel_tells(tmp_path, files, found):
    findings = list(look_at_power(lay_out(tmp_path, files)))
    assert [finding.level for finding in findings] == [level for level, _ in found]
    assert all(words in finding.what for finding, (_, words) in zip(findings, found, strict=True)), findings
    assert all(bool(finding.advice) == (finding.level != "ok") for finding in findings)


def test_a_clock_that_was_never_set_is_found(tmp_path):
    assert look_at_clock(time.time(), tmp_path).level == "ok"
    assert look_at_clock(0, tmp_path).level == "wrong"
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    assert look_at_clock(time.time(), tmp_path).level == "note"
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    assert look_at_clock(time.time(), tmp_path).level == "ok"


@pytest.mark.parametrize(
    ("files", "per_s", "level"),
    [
        ({}, 2, "ok"),
        ({}, 500, "wrong"),
        ({"etc/systemd/journald.conf": "[Journal]\nRateLimitIntervalSec=1min\nRateLimitBurst=100\n"}, 2, "wrong"),
        ({"etc/systemd/journald.conf": "[Journal]\n#RateLimitBurst=1\n"}, 2, "ok"),
        (
            {
                "etc/systemd/journald.conf": "[Journal]\nRateLimitBurst=10\n",
                "etc/systemd/journald.conf.d/50-more.conf": "[Journal]\nRateLimitIntervalSec=0\n",
            },
            2,
            "ok",
        ),
    ],
)
def test_a_journal_that_would_drop_entries_is_found(tmp_path, files, per_s, level):
    assert [finding.level for finding in look_at_journal(per_s, lay_out(tmp_path, files))] == [level]


def test_a_user_outside_the_group_audio_is_told_how_to_get_in(tmp_path):
    assert look_at_rights(tmp_path) is None
    lay_out(tmp_path, {"dev/snd/pcmC1D0c": "", "dev/snd/pcmC1D0p": ""})
    assert look_at_rights(tmp_path) is None
    (tmp_path / "dev/snd/pcmC1D0c").unlink()
    (tmp_path / "dev/snd/pcmC1D0c").symlink_to("nobody may open what is not there")
    found = look_at_rights(tmp_path, groups={"users"})
    assert found.level == "wrong"
    assert "usermod -aG audio" in found.advice
    assert "usermod" not in look_at_rights(tmp_path, groups={"audio"}).advice


SECRETS = """\
model: home
mqtt:
  host: broker.local
  username: pi
  password: hunter2
  api_key: "abc: def"
  token: |
    line one
    line two
  tls: {ca: /etc/ca.pem, password: hunter3, verify: true}
  url: mqtt://pi:hunter4@broker.local:1883
hop_s: 0.5
"""


def test_secrets_stay_out_of_a_bundle_and_all_else_stays_in():
    shown = without_secrets(SECRETS)
    for secret in ("hunter", "abc", "def", "line one", "line two"):
        assert secret not in shown
    for kept in ("model: home", "broker.local", "username: pi", "verify: true", "ca: /etc/ca.pem", "hop_s: 0.5"):
        assert kept in shown
    assert without_secrets("model: [\n") == "model: [\n"


def test_a_bundle_is_its_owners_alone_and_one_that_cannot_be_written_says_so(tmp_path):
    path = tmp_path / "bundle.tar.gz"
    write_bundle(path, {"a.txt": "grüße\n"})
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        assert archive.extractfile("audiomon-bundle/a.txt").read().decode() == "grüße\n"
    with pytest.raises(AudiomonError, match="cannot be written"):
        write_bundle(tmp_path / "no" / "bundle.tar.gz", {})


def test_a_bundle_takes_the_place_of_a_link_and_leaves_no_draft(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "bundle.tar.gz").symlink_to(tmp_path / "precious")
    write_bundle(tmp_path / "bundle.tar.gz", {"a.txt": ""})
    assert (tmp_path / "precious").read_text() == "precious"
    (tmp_path / "folder").mkdir()
    with pytest.raises(AudiomonError, match="cannot be written"):
        write_bundle(tmp_path / "folder", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.tar.gz", "folder", "precious"]


def test_a_status_that_is_a_link_is_not_packed(tmp_path, monkeypatch):
    monkeypatch.setattr("audiomon.runtime_files.SYSTEM_RUNTIME", tmp_path / "audiomon")
    (tmp_path / "audiomon-kitchen").mkdir()
    (tmp_path / "secret").write_text("root:*:20228")
    (tmp_path / "audiomon-kitchen" / FILE).symlink_to(tmp_path / "secret")
    packed = bundle_contents(None, "kitchen", "")
    assert "is a link" in packed["status.json"]
    assert not any("20228" in text for text in packed.values())


@pytest.fixture
def audiomon(tmp_path):
    write_tiny(tmp_path / "models" / "tiny", "float32")
    (tmp_path / "audiomon.yaml").write_text("model: tiny\nmicrophone: {device: mic}\n")
    return Audiomon(tmp_path)


@pytest.mark.parametrize("name", ["kitchen", "audiomon@kitchen", "audiomon@kitchen.service"])
def test_the_doctor_looks_at_the_listener_that_is_named(monkeypatch, tmp_path, name):
    monkeypatch.setattr("audiomon.runtime_files.SYSTEM_RUNTIME", tmp_path / "audiomon")
    monkeypatch.setattr("audiomon.cli.doctor.SYSTEM_CONFIG", tmp_path / "audiomon.yaml")
    (tmp_path / "kitchen.yaml").write_text("hops: 3\n")  # wrong, and so the last thing that is looked at
    standing = msgspec.structs.replace(STANDING, health="lost", reason="unplugged")
    RuntimeFiles(tmp_path / "audiomon-kitchen").write(FILE, standing)
    said = CliRunner().invoke(cli, ["doctor", "-u", name]).output
    assert "wrong  service      lost: unplugged" in said
    assert "`journalctl -u audiomon@kitchen -x -n 50`" in said
    assert f"{tmp_path / 'kitchen.yaml'}:1: hops" in said


@pytest.mark.mic
def test_the_doctor_hears_that_a_microphone_is_muted_and_packs_all_but_audio(audiomon, virtual_microphone, tmp_path):
    bundle = tmp_path / "bug.tar.gz"
    done = audiomon("doctor", "--config", tmp_path / "audiomon.yaml", "--bundle", bundle, model=None)
    assert done.status == 1, done
    assert "wrong  level        mic: it delivers nothing but zeros" in done.out
    assert "→ unmute it" in done.out
    assert "ok     rate         mic delivers 16000 Hz" in done.out
    assert "ok     model        tiny takes" in done.out
    with tarfile.open(bundle) as archive:
        names = [member.name for member in archive.getmembers()]
        assert len(names) == 6
        assert all(name.endswith((".txt", ".yaml", ".json")) for name in names), "no audio"
        assert "nothing but zeros" in archive.extractfile("audiomon-bundle/doctor.txt").read().decode()
        assert "model: tiny" in archive.extractfile("audiomon-bundle/audiomon.yaml").read().decode()


@pytest.mark.mic
def test_the_doctor_is_content_with_a_microphone_that_hears(audiomon, own_virtual_microphone, tmp_path, monkeypatch):
    samples = np.random.default_rng(1).integers(-3000, 3000, 22_050 * 30).astype(np.int16)
    soundfile.write(tmp_path / "noise.wav", samples, 22_050)
    own_virtual_microphone("loop", "mic", tmp_path / "noise.wav")
    for name, value in own_virtual_microphone.environment.items():
        monkeypatch.setenv(name, value)
    done = audiomon("doctor", "--config", tmp_path / "audiomon.yaml", model=None)
    lines = {line.split()[1]: line for line in done.out.splitlines() if not line.startswith(" ")}
    assert lines["level"].startswith("ok     level        -2"), done


@pytest.mark.mic
def test_the_doctor_names_the_line_of_a_configuration_that_is_wrong(audiomon, tmp_path):
    (tmp_path / "audiomon.yaml").write_text("hops: 3\n")
    done = audiomon("doctor", "--config", tmp_path / "audiomon.yaml", model=None)
    assert done.status == 1
    assert f"wrong  config       {tmp_path / 'audiomon.yaml'}:1: hops" in done.out


@pytest.mark.mic
def test_the_doctor_says_where_the_microphone_that_is_named_is_not(audiomon, tmp_path, virtual_microphone):
    (tmp_path / "audiomon.yaml").write_text("model: tiny\nmicrophone: {device: kitchen}\n")
    done = audiomon("doctor", "--config", tmp_path / "audiomon.yaml", model=None)
    assert done.status == 1
    assert "wrong  microphone   there is no microphone named 'kitchen'; there are: 0 'mic'" in done.out


def test_the_doctor_listens_to_a_stream_and_says_of_one_that_is_not_there_where_its_address_belongs(audiomon, tmp_path):
    config = tmp_path / "audiomon.yaml"
    config.write_text(f"model: tiny\nmicrophone: {{device: 'stream:{tmp_path / 'camera'}'}}\n")
    said = audiomon("doctor", "--config", config, model=None).out
    assert f"wrong  microphone   stream:{tmp_path / 'camera'}: there is no stream: nothing sends there" in said
    assert "the file audiomon.source-NAME in /etc/credstore" in said
    camera = Camera(tmp_path / "camera", 16_000)
    camera.scale = 0
    said = audiomon("doctor", "--config", config, model=None).out
    camera.end()
    assert f"ok     rate         stream:{tmp_path / 'camera'} delivers 16000 Hz" in said
    assert "nothing but zeros" in said
    assert "look at the sound settings of the camera" in said
