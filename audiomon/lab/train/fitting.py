"""One network trained and converted: what runs in TensorFlow's process, from materials to .tflite files."""

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from audiomon import __version__
from audiomon.config import Decisions
from audiomon.lab.convert import Precision, convert
from audiomon.lab.networks import network_source
from audiomon.lab.original import OriginalModel
from audiomon.lab.proof import Answered, Labelled, random_windows
from audiomon.lab.tensorflow_process import Progress, import_tensorflow
from audiomon.lab.train.drawing import Drawer, Material, plain_windows
from audiomon.lab.train.loop import Epoch, Validation, fit
from audiomon.lab.train.settings import TrainingSettings

_CALIBRATION_WINDOWS = 400
# Of one recording, so that one of ten hours is not all that counts.
_VALIDATION_WINDOWS_EACH = 100
_PROOF_WINDOWS = 100


@dataclass(frozen=True, slots=True)
class Job:
    """What one training is given.

    Attributes:
        settings: how.
        classes: how many.
        training: what is learned from.
        validation: what early stopping looks at; none, and it does not stop early.
        noise: what is mixed in behind.
        background: number of the class that is everything else; None for none.
        precisions: forms to convert the result to.
        threads: for TensorFlow.
    """

    settings: TrainingSettings
    classes: int
    training: list[Material]
    validation: list[Material]
    noise: list[Material]
    background: int | None
    precisions: tuple[Precision, ...]
    threads: int

    @property
    def fingerprint(self) -> str:
        """Different for everything that could make another model."""
        sounds = [
            [(one.label, one.takes[0].digest, len(one.takes)) for one in materials]
            for materials in (self.training, self.validation, self.noise)
        ]
        settings = msgspec.structs.replace(self.settings, decisions=Decisions(), false_events_per_hour=0)
        decisive = msgspec.json.encode([__version__, settings, self.classes, self.background, sounds])
        return hashlib.blake2b(decisive + network_source(settings.network), digest_size=12).hexdigest()

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return max(1, round(len(self.training) * self.settings.windows / self.settings.batch))


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of it.

    Attributes:
        epochs: how it went.
        parameters: of the network.
        contents: .tflite files, by precision.
        compared: windows that the Keras model has answered, to hold the files to.
        labelled: windows of known class, answered too.
    """

    epochs: tuple[Epoch, ...]
    parameters: int
    contents: dict[Precision, bytes]
    compared: dict[str, Answered]
    labelled: Labelled


def fit_network(progress: Progress, job: Job, checkpoint: Path) -> Trained:
    """Train one network and convert it. Runs in TensorFlow's process; ``progress`` gets every `Epoch`.

    Args:
        progress: called after every epoch.
        job: what to do.
        checkpoint: folder that is written after every epoch, and continued from.
    """
    tensorflow = import_tensorflow(gpu=True)
    with contextlib.suppress(RuntimeError):  # in use already: a second training in this process
        tensorflow.config.threading.set_intra_op_parallelism_threads(job.threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    if not tensorflow.config.list_physical_devices("GPU"):
        tensorflow.config.experimental.enable_op_determinism()
    spec = job.settings.spec
    drawer = Drawer(job.training, job.classes, job.settings, job.noise, job.background)
    validation = None
    if job.validation and job.settings.patience:
        windows, labels = plain_windows(job.validation, spec, _VALIDATION_WINDOWS_EACH)
        validation = Validation(windows, labels)
    model, epochs = fit(drawer.draw, spec.shape, job.classes, job.settings, job.steps, checkpoint, validation, progress)
    original = OriginalModel("trained here", lambda x: model(x, training=False), (*spec.shape, 1), (), model)
    each = max(1, _CALIBRATION_WINDOWS // len(job.training))
    windows, labels = plain_windows(job.training, spec, each)
    windows = windows[..., np.newaxis]
    contents = {precision: convert(original, precision, windows).content for precision in job.precisions}
    chosen = np.linspace(0, len(windows) - 1, min(_PROOF_WINDOWS, len(windows))).astype(int)
    recorded = Answered(windows[chosen], original.answers(windows[chosen]))
    random = random_windows(original.input_shape, _PROOF_WINDOWS)
    compared = {"random": Answered(random, original.answers(random)), "recorded": recorded}
    return Trained(tuple(epochs), model.count_params(), contents, compared, Labelled(recorded, labels[chosen]))
