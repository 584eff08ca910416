"""Prints the JSON schema of ``audiomon.yaml``: ``python -m audiomon.config > config/audiomon.schema.json``."""

import json

from audiomon.config.schema import json_schema

print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
