"""What outputs are shown besides predictions, events and statuses: what is so, rather than what happened.

The supervisor shows them; most outputs look away.
"""

import msgspec

from audiomon.config import Threshold
from audiomon.outputs.snapshot import Snapshot
from audiomon.pipeline.columns import Columns


class ModelInForce(msgspec.Struct, frozen=True):
    """The model that predictions come from.

    Attributes:
        name: of the package.
        fingerprint: of the package.
        thresholds: by label, for the labels that make events.
    """

    name: str
    fingerprint: str
    thresholds: dict[str, Threshold]


class Level(msgspec.Struct, frozen=True):
    """How loud about the last second was, in dB against full scale; -120 at the least.

    Attributes:
        rms_dbfs: root mean square.
        peak_dbfs: highest magnitude.
    """

    rms_dbfs: float
    peak_dbfs: float


Observation = Snapshot | ModelInForce | Level | Columns
