"""A day of listening in a minute, with faults: see ``__main__``."""
