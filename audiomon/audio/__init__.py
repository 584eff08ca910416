"""Where samples come from: microphone, file or pipe, and the ring that a microphone is captured into."""
