"""Prints the JSON schema of ``keeper.yaml``: ``python -m audiomon.keeper > config/keeper.schema.json``."""

import json

from audiomon.keeper.settings import keeper_json_schema

print(json.dumps(keeper_json_schema(), indent=2, ensure_ascii=False))
