"""Making and judging models: everything that may import TensorFlow, librosa or matplotlib. The daemon never does."""
