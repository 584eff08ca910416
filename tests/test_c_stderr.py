import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

CHATTER = """
import ctypes, sys
from audiomon.c_stderr import c_stderr_silenced
libc = ctypes.CDLL(None)
def say(words):
    stderr = ctypes.c_void_p.in_dll(libc, "stderr")
    libc.fputs(words.encode(), stderr)
    libc.fflush(stderr)
say("C before\\n")
with c_stderr_silenced():
    say("C inside\\n")
    print("Python inside", file=sys.stderr, flush=True)
    with c_stderr_silenced():
        say("C deeper\\n")
    say("C still inside\\n")
say("C after\\n")
try:
    with c_stderr_silenced():
        raise ValueError
except ValueError:
    say("C after an exception\\n")
"""


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="only glibc lets a program assign its stderr")
def test_c_code_is_silent_inside_the_block_and_python_is_not():
    result = subprocess.run(
        [sys.executable, "-c", CHATTER], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=30
    )
    assert result.stderr.splitlines() == ["C before", "Python inside", "C after", "C after an exception"]
