"""Makes a model package of a bare .tflite file: reads what it says of itself, asks for the rest, writes the folder."""
