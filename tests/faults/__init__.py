"""What befalls a daemon in the field, and what it makes of it."""

# What it listens with unless a test says otherwise: a prediction every tenth of a second.
CONFIG = "model: float32\nhop_s: 0.1\nmicrophone:\n  device: mic\n"
