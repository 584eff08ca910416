"""The checking process: ``python -m audiomon.models.checking FOLDER BACKEND`` loads one package and runs its self-test.

Prints one JSON object, `Verdict`. A damaged model may crash it; that is what it is for. It writes no file, and takes no
more of the machine than it allows itself before it reads the package. Where it is root's, it is nobody's by the time
that the model runs.
"""

import contextlib
import os
import resource
import sys
from pathlib import Path
from typing import cast

import msgspec

from audiomon.errors import AudiomonError, ModelError
from audiomon.models.classifier import CHECK_PATIENCE_S, Classifier, Verdict, self_test_window
from audiomon.models.interpreter import Backend, import_runtime
from audiomon.models.package import WEIGHTS, ModelPackage, read_package

# Python, NumPy and an interpreter take 130 MB of addresses, the largest model that is read at all four times its size.
LARGEST_MEMORY_BYTES = 1 << 30
_LIMITS = (
    (resource.RLIMIT_AS, LARGEST_MEMORY_BYTES),
    (resource.RLIMIT_CPU, CHECK_PATIENCE_S),
    (resource.RLIMIT_FSIZE, 0),  # not a byte into any file; what it prints goes into a pipe
    (resource.RLIMIT_NOFILE, 64),
    (resource.RLIMIT_CORE, 0),
)
# The kernel's own number for whoever is none of its users, and for the group; Debian's nobody and nogroup.
_NOBODY = 65_534
# When memory runs out all the same, the kernel is to end this process and not the one that listens.
_OOM_SCORE = Path("/proc/self/oom_score_adj")


def main() -> None:
    """Check the package named on the command line."""
    limit_resources()
    print(msgspec.json.encode(verdict(Path(sys.argv[1]), cast(Backend, sys.argv[2]))).decode())


def limit_resources() -> None:
    """Take from this process what a hostile model could use; the system may allow it less already."""
    with contextlib.suppress(OSError):  # no /proc here, or not ours to write
        _OOM_SCORE.write_text("1000", encoding="ascii")
    for what, most in _LIMITS:
        _, hard = resource.getrlimit(what)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))


def become_nobody() -> None:
    """Give up root's rights, and the terminal, into which one could type for root."""
    with contextlib.suppress(OSError):  # a group's leader already: it has been started by hand
        os.setsid()
    with contextlib.suppress(OSError):  # a root without the right to, in a container, is not much of one
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _import_all(package: ModelPackage, backend: Backend) -> None:
    """Import what running a model imports: nobody may not read a Python that lies in somebody's home."""
    for test in package.manifest.self_test:
        self_test_window(test.signal, package.manifest.input)
    with contextlib.suppress(ModelError):  # said when the model is loaded
        import_runtime(backend)


def verdict(folder: Path, backend: Backend) -> Verdict:
    """Load a package and run its self-test."""
    try:
        package = read_package(folder)
        if os.geteuid() == 0:
            _import_all(package, backend)
            become_nobody()
        answers = Classifier(package, backend).self_test_answers()
    except AudiomonError as error:
        return Verdict(error=str(error))
    except MemoryError:
        # A damaged model asks for what its garbage says.
        most = f"{LARGEST_MEMORY_BYTES >> 20} MiB"
        return Verdict(error=f"{folder / WEIGHTS}: {backend} needs more than {most} of memory for it; is it damaged?")
    return Verdict(fingerprint=package.fingerprint, answers=answers)


if __name__ == "__main__":
    main()
