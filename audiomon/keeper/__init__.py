"""The keeper: clips of events on disk, and their index. It has no microphone and no network."""
