"""``python -m audiomon``."""

from audiomon.cli import main

# A process that multiprocessing spawns imports this file under another name.
if __name__ == "__main__":
    main()
