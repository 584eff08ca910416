"""Run by ``tests/fleet/test_booted.py`` inside a systemd that it boots; whatever they change is thrown away with it."""
