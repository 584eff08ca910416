"""What ``audiomon run`` stands on, alone, until interrupted: its capture thread; or the least that a listener needs.

``python -m tests.bench.live.contender capture DEVICE RATE`` captures with our default settings into a ring
that nobody reads. ``… floor DEVICE RATE FOLDER BACKEND`` has imported NumPy, run an interpreter once and opened one
stream.
"""

import json
import sys
from pathlib import Path

import numpy as np

from tests.bench.live.tutorial_loop import Stop, open_interpreter

_BLOCK_FRAMES = 2048


def main() -> None:
    """Do one of the two until a signal."""
    what, device, rate, *model = sys.argv[1:]
    if what == "capture":
        capture_alone(device, int(rate))
    else:
        floor(device, int(rate), *model)


def capture_alone(device: str, sample_rate: int) -> None:
    """Capture with audiomon's own thread; nobody reads."""
    from audiomon.audio.microphone import MicrophoneSource

    stop = Stop()
    source = MicrophoneSource(int(device) if device.isdigit() else device, sample_rate=sample_rate)
    _say_listening({"block_ms": 1e3 * source.block_frames / source.sample_rate, "sample_rate": source.sample_rate})
    stop.wait()
    source.close()


def floor(device: str, sample_rate: int, folder: str, backend: str) -> None:
    """Hold NumPy, an interpreter that has run, and an open stream that is read."""
    import sounddevice

    stop = Stop()
    interpreter = open_interpreter(str(Path(folder) / "model.tflite"), backend)
    tensor = interpreter.get_input_details()[0]
    interpreter.set_tensor(tensor["index"], np.zeros(tensor["shape"], dtype=tensor["dtype"]))
    interpreter.invoke()
    with sounddevice.RawInputStream(
        device=int(device) if device.isdigit() else device,
        samplerate=sample_rate,
        channels=1,
        dtype="int16",
        blocksize=_BLOCK_FRAMES,
        latency="high",
    ) as stream:
        _say_listening({})
        while not stop.asked:
            stream.read(_BLOCK_FRAMES)


def _say_listening(facts: dict[str, float]) -> None:
    print(json.dumps({"kind": "listening", **facts}), flush=True)


if __name__ == "__main__":
    main()
