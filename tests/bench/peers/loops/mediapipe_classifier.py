"""MediaPipe's AudioClassifier, as its documentation shows: window after window."""

from collections.abc import Callable, Iterator

import numpy as np


def answers(read: Callable[[int], bytes], model: str, window_samples: int, sample_rate: int) -> Iterator[str]:
    """Yield the name of each window's best label."""
    from mediapipe.tasks.python.audio import AudioClassifier, AudioClassifierOptions
    from mediapipe.tasks.python.components.containers import AudioData
    from mediapipe.tasks.python.core.base_options import BaseOptions

    options = AudioClassifierOptions(base_options=BaseOptions(model_asset_path=model), max_results=1)
    with AudioClassifier.create_from_options(options) as classifier:
        while True:
            samples = np.frombuffer(read(window_samples), np.int16).astype(np.float32) / 32768
            results = classifier.classify(AudioData.create_from_array(samples, sample_rate))
            yield results[0].classifications[0].categories[0].category_name
