"""Windows -> predictions -> events."""
