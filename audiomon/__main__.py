"""``python -m audiomon``."""

from audiomon.cli import main

main()
