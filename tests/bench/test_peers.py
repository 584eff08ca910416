"""audiomon beside its peers: real processes in real environments, none of which comes from a registry."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomon.errors import AudiomonError, InputError
from audiomon.models.interpreter import installed_backends
from audiomon.models.package import find_package, read_package
from tests.bench.live.measure import librosa_arguments, librosa_levels
from tests.bench.peers import environments as peers_environments
from tests.bench.peers.contest import LOOPS, Contender, Contest, Effort, run_contests
from tests.bench.peers.contests import write_sounds
from tests.bench.peers.environments import Environment, SetUpError, existing, set_up
from tests.bench.peers.loops import audiomon_listener, litert_waveform
from tests.bench.peers.table import document, table
from tests.models.tiny import FIXTURES, WAVEFORM, write_tiny

BACKEND = installed_backends()[0]
EFFORT = Effort(rounds=1, turns=2, burst_s=1.0)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """One that needs a package which is nowhere but in a file here."""
    wheel = tmp_path_factory.mktemp("wheels") / "tinypeer-1.5-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tinypeer.py", "answer = 42\n")
        info = "tinypeer-1.5.dist-info"
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinypeer\nVersion: 1.5\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")
    return Environment("tiny", (f"tinypeer @ {wheel.as_uri()}",), 1)


@pytest.fixture(scope="module")
def environments(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the environment has been set up."""
    folder = tmp_path_factory.mktemp("environments")
    told: list[str] = []
    assert existing(environment, folder) is None
    ready = set_up(environment, folder, told.append)
    assert ready.versions == {"tinypeer": "1.5"}
    (line,) = told
    assert "tinypeer" in line
    assert str(folder) in line
    return folder


@pytest.fixture
def contender(tmp_path: Path, environment: Environment) -> Contender:
    """A loop that has its own package, and neither audiomon nor NumPy."""
    loop = tmp_path / "loop.py"
    loop.write_text(
        "import importlib.util\n"
        "import tinypeer\n"
        "def answers(read, hop):\n"
        "    print('hello')\n"
        "    assert not any(map(importlib.util.find_spec, ('audiomon', 'numpy')))\n"
        "    while True:\n"
        "        assert len(read(hop)) == 2 * hop\n"
        "        yield tinypeer.answer\n"
    )
    return Contender("tiny peer", loop, {"hop": 1600}, 16_000, environment, reach=1000.0)


@pytest.fixture
def ours(tmp_path: Path) -> Contender:
    options = {"model": str(write_tiny(tmp_path / "tiny")), "backend": BACKEND, "hop_s": 0.1}
    return Contender("audiomon", LOOPS / "audiomon_listener.py", options, 16_000)


def test_an_environment_is_made_once(environment, environments):
    told: list[str] = []
    again = set_up(environment, environments, told.append)
    assert told == []
    assert again.python == existing(environment, environments)


def test_an_environment_for_other_packages_is_not_that_environment(environment, environments):
    assert existing(Environment("tiny", (*environment.packages, "more"), 1), environments) is None


def test_an_environment_that_cannot_be_made_leaves_nothing_behind(tmp_path):
    wanted = Environment("none", (f"none @ {(tmp_path / 'none-1-py3-none-any.whl').as_uri()}",), 1)
    with pytest.raises(SetUpError, match="pip cannot install none") as caught:
        set_up(wanted, tmp_path / "environments", lambda _: None)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "environments").iterdir()] == [".lock"]


def test_environments_are_kept_in_the_user_s_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert peers_environments.cache_folder() == tmp_path / "audiomon" / "peers"


def test_contenders_hear_the_same_and_are_compared(contender, ours, environments, tmp_path):
    contest = Contest("tiny", "the tiny model", (ours, contender))
    sounds = write_sounds([contest], None, tmp_path)
    assert list(sounds) == [16_000]
    results, left_out = run_contests([contest], sounds, EFFORT, environments, lambda _: None, lambda _: None)
    assert left_out == []
    mine, theirs = results[0].rows
    for row in (mine, theirs):
        assert len(row.cpu_ms_per_s) == EFFORT.turns
        assert min(row.cpu_ms_per_s + row.start_s + row.windows_per_s) > 0
    # NumPy and an interpreter against nothing at all
    assert mine.peak_rss_mb[0] > theirs.peak_rss_mb[0] > 1
    assert mine.cpu > theirs.cpu
    assert theirs.ratio(mine) > 1
    text = table(results, left_out)
    assert "tiny peer, tinypeer 1.5" in text
    assert "<= 1000 ×  reached" in text
    facts = json.loads(json.dumps(document(results, left_out)))
    assert [one["name"] for one in facts["contests"][0]["contenders"]] == ["audiomon", "tiny peer"]
    assert facts["contests"][0]["contenders"][1]["versions"] == {"tinypeer": "1.5"}
    assert facts["figures"][0]["reached"] is True


def test_where_audiomon_is_not_as_light_as_it_must_be_the_table_says_so(contender, ours, environments, tmp_path):
    strict = Contender(contender.name, contender.loop, contender.options, 16_000, contender.environment, reach=1e-6)
    contest = Contest("tiny", "the tiny model", (ours, strict))
    sounds = write_sounds([contest], None, tmp_path)
    results, _ = run_contests([contest], sounds, EFFORT, environments, lambda _: None, lambda _: None)
    assert "MISSED" in table(results, [])


