"""What ``keeper.yaml`` may say: every key with its unit, range, default and one sentence.

The JSON schema that editors complete by, ``config/keeper.schema.json``, is made from these definitions.
"""

from pathlib import Path
from typing import Annotated, Any

import msgspec

from audiomon.config import read_settings_file, settings_schema
from audiomon.config.key import key

KEEPER_CONFIG = Path("/etc/audiomon/keeper.yaml")


class KeeperConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``keeper.yaml``."""

    keep_days: Annotated[float, key("Days after which a clip is deleted.", "live", ge=0.01, le=36_500)] = 7.0
    max_mb: Annotated[float, key("Megabytes that all clips take at most.", "live", ge=1, le=10_000_000)] = 500.0
    min_free_mb: Annotated[
        float, key("Megabytes that stay free on the disk, whatever else fills it.", "live", ge=0, le=10_000_000)
    ] = 500.0
    max_per_label: Annotated[int, key("Clips of one label, at most.", "live", ge=1, le=1_000_000)] = 200


def load_keeper_config(path: Path) -> KeeperConfig:
    """Read and check ``keeper.yaml``.

    Raises:
        ConfigError: it cannot be read, or does not fit: file, line, key, what is wrong, what is allowed.
    """
    return read_settings_file(path, KeeperConfig)[0]


def keeper_json_schema() -> dict[str, Any]:
    """Return the JSON schema of ``keeper.yaml``, for editors."""
    return settings_schema(KeeperConfig, "keeper.yaml")
