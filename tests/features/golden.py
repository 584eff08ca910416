"""What librosa computed once, on a machine that has it; `make_golden` writes it."""

from pathlib import Path

GOLDEN = Path(__file__).with_name("golden.npz")
# Enough for every spec of the grid.
SAMPLES = 5632
