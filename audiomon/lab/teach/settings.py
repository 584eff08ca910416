"""How a head is taught: everything that decides what comes out, as plain data that its package keeps.

`audiomon evaluate --cv` reads it back and teaches the same way again.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from audiomon.config import Decisions

# Measured with YAMNet: a lower threshold lets more strangers in, less smoothing too, more misses short sounds.
DECISIONS = Decisions(smoothing_s=0.6, on=0.73, off=0.4)


class TeachingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about a head but the recordings."""

    base: Annotated[str, Meta(description="Name of the package that it stands on.")]
    base_sha256: Annotated[str, Meta(description="Checksum of that package's network.")]
    embedding: Annotated[str, Meta(description="Name of the tensor in it.")]
    many: Annotated[bool, Meta(description="Several labels may be on at a time.")] = False
    strength: Annotated[
        float,
        Meta(ge=1e-6, le=1e9, description="What a label's windows weigh together against the regularisation."),
    ] = 6.0
    scale: Annotated[float, Meta(ge=1e-3, le=1e3, description="Length of an embedding, as it is regularised.")] = 10.0
    background_weight: Annotated[
        float, Meta(ge=0.1, le=100, description="How much background counts for each other label.")
    ] = 3.0
    generated: Annotated[int, Meta(ge=0, le=100_000, description="Generated sounds in the background.")] = 330
    background_recordings: Annotated[int, Meta(ge=0, description="Of a folder that --background named.")] = 0
    decisions: Decisions = DECISIONS

    def plain(self) -> dict[str, Any]:
        """Return it as a manifest keeps it."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain
