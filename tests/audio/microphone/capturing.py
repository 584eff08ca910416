"""A process that captures, given commands line by line: what it survives and prints is seen from outside.

Every answer is one JSON object. ``python -m tests.audio.microphone.capturing OPTIONS``, where OPTIONS are a JSON object
for `MicrophoneSource`; the first answer is what was opened.
"""

import json
import sys
import time
from typing import Any

from audiomon.audio import capture
from audiomon.audio.microphone import MicrophoneSource
from audiomon.errors import DeviceError


def answer(**items: Any) -> None:
    print(json.dumps(items), flush=True)


def read(source: MicrophoneSource, frames: int) -> None:
    """Read once."""
    try:
        block = source.read(frames)
    except DeviceError as error:
        answer(error=str(error), failed=str(source.failure))
        return
    answer(ended=block is None, frames=0 if block is None else len(block.samples))


def close(source: MicrophoneSource, _: int) -> None:
    started = time.monotonic()
    source.close()
    answer(took_s=time.monotonic() - started)


def released(source: MicrophoneSource, _: int) -> None:
    answer(released=source.released)


def captured(source: MicrophoneSource, _: int) -> None:
    answer(frames=source.captured_end)


def main() -> None:
    options = json.loads(sys.argv[1])
    capture.MAX_OPENING_S = options.pop("max_opening_s", capture.MAX_OPENING_S)
    try:
        source = MicrophoneSource(**options)
    except DeviceError as error:
        answer(error=str(error))
        return
    answer(name=source.name, sample_rate=source.sample_rate, channels=source.channels)
    commands = {"read": read, "close": close, "captured": captured, "released": released}
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        commands[command](source, int(argument or 0))


if __name__ == "__main__":
    main()
