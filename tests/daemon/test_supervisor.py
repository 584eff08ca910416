"""The daemon as a whole: a real process on a virtual microphone, and a service manager that notes what it is told."""

import re
import signal
import time

import pytest

from audiomon.outputs.message_ids import MESSAGE_IDS
from tests.daemon.daemon import PATIENCE_S, running_daemon, wait_until
from tests.outputs.test_message_ids import EXPLANATIONS

pytestmark = pytest.mark.mic

RING_S = 10  # the default
CONFIG = "model: float32\nhop_s: 0.1\nmicrophone:\n  device: mic\n"


@pytest.fixture
def daemon(folder, own_virtual_microphone):
    with running_daemon(folder, own_virtual_microphone.environment, CONFIG) as daemon:
        daemon.wait_predictions(3)
        yield daemon


def rejected(daemon, text):
    count = len(daemon.of_kind("swap-refused"))
    daemon.edit(text)
    return daemon.wait_for("swap-refused", count + 1)


def lost(daemon):
    return sum(line["lost"] for line in daemon.predictions())


def test_it_is_ready_once_it_listens_and_tells_what_it_hears(daemon):
    daemon.wait_told("READY", "1")
    assert next(one for one in daemon.told if "READY" in one) == {"READY": "1"}, "alone, so that it always arrives"
    status = daemon.wait_told("STATUS", "predictions/s")
    assert re.fullmatch(r"listening · \S+ \d\.\d\d · \d+\.\d predictions/s · \d+ µs a call · \d+ samples lost", status)


def test_saving_another_model_swaps_it_between_two_windows_and_loses_nothing(daemon):
    daemon.edit(CONFIG.replace("float32", "logits"))
    swapped = daemon.wait_for("model-swapped")
    assert swapped["message"].startswith("Changed: model float32 → logits; in ")
    assert swapped["message"].endswith(" 0 samples lost")
    assert (swapped["model_before"], swapped["model"], swapped["lost"]) == ("float32", "logits", 0)
    assert swapped["model_before_sha256"] == daemon.wait_for("listening")["model_sha256"] != swapped["model_sha256"]
    daemon.wait_predictions(3)
    lines = daemon.lines[: daemon.lines.index(swapped)]
    assert {line["model"] for line in lines if line["type"] == "prediction"} == {"float32"}
    hops = {
        round(after["position_s"] - before["position_s"], 6)
        for before, after in zip(daemon.predictions(), daemon.predictions()[1:], strict=False)
    }
    assert len(hops) == 1, "a window is missing, or was cut twice"
    assert daemon.predictions()[-1]["model"] == "logits"
    assert lost(daemon) == 0


def test_a_model_with_other_windows_takes_over_without_a_gap(daemon):
    daemon.edit(CONFIG.replace("float32", "waveform"))
    assert daemon.wait_for("model-swapped")["lost"] == 0
    daemon.edit(CONFIG.replace("0.1", "0.3"))
    assert daemon.wait_for("model-swapped", 2)["lost"] == 0
    daemon.wait_predictions(2)
    assert lost(daemon) == 0
    assert daemon.predictions()[-1]["model"] == "float32"


def test_a_model_of_a_higher_sample_rate_reopens_the_microphone_and_says_what_that_cost(daemon):
    daemon.edit(CONFIG.replace("float32", "faster"))
    swapped = daemon.wait_for("model-swapped")
    assert [one["sample_rate"] for one in daemon.of_kind("listening")] == [16_000, 22_050]
    assert 0 <= swapped["lost"] + swapped["lost_reopened"] < (swapped["took_s"] + RING_S) * 22_050
    daemon.wait_predictions(3)
    assert daemon.predictions()[-1]["model"] == "faster"


def test_thresholds_and_hop_are_applied_at_once(daemon):
    daemon.edit(CONFIG.replace("0.1", "0.2") + "decisions: {on: 0.0, off: 0.0, smoothing_s: 0}\n")
    applied = daemon.wait_for("config-applied")
    assert applied["changes"] == (
        "hop_s 0.1 → 0.2, decisions.smoothing_s unset → 0.0, decisions.on unset → 0.0, decisions.off unset → 0.0"
    )
    assert applied["lost"] == 0
    wait_until(lambda: [line for line in daemon.lines if line["type"] == "event"], "events")


