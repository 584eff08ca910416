"""The supervised daemon: readiness, watchdog, reload, signals. What a listener is, the floors below know."""
