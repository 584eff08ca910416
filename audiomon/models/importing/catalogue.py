"""Published models that `audiomon models get` knows by name. Fetches nothing.

Each file has been read and hashed once; its address is its publisher's. The SHA-256 decides: whatever else comes from
that address, some day, is refused.
"""

from dataclasses import dataclass

from audiomon.errors import UserError
from audiomon.foreign import shown


@dataclass(frozen=True, slots=True)
class Published:
    """A model file that somebody publishes.

    Attributes:
        name: what `model:` will call it.
        address: where it is, over HTTPS.
        sha256: of the file.
        size_bytes: of the file.
        license: of the weights.
        good_for: one line for people.
    """

    name: str
    address: str
    sha256: str
    size_bytes: int
    license: str
    good_for: str


CATALOGUE = (
    Published(
        "yamnet",
        "https://storage.googleapis.com/download.tensorflow.org/models/tflite/task_library/audio_classification/rpi/"
        "lite-model_yamnet_classification_tflite_1.tflite",
        "10c95ea3eb9a7bb4cb8bddf6feb023250381008177ac162ce169694d05c317de",
        4_126_810,
        "Apache-2.0",
        "521 everyday sounds (AudioSet); also what `audiomon train --on yamnet` teaches your own sounds to",
    ),
)


def published(name: str) -> Published:
    """Look a model up.

    Raises:
        UserError: the catalogue does not have it.
    """
    for model in CATALOGUE:
        if model.name == name:
            return model
    there = ", ".join(model.name for model in CATALOGUE)
    raise UserError(
        f"there is no model '{shown(name)}' in the catalogue; there are: {there} "
        f"(audiomon models add https://… --sha256 … adds any other)"
    )