def test_the_microphone_is_opened_again_only_when_its_own_keys_change(daemon):
    daemon.edit(CONFIG + "decisions: {on: 0.9}\n")
    daemon.wait_for("config-applied")
    assert len(daemon.of_kind("listening")) == 1
    daemon.edit(CONFIG + "  block_ms: 40\ndecisions: {on: 0.9}\n")
    applied = daemon.wait_for("config-applied", 2)
    assert len(daemon.of_kind("listening")) == 2
    # What could not be heard meanwhile is stated: no more than the time that passed, and what was not yet heard then.
    assert 0 <= applied["lost"] + applied["lost_reopened"] < (applied["took_s"] + RING_S) * 16_000
    daemon.wait_predictions(3)


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "reason"),
    [
        ("model: float32", "model: nothing", 1, "model", "there is no model 'nothing'"),
        ("hop_s: 0.1", "hop_s: fast", 2, "hop_s", "must be a number from 0.01 to 60"),
        ("hop_s:", "hops:", 2, "hops", "did you mean hop_s?"),
        ("device: mic", "device: nobody", 4, "microphone.device", "there is no microphone named 'nobody'"),
        ("hop_s: 0.1", "hop_s: [", 4, "", "is not valid YAML"),
    ],
)
def test_a_broken_edit_keeps_everything_as_it_was_and_says_once_where_and_why(daemon, old, new, line, key, reason):
    broken = CONFIG.replace(old, new)
    entry = rejected(daemon, broken)
    assert entry["severity"] == "error"
    assert (entry["file"], entry["line"], entry["key"]) == (str(daemon.config), line, key)
    assert reason in entry["reason"]
    daemon.wait_predictions(3)
    assert daemon.predictions()[-1]["model"] == "float32"
    daemon.wait_told("STATUS", f"refused: {daemon.config}:{line}:")
    daemon.edit(broken)
    assert daemon.reload().returncode == 1
    assert len(daemon.of_kind("swap-refused")) == 1
    daemon.edit(CONFIG)
    wait_until(lambda: "refused" not in [one for one in daemon.told if "STATUS" in one][-1]["STATUS"], "mended")
    daemon.wait_for("config-applied")
    assert len(daemon.of_kind("config-applied")) == 1


def test_a_refused_microphone_stays_refused_while_the_one_of_before_is_opened_again(daemon):
    entry = rejected(daemon, CONFIG.replace("device: mic", "device: nobody"))
    for _ in range(100):  # some of them come while it is
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.01)
    assert daemon.reload().returncode == 1
    daemon.wait_predictions(3)
    assert {line["reason"] for line in daemon.of_kind("swap-refused")} == {entry["reason"]}
    assert daemon.of_kind("config-applied") == []
    assert daemon.of_kind("device-lost") == []


def test_a_model_that_fails_its_check_never_touches_the_one_that_runs(daemon, folder):
    weights = folder / "models" / "logits" / "model.tflite"
    weights.write_bytes(weights.read_bytes()[:-100])
    entry = rejected(daemon, CONFIG.replace("float32", "logits"))
    assert "sha256" in entry["key"]
    daemon.wait_predictions(3)
    assert daemon.predictions()[-1]["model"] == "float32"


def test_mending_the_package_that_was_refused_is_enough(daemon, folder):
    weights = folder / "models" / "logits" / "model.tflite"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    rejected(daemon, CONFIG.replace("float32", "logits"))
    weights.write_bytes(whole)
    assert daemon.wait_for("model-swapped")["model"] == "logits"


def test_a_package_that_is_replaced_while_it_runs_is_swapped_too(daemon, folder):
    other, own = folder / "models" / "logits", folder / "models" / "float32"
    (own / "model.tflite").write_bytes((other / "model.tflite").read_bytes())
    manifest = (other / "model.yaml").read_text().replace("name: logits", "name: float32")
    (own / "model.yaml").write_text(manifest)
    swapped = daemon.wait_for("model-swapped")
    assert re.match(r"Changed: model float32 [0-9a-f]{8} → [0-9a-f]{8}; ", swapped["message"])
    assert swapped["lost"] == 0


