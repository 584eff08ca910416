"""Faults that cannot be had from outside, put into a daemon by a ``sitecustomize`` that its Python runs at its start.

A thread cannot be stopped, nor made to raise, by another process; a model that is too heavy for this machine would be
for another one not heavy enough. So a file that appears makes the real thing raise, hang or dawdle; everything around
it is real. Long times are shortened.
"""

from pathlib import Path

_CODE = """
import msgspec, os, sys, time, traceback

FOLDER = {folder!r}

def told(name):
    return os.path.exists(os.path.join(FOLDER, name))

def raise_if_told(name):
    if told(name):
        os.unlink(os.path.join(FOLDER, name))
        raise RuntimeError("told to")
    if told("always-" + name):
        raise RuntimeError("told to, every time")

def inject():
    import audiomon.audio.pump as pump
    import audiomon.daemon.sessions as sessions
    from audiomon.models.classifier import Classifier
    from audiomon.daemon.health import CaptureHealth, TIMES

    look, scores = pump._look, Classifier.scores

    def faulty_look(*arguments):
        raise_if_told("capture-raises")
        return look(*arguments)

    def faulty_scores(self, window):
        raise_if_told("inference-raises")
        while told("inference-hangs"):
            open(os.path.join(FOLDER, "in-effect-inference-hangs"), "w").close()
            time.sleep(0.05)
        if told("inference-dawdles"):
            time.sleep(float(open(os.path.join(FOLDER, "inference-dawdles")).read()))
        return scores(self, window)

    pump._look, Classifier.scores = faulty_look, faulty_scores
    sessions._WORKER_LATE_S, sessions.WORKER_STALLED_S = 2, 4
    CaptureHealth.__init__.__defaults__ = (msgspec.structs.replace(TIMES, doubtful_s=2.0, sound_s=1.0),)

if "run" in sys.argv:
    try:
        inject()
    except BaseException:  # Python itself would go on without the faults
        traceback.print_exc()
        os._exit(70)
"""


class Injection:
    """The switch of such faults.

    Args:
        folder: for the code, and for the files that switch it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(_CODE.format(folder=str(folder)))

    @property
    def environment(self) -> dict[str, str]:
        """What makes a daemon run it."""
        return {"PYTHONPATH": f"{self._folder}:{Path(__file__).resolve().parents[2]}"}

    def on(self, fault: str, content: str = "") -> None:
        draft = self._folder / ".draft"
        draft.write_text(content)
        draft.replace(self._folder / fault)

    def in_effect(self, fault: str) -> bool:
        """Say whether a fault that lasts has begun."""
        return (self._folder / f"in-effect-{fault}").exists()

    def off(self, fault: str) -> None:
        (self._folder / fault).unlink()
