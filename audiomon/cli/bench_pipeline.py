"""``audiomon bench pipeline``: what listening costs, as ratios measured in one run."""

import importlib.util
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Literal

import click
import numpy as np

from audiomon.cli.bench import say
from audiomon.cli.settings import interpreter_option, model_option
from audiomon.errors import UserError
from audiomon.features import LogMelSpec
from audiomon.lab.bench import peers_table
from audiomon.lab.bench.peers import Effort, run_contests
from audiomon.lab.bench.peers_contests import contests, tutorial_environment, write_sounds
from audiomon.lab.bench.peers_environments import cache_folder, existing
from audiomon.lab.bench.pipeline import figures
from audiomon.lab.bench.pipeline_figures import Figure, table
from audiomon.lab.bench.pipeline_plan import Plan
from audiomon.models.interpreter import Backend, choose_backend, installed_backends
from audiomon.models.package import find_package, read_package

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@model_option
@interpreter_option
@click.option(
    "-d", "--device", help="Microphone to measure on; otherwise a virtual one, where PulseAudio is installed."
)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Figures are medians over these.")
@click.option(
    "--seconds", type=click.FloatRange(1), default=8, show_default=True, help="Seconds on the microphone, each time."
)
@click.option(
    "--loop-python",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Python with librosa for the tutorial loop; otherwise this one, if it has it, or that of --peers.",
)
@click.option("--peers", is_flag=True, help="Only beside what people would use instead, without a microphone.")
@click.option("--yamnet", type=_FILE, help="With --peers: the YAMNet file that MediaPipe uses, to compare on it too.")
@click.option("--audio", type=_FILE, help="With --peers: a recording to hear; otherwise generated sound.")
@click.option(
    "--environments",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --peers: folder for the environments of what is compared.  [default: ~/.cache/audiomon/peers]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all figures instead of a table.")
def pipeline(
    model: str | None,
    interpreter: Literal["auto", "litert", "tflite-runtime"] | None,
    device: str | None,
    rounds: int,
    seconds: float,
    loop_python: Path | None,
    peers: bool,
    yamnet: Path | None,
    audio: Path | None,
    environments: Path | None,
    as_json: bool,
) -> None:
    """Measure what listening costs here: beside its bare arithmetic, its floor, and the usual tutorial's loop.

    Contenders take turns, each in a process of its own; they disturb a machine that does something else, and are
    disturbed by it. Takes about five minutes.

    With --peers, audiomon is measured beside the tutorial's loop, MediaPipe's AudioClassifier, a plain loop,
    pyopen-wakeword and pymicro-features, on the same sound. The first time, their environments are installed in a
    folder of their own (about 1.5 GB, from PyPI); delete it to be rid of them.

    \b
    Examples:
      audiomon bench pipeline
      audiomon bench pipeline --interpreter litert --device usb --json
      audiomon bench pipeline --peers --yamnet yamnet.tflite
    """
    if not peers and (yamnet or audio or environments):
        raise UserError("--yamnet, --audio and --environments go with --peers")
    folder = find_package(model or "home", Path()).resolve()
    spec = read_package(folder).manifest.input
    if not isinstance(spec, LogMelSpec):
        raise UserError(f"{folder.name}: reads raw samples; choose a model with log-mel input")
    backends = (choose_backend(interpreter),) if interpreter else tuple(installed_backends())
    plan = Plan(
        folder=folder,
        spec=spec,
        backends=backends,
        rounds=rounds,
        live_s=seconds,
        bursts=10,
        speed_s=60 * seconds,
        device=device,
        loop_python=loop_python or _python_with_librosa(backends[0]),
    )
    if peers:
        _beside_peers(plan, yamnet, audio, environments or cache_folder(), as_json)
        return
    measured = list(figures(plan, say))
    say("")
    click.echo(json.dumps(_document(measured, plan), indent=1) if as_json else table(measured))


def _python_with_librosa(backend: Backend) -> Path | None:
    """Return this Python, or the one that --peers has set up; None if neither has librosa."""
    if importlib.util.find_spec("librosa"):
        return Path(sys.executable)
    return existing(tutorial_environment(backend), cache_folder())


def _beside_peers(plan: Plan, yamnet: Path | None, audio: Path | None, environments: Path, as_json: bool) -> None:
    effort = Effort(plan.rounds, plan.bursts, plan.live_s)
    with tempfile.TemporaryDirectory(prefix="audiomon-bench-") as folder:
        scratch = Path(folder)
        listed, absent = contests(plan, yamnet, scratch)
        sounds = write_sounds(listed, audio, scratch)
        results, left_out = run_contests(listed, sounds, effort, environments, _tell, say)
    say("")
    if as_json:
        facts = {
            **_document([], plan),
            "interpreter": plan.backends[0],
            **peers_table.document(results, absent + left_out),
        }
        click.echo(json.dumps(facts, indent=1))
    else:
        click.echo(peers_table.table(results, absent + left_out))


def _tell(what: str) -> None:
    say("")
    click.echo(f"audiomon: {what}", err=True)


def _document(measured: list[Figure], plan: Plan) -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "model": plan.folder.name,
        "rounds": plan.rounds,
        "seconds": plan.live_s,
        "figures": [figure.to_json() for figure in measured],
    }