def test_a_file_that_is_saved_in_two_steps_is_read_when_it_is_whole(daemon):
    text = CONFIG.replace("float32", "logits")
    longest_s = 0.0
    for _ in range(5):
        began_s = time.monotonic()
        with daemon.config.open("w") as file:  # emptied first, which alone would mean the defaults
            file.flush()
            time.sleep(0.3)
            file.write(text[:20])
            file.flush()
            time.sleep(0.3)
            file.write(text[20:])
        with daemon.config.open("a") as file:
            file.write("# saved again\n")
        longest_s = max(longest_s, time.monotonic() - began_s)
    assert daemon.wait_for("model-swapped")["model"] == "logits"
    daemon.wait_predictions(10)
    assert len(daemon.of_kind("model-swapped")) == 1
    if longest_s < 2:  # an editor that a busy machine holds up for longer is not waited for
        assert daemon.of_kind("swap-refused") == []


def test_a_file_that_stays_empty_is_refused_rather_than_read_as_the_defaults(daemon):
    assert "is empty" in rejected(daemon, "")["reason"]
    daemon.wait_predictions(3)
    assert daemon.predictions()[-1]["model"] == "float32"


def test_a_hundred_edits_and_a_hundred_signals_a_second_settle_on_the_last_valid_state(daemon):
    models = ("float32", "float16", "logits", "nothing", "waveform")
    for number in range(100):
        daemon.config.write_text(CONFIG.replace("float32", models[number % 5]))
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.01)
    daemon.edit(CONFIG.replace("float32", "logits"))
    assert daemon.reload().returncode == 0
    wait_until(lambda: daemon.predictions()[-1]["model"] == "logits", "the last state")
    refused = len(daemon.of_kind("swap-refused"))
    daemon.edit(CONFIG.replace("float32", "nothing"))
    daemon.wait_for("swap-refused", refused + 1)
    for _ in range(100):
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.01)
    daemon.wait_predictions(5)
    assert daemon.predictions()[-1]["model"] == "logits"
    assert len(daemon.of_kind("swap-refused")) == refused + 1
    assert lost(daemon) == 0


def test_reload_says_what_has_changed_and_fails_with_the_reason_when_it_was_refused(daemon):
    unchanged = daemon.reload()
    assert (unchanged.returncode, unchanged.stdout) == (0, "No changes.\n")
    daemon.edit(CONFIG.replace("float32", "logits"))
    swapped = daemon.reload()
    assert swapped.returncode == 0
    assert "model float32 → logits" in swapped.stdout
    daemon.edit(CONFIG.replace("float32", "nothing"))
    refused = daemon.reload()
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"audiomon: {daemon.config}:1: model: there is no model 'nothing'")
    assert len(refused.stderr.splitlines()) == 1


def test_systemd_is_told_of_a_reload_from_beginning_to_end(daemon):
    daemon.edit(CONFIG.replace("float32", "logits"))
    daemon.wait_for("model-swapped")
    wait_until(lambda: sum("READY" in one for one in daemon.told) == 2, "ready again")
    kinds = [next(iter(one)) for one in daemon.told if {"READY", "RELOADING"} & one.keys()]
    assert kinds == ["READY", "RELOADING", "READY"]


