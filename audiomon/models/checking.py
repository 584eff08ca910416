"""The checking process: ``python -m audiomon.models.checking FOLDER BACKEND BYTES`` loads a package and tests it.

Prints a JSON object, `Understood`, once it has read the package and compiled its rules, and another, `Verdict`, as its
last line. A damaged model may crash it; that is what it is for. It writes no file, and before it reads the package it
limits itself: to BYTES of memory, and in all else that could use the machine up. Where it is root's, it is nobody's by
the time that the model runs. It ends when its caller does.
"""

import contextlib
import fcntl
import os
import resource
import select
import sys
import time
from pathlib import Path
from typing import cast

import msgspec

from audiomon.errors import AudiomonError, ConfigError, ModelError
from audiomon.models.checking_process import MAX_CHECK_S, MAX_ERROR_CHARS, MAX_MEMORY_BYTES, Place, Understood, Verdict
from audiomon.models.classifier import Classifier, self_test_window
from audiomon.models.interpreter import Backend, InterpreterError, import_runtime
from audiomon.models.package import MANIFEST, WEIGHTS, ModelPackage, read_package

# Loading holds Python's lock: in the daemon nothing else runs meanwhile, and the microphone's samples wait in ALSA's
# buffer, which holds half a second. CPU time, so that a busy machine refuses no model; 55 MB take 0.06 s on a PC.
MAX_LOAD_S = 0.4
# The caller reads it once more, and does nothing else meanwhile. Ten thousand labels take 0.1 s on a PC.
MAX_READ_S = 4.0
# The hard limit, which kills without a name, lies above the soft one, which ends the process by SIGXCPU.
_HARD_CPU_S = MAX_CHECK_S + 5
_LIMITS = (
    (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
    (resource.RLIMIT_FSIZE, 0),  # not a byte into any file; what it prints goes into a pipe
    (resource.RLIMIT_NOFILE, 64),
    (resource.RLIMIT_CORE, 0),
)
# The kernel's overflow user and group; Debian's nobody and nogroup.
_NOBODY = 65_534
# When memory runs out all the same, the kernel is to end this process and not the one that listens.
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_STATUS = Path("/proc/self/status")


def main() -> None:
    """Check the package named on the command line."""
    end_with_caller()
    folder, backend, memory_bytes = Path(sys.argv[1]), cast(Backend, sys.argv[2]), int(sys.argv[3])
    limit_resources(memory_bytes)
    say("\n", verdict(folder, backend, memory_bytes))
    os._exit(0)  # nothing that a library says on its way out may follow the verdict


def say(before: str, what: Understood | Verdict) -> None:
    """Print a line for the caller."""
    print(before + msgspec.json.encode(what).decode(), flush=True)


def end_with_caller() -> None:
    """Have the kernel end this process when its caller ends, which closes the other end of standard input.

    By SIGIO, whose default is to end a process: a thread would wait for Python's lock, which loading a model holds, and
    PR_SET_PDEATHSIG fires when the thread that started this process ends, though its process lives on.
    """
    fcntl.fcntl(sys.stdin, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(sys.stdin, fcntl.F_SETFL, fcntl.fcntl(sys.stdin, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([sys.stdin], [], [], 0)[0]:  # closed already
        sys.exit(1)


def limit_resources(memory_bytes: int) -> None:
    """Take from this process what a hostile model could use; the system may allow it less already.

    Args:
        memory_bytes: how much memory it may fill, with Python, NumPy, the interpreter and the model.
    """
    with contextlib.suppress(OSError):  # no /proc here, or not ours to write
        _OOM_SCORE.write_text("1000", encoding="ascii")
    for what, most in (*_LIMITS, (resource.RLIMIT_DATA, memory_bytes + _reserved_bytes())):
        _, hard = resource.getrlimit(what)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    hard = _HARD_CPU_S if hard == resource.RLIM_INFINITY else min(_HARD_CPU_S, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (min(MAX_CHECK_S, hard), hard))


def _reserved_bytes() -> int:
    """Return how much has been asked of the kernel and not filled, which NumPy does: the limit counts that too."""
    with contextlib.suppress(OSError, ValueError, KeyError):  # no /proc here, or another one
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if "kB" in rest}
        return max(0, kib["VmData"] - kib["RssAnon"]) << 10
    return 0


def become_nobody() -> None:
    """Give up root's rights, and the terminal, into which one could type for root."""
    with contextlib.suppress(OSError):  # a group's leader already: it has been started by hand
        os.setsid()
    with contextlib.suppress(OSError):  # a root without the right to, in a container, is not much of one
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _import_all(package: ModelPackage, backend: Backend) -> None:
    """Import what running a model imports: nobody may not read a Python that lies in a user's home."""
    for test in package.manifest.self_test:
        self_test_window(test.signal, package.manifest.input)
    with contextlib.suppress(ModelError):  # said when the model is loaded
        import_runtime(backend)


def verdict(folder: Path, backend: Backend, memory_bytes: int = MAX_MEMORY_BYTES) -> Verdict:
    """Load a package, run its self-test, and see that it repeats itself.

    Args:
        folder: of the package.
        backend: which runtime.
        memory_bytes: how much memory there is for it, for messages.
    """
    try:
        began_s = time.thread_time()
        package = read_package(folder)
        if (read_s := time.thread_time() - began_s) > MAX_READ_S:
            raise ModelError(
                f"takes {read_s:.2g} s to read; at most {MAX_READ_S:g} s are allowed", path=folder / MANIFEST
            )
        say("", Understood(package.digest))
        if os.geteuid() == 0:
            _import_all(package, backend)
            become_nobody()
        began_s = time.thread_time()
        classifier = Classifier(package, backend)
        load_s = time.thread_time() - began_s
        if load_s > MAX_LOAD_S:
            raise ModelError(
                f"takes {load_s:.2g} s to load, during which nothing can listen; at most {MAX_LOAD_S:g} s are allowed",
                path=package.weights,
            )
        answers = classifier.self_test_answers()
        classifier.check_repeatable()
    except AudiomonError as error:
        if isinstance(error, InterpreterError) and memory_bytes < MAX_MEMORY_BYTES:
            # It may be for want of memory; neither runtime says so.
            error.reason += f" (there are {memory_bytes >> 20} MiB of memory for its check here)"
        return _refusal(folder, error)
    except MemoryError:
        most = f"{memory_bytes >> 20} MiB"
        return Verdict(error=f"its check needs more memory than there is for it here: {most}", file="model.tflite")
    return Verdict(fingerprint=package.fingerprint, answers=answers, load_s=load_s, clipped=classifier.clipped())


def _refusal(folder: Path, error: AudiomonError) -> Verdict:
    """Say what is wrong, and where, as far as that is in the package."""
    name: Place = ""
    if error.path == folder:
        name = "."
    elif error.path == folder / MANIFEST:
        name = "model.yaml"
    elif error.path == folder / WEIGHTS:
        name = "model.tflite"
    reason = error.reason if name or error.path is None else str(error)
    return Verdict(
        error=reason[:MAX_ERROR_CHARS],
        file=name,
        line=error.line,
        key=error.key,
        in_manifest=isinstance(error, ConfigError),
    )


if __name__ == "__main__":
    main()
