"""Where predictions, events and statuses go: a terminal, JSON lines, the journal."""
