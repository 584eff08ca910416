"""The checking process: ``python -m audiomon.models.checking FOLDER BACKEND`` loads and self-tests one package.

Prints one JSON object, ``{"sha256": …, "error": …}``. A damaged model may crash it; that is what it is for.
"""

import json
import sys
from pathlib import Path
from typing import cast

from audiomon.errors import AudiomonError
from audiomon.models.classifier import Classifier, limit_checking_process
from audiomon.models.interpreter import Backend
from audiomon.models.package import read_package


def main() -> None:
    """Check the package named on the command line."""
    folder, backend = Path(sys.argv[1]), cast(Backend, sys.argv[2])
    limit_checking_process()
    verdict = {"sha256": "", "error": ""}
    try:
        package = read_package(folder)
        Classifier(package, backend).self_test()
        verdict["sha256"] = package.manifest.sha256
    except AudiomonError as error:
        verdict["error"] = str(error)
    print(json.dumps(verdict))


if __name__ == "__main__":
    main()
