"""The checking process: ``python -m audiomon.models.checking FOLDER BACKEND`` loads one package and runs its self-test.

Prints one JSON object, `Verdict`. A damaged model may crash it; that is what it is for. It writes no file, and takes no
more of the machine than it allows itself before it reads the package.
"""

import contextlib
import resource
import sys
from pathlib import Path
from typing import cast

import msgspec

from audiomon.errors import AudiomonError
from audiomon.models.classifier import CHECK_PATIENCE_S, Classifier, Verdict
from audiomon.models.interpreter import Backend
from audiomon.models.package import read_package

# Python, NumPy and an interpreter take 130 MB of addresses, the largest model that is read at all four times its size.
LARGEST_MEMORY_BYTES = 1 << 30
_LIMITS = (
    (resource.RLIMIT_AS, LARGEST_MEMORY_BYTES),
    (resource.RLIMIT_CPU, CHECK_PATIENCE_S),
    (resource.RLIMIT_FSIZE, 0),  # not a byte into any file; what it prints goes into a pipe
    (resource.RLIMIT_NOFILE, 64),
    (resource.RLIMIT_CORE, 0),
)
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


def verdict(folder: Path, backend: Backend) -> Verdict:
    """Load a package and run its self-test."""
    try:
        package = read_package(folder)
        answers = Classifier(package, backend).self_test_answers()
    except AudiomonError as error:
        return Verdict(error=str(error))
    except MemoryError:
        return Verdict(error=f"{folder}: needs more than {LARGEST_MEMORY_BYTES >> 20} MiB of memory")
    return Verdict(fingerprint=package.fingerprint, answers=answers)


if __name__ == "__main__":
    main()
