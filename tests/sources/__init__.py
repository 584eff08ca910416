"""Sound from the network, with a real ffmpeg."""
