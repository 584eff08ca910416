"""Prints the JSON schema of ``link.yaml``: ``python -m audiomon.link > config/link.schema.json``."""

import json

from audiomon.link.settings import link_json_schema

print(json.dumps(link_json_schema(), indent=2, ensure_ascii=False))