def test_what_the_catalog_tells_of_an_entry_is_in_the_entry(daemon, own_virtual_microphone):
    daemon.edit(CONFIG.replace("float32", "logits"))
    daemon.wait_for("model-swapped")
    daemon.edit(CONFIG.replace("float32", "nothing"))
    daemon.wait_for("swap-refused")
    daemon.edit(CONFIG.replace("float32", "logits").replace("0.1", "0.2"))
    daemon.wait_for("config-applied")
    own_virtual_microphone("unplug", "mic")
    daemon.wait_for("device-lost")
    own_virtual_microphone("plug", "mic")
    daemon.wait_for("device-back")
    daemon.stop()
    daemon.wait_for_end("summary")
    statuses = [line for line in daemon.lines if line["type"] == "status"]
    assert {line["kind"] for line in statuses} >= {
        "listening", "model-swapped", "swap-refused", "config-applied", "device-lost", "device-back", "summary"
    }  # fmt: skip
    for line in statuses:
        named = re.findall(r"@AUDIOMON_(\w+)@", "\n".join(EXPLANATIONS[MESSAGE_IDS[line["kind"]]]))
        # The journal adds the model to every entry.
        assert {name.lower() for name in named} <= line.keys() | {"model"}, line["kind"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_it_is_told_and_sums_up(daemon, number):
    daemon.process.send_signal(number)
    assert daemon.process.wait(PATIENCE_S) == 0
    assert daemon.wait_for_end("summary")["predictions"] == len(daemon.predictions())
    daemon.wait_told("STOPPING", "1")


def test_what_is_on_when_it_stops_ends(folder, own_virtual_microphone):
    config = CONFIG + "decisions: {on: 0.0, off: 0.0, smoothing_s: 0, min_off_s: 0}\n"
    with running_daemon(folder, own_virtual_microphone.environment, config) as daemon:
        daemon.wait_predictions(3)
        assert daemon.stop() == 0
        daemon.wait_for_end("summary")
        states = [(line["label"], line["state"]) for line in daemon.lines if line["type"] == "event"]
        assert {label for label, state in states if state == "on"} == {
            label for label, state in states if state == "off"
        }


def test_a_microphone_that_goes_and_comes_back_is_listened_to_again(daemon, own_virtual_microphone):
    # On a machine that is busy enough, it began without one, too.
    before = len(daemon.of_kind("device-back"))
    own_virtual_microphone("unplug", "mic")
    gone = daemon.wait_for("device-lost")
    assert gone["severity"] == "error"
    daemon.wait_told("STATUS", "lost: ")
    own_virtual_microphone("plug", "mic")
    back = daemon.wait_for("device-back", before + 1)
    assert back["lost_away"] > 0
    daemon.wait_predictions(3)
    assert daemon.process.poll() is None


def test_it_is_ready_without_a_microphone_and_listens_when_one_appears(folder, own_virtual_microphone):
    own_virtual_microphone("unplug", "mic")
    with running_daemon(folder, own_virtual_microphone.environment, CONFIG) as daemon:
        daemon.wait_for("device-absent")
        assert daemon.wait_told("READY", "1")
        daemon.edit(CONFIG.replace("float32", "logits"))
        assert "there is no microphone" in daemon.reload().stdout
        own_virtual_microphone("plug", "mic")
        daemon.wait_for("device-back")
        daemon.wait_predictions(3)
        assert daemon.predictions()[-1]["model"] == "logits"


def test_the_watchdog_is_fed_while_all_moves(folder, own_virtual_microphone):
    environment = {**own_virtual_microphone.environment, "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": ""}
    with running_daemon(folder, environment, CONFIG) as daemon:
        wait_until(lambda: sum(one.get("WATCHDOG") == "1" for one in daemon.told) >= 3, "three signs of life")


def test_the_daemon_never_imports_what_only_the_lab_needs(folder, own_virtual_microphone, monkeypatch):
    # Python runs this in every process that finds it: at its end, the daemon writes down all that it has imported.
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import atexit, sys\n"
        "if 'run' in sys.argv:\n"
        f"    atexit.register(lambda: open({str(folder / 'modules')!r}, 'w').write(' '.join(sys.modules)))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(site))
    with running_daemon(folder, own_virtual_microphone.environment, CONFIG) as daemon:
        daemon.wait_predictions(3)
        daemon.edit(CONFIG.replace("float32", "logits"))
        daemon.wait_for("model-swapped")
        assert daemon.stop() == 0
    modules = set((folder / "modules").read_text().split())
    assert {"numpy", "sounddevice", "audiomon.daemon.supervisor"} <= modules
    packages = {module.partition(".")[0] for module in modules}
    assert not packages & {
        "librosa",
        "scipy",
        "numba",
        "tensorflow",
        "keras",
        "tf_keras",
        "matplotlib",
        "sklearn",
        "tflite",
        "aiohttp",
        "aiomqtt",
        "asyncio",
        "prometheus_client",
    }
    assert not [module for module in modules if module.startswith(("audiomon.lab", "audiomon.link"))]
    assert "soundfile" not in modules
