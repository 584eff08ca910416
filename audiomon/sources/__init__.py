"""Sound from the network for listeners that have none: a process around ffmpeg; never a microphone, never NumPy."""