def test_a_peer_that_does_not_run_here_is_left_out_with_its_reason(contender, ours, environments, tmp_path):
    contender.loop.write_text("import nothing_of_the_kind\n")
    contest = Contest("tiny", "the tiny model", (ours, contender))
    sounds = write_sounds([contest], None, tmp_path)
    results, left_out = run_contests([contest], sounds, EFFORT, environments, lambda _: None, lambda _: None)
    assert [row.contender.name for row in results[0].rows] == ["audiomon"]
    assert "No module named 'nothing_of_the_kind'" in left_out[0].reason
    assert "left out: tiny peer: " in table(results, left_out)


def test_audiomon_failing_is_a_failure(ours, environments, tmp_path):
    broken = Contender("audiomon", ours.loop, {**ours.options, "model": str(tmp_path / "none")}, 16_000)
    contest = Contest("tiny", "the tiny model", (broken,))
    with pytest.raises(AudiomonError, match="audiomon failed"):
        run_contests(
            [contest], write_sounds([contest], None, tmp_path), EFFORT, environments, lambda _: None, lambda _: None
        )


def test_a_recording_is_heard_at_every_rate(contender, tmp_path):
    other = Contender("other", contender.loop, {}, 8000)
    contests = [Contest("tiny", "", (contender, other))]
    path = tmp_path / "tone.flac"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * np.arange(44_100 * 4) / 44_100), 44_100)
    for rate, file in write_sounds(contests, path, tmp_path).items():
        samples, found = soundfile.read(file, dtype="int16")
        assert found == rate
        assert abs(len(samples) / rate - 4) < 0.1
        assert pytest.approx(np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples), abs=1) == 440
    soundfile.write(path, np.zeros(44_100), 44_100)
    with pytest.raises(InputError, match=r"1\.0 s long"):
        write_sounds(contests, path, tmp_path)


def reading(samples: np.ndarray):
    """A loop's ``read`` over int16 samples."""
    position = 0

    def read(count: int) -> bytes:
        nonlocal position
        position += count
        assert position <= len(samples)
        return samples[position - count : position].tobytes()

    return read


def test_the_tutorial_loop_does_the_same_work():
    pytest.importorskip("librosa")
    from tests.bench.live import tutorial_loop

    folder = find_package("home", Path())
    spec = read_package(folder).manifest.input
    samples, _ = soundfile.read(folder / "sample.flac", dtype="int16")
    hop = spec.hop_frames(0.5) * spec.hop_length
    # Its first windows begin with silence: let them end where audiomon's end.
    late = spec.window_samples % hop
    theirs = tutorial_loop.answers(
        reading(samples[late:]),
        model=str(folder / "model.tflite"),
        backend=BACKEND,
        mel=librosa_arguments(spec),
        levels=librosa_levels(spec),
        window_samples=spec.window_samples,
        hop_samples=hop,
    )
    mine = audiomon_listener.answers(reading(samples), str(folder), BACKEND, 0.5)
    labels = read_package(folder).manifest.labels
    count = len(samples) // hop - 3
    first, second = [next(mine).prediction.label for _ in range(count)], [next(theirs) for _ in range(count + 1)]
    assert len(set(first)) > 1
    assert first[1:] == [labels[number] for number in second[2:]]


def test_the_plain_loop_does_the_same_work(tmp_path):
    folder = write_tiny(tmp_path / "tiny", "waveform")
    samples = np.random.default_rng(5).integers(-20_000, 20_000, 30 * WAVEFORM.samples).astype(np.int16)
    samples *= np.repeat(np.random.default_rng(6).integers(0, 2, 30), WAVEFORM.samples).astype(np.int16)
    module = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}[BACKEND]
    theirs = litert_waveform.answers(reading(samples), str(FIXTURES / "waveform.tflite"), module)
    mine = audiomon_listener.answers(reading(samples), str(folder), BACKEND, WAVEFORM.window_s)
    labels = read_package(folder).manifest.labels
    for _ in range(30):
        assert next(mine).prediction.label == labels[next(theirs)]


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_without_any_peer_the_command_says_how_to_get_each():
    done = bench(
        *("peers", "--rounds", 1, "--seconds", 1, "--json", "--interpreter", BACKEND),
        *("--environments", "/proc/nowhere"),
    )
    assert done.returncode == 0, done
    facts = json.loads(done.stdout)
    assert {one["contest"] for one in facts["contests"]} == {"hop-0.5", "hop-0.1", "wakeword", "front-end"}
    assert all(len(one["contenders"]) == 1 for one in facts["contests"])
    reasons = [one["reason"] for one in facts["left_out"]]
    assert "--yamnet" in reasons[0]
    assert all("/proc/nowhere" in reason for reason in reasons[1:])
    assert len(reasons) == 5


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--yamnet", "{}"], "tone.txt: is not a TFLite model"),
        (["--audio", "{}"], "tone.txt: is not audio"),
        (["--yamnet", "none"], "'none' does not exist"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(tmp_path, options, expected):
    (tmp_path / "tone.txt").write_text("no tone")
    done = bench("peers", *(option.format(tmp_path / "tone.txt") for option in options))
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
