"""The checking process: ``python -m audiomon.models.checking FOLDER BACKEND`` loads one package and runs its self-test.

Prints one JSON object, `Verdict`. A damaged model may crash it; that is what it is for.
"""

import resource
import sys
from pathlib import Path
from typing import cast

import msgspec

from audiomon.errors import AudiomonError
from audiomon.models.classifier import CHECK_PATIENCE_S, Classifier, Verdict
from audiomon.models.interpreter import Backend
from audiomon.models.package import read_package

_LARGEST_MEMORY_BYTES = 4 << 30


def main() -> None:
    """Check the package named on the command line."""
    folder, backend = Path(sys.argv[1]), cast(Backend, sys.argv[2])
    _limit(resource.RLIMIT_AS, _LARGEST_MEMORY_BYTES)
    _limit(resource.RLIMIT_CPU, CHECK_PATIENCE_S)
    _limit(resource.RLIMIT_CORE, 0)
    try:
        package = read_package(folder)
        answers = Classifier(package, backend).self_test_answers()
        verdict = Verdict(fingerprint=package.fingerprint, answers=answers)
    except AudiomonError as error:
        verdict = Verdict(error=str(error))
    print(msgspec.json.encode(verdict).decode())


def _limit(what: int, most: int) -> None:
    """Take from this process what a hostile model could use; the system may allow it less already."""
    _, hard = resource.getrlimit(what)
    limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (limit, limit))


if __name__ == "__main__":
    main()
