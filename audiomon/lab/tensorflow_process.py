"""A process of its own for TensorFlow.

Its chatter stays there, a model that crashes it takes nothing else along, and the TFLite runtimes are spared its
company (tflite-runtime 2.14 fails to load models in a process that has TensorFlow 2.21 in it).
"""

import contextlib
import ctypes
import importlib.util
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, TypeVar

from audiomon.errors import AudiomonError, UserError
from audiomon.extras import install_extra

INSTALL = install_extra("lab")

# glibc's mallopt(3): memory that a training step gives back is kept for the next one, instead of being given to the
# kernel and zeroed again, 200 MB a step: half of the time that a network of 76,000 weights takes to learn. Only the
# one arena grows without mmap.
_KEEP_MEMORY = {"M_ARENA_MAX": (-8, 1), "M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, 2**31 - 1)}

Result = TypeVar("Result")
Progress = Callable[[Any], None]


class TensorFlowProcess:
    """Runs functions where TensorFlow is. Use as a context manager; it starts on the first call and is kept.

    Raises:
        UserError: TensorFlow is not installed.
    """

    def __init__(self) -> None:
        if not is_installed():
            raise UserError(f"this needs TensorFlow, which is not installed: {INSTALL}")
        # spawn: a fork of a process with threads (a runtime's, BLAS's) may hang.
        context = multiprocessing.get_context("spawn")
        self._connection, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there,), daemon=True)
        self._process.start()
        there.close()

    def call(self, function: Callable[..., Result], *arguments: Any, progress: Progress = lambda _: None) -> Result:
        """Call a function there.

        Args:
            function: of a module; called with a `Progress` first, then the arguments.
            arguments: anything that can be pickled, as must be the result.
            progress: is called here with what the function says there: anything that can be pickled.

        Raises:
            AudiomonError: what the function raised, or that the process died.
        """
        self._connection.send((function, arguments))
        while True:
            try:
                kind, value = self._connection.recv()
            except EOFError:
                self._process.join()
                raise AudiomonError(_why_it_died(self._process.exitcode)) from None
            if kind == "progress":
                progress(value)
            elif kind == "failed":
                raise value
            else:
                return value  # type: ignore[no-any-return]

    def __enter__(self) -> "TensorFlowProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """End the process. A `call` that waits for it in another thread fails."""
        self._process.terminate()
        self._process.join()
        self._connection.close()


def is_installed() -> bool:
    """Whether TensorFlow can be imported, without importing it."""
    return importlib.util.find_spec("tensorflow") is not None


def import_tensorflow(*, gpu: bool = False) -> Any:
    """Import TensorFlow, with the GPU hidden, as in the measurement that this project began with, unless it is wanted.

    The first import of a process decides.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if not gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import tensorflow

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return tensorflow


def import_legacy_keras() -> Any:
    """Import tf-keras, which reads what Keras 2 wrote.

    Raises:
        UserError: it is not installed.
    """
    import_tensorflow()
    try:
        import tf_keras
    except ImportError:
        raise UserError(f"a model that Keras 2 wrote needs tf-keras, which is not installed: {INSTALL}") from None
    return tf_keras


def _serve(connection: Connection) -> None:
    """Answer calls until the other end closes. Runs in the child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    _keep_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            result = function(lambda stage: connection.send(("progress", stage)), *arguments)
        except AudiomonError as error:
            connection.send(("failed", error))
        except Exception as error:  # a defect here or in TensorFlow: say what it was, where the user can see it
            connection.send(("failed", AudiomonError(f"TensorFlow failed: {type(error).__name__}: {_one_line(error)}")))
        else:
            connection.send(("done", result))


def _end_with_parent() -> None:
    """End this process, in the middle of a training too, when its parent was killed and could not end it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _keep_memory() -> None:
    """Set malloc up for arrays of the same sizes, over and over; a C library other than glibc is left as it is."""
    with contextlib.suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in _KEEP_MEMORY.values():
            mallopt(parameter, value)


def _why_it_died(status: int | None) -> str:
    if status == -signal.SIGKILL:  # the kernel's, where memory runs out: nobody else uses it
        return "TensorFlow was killed, most likely for memory; for training, fewer --jobs or --windows need less"
    return f"TensorFlow crashed on this model (status {status}): it is damaged, or does not fit in memory"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:400]
