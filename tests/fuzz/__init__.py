"""Bad input, many times: see ``__main__``, and README.md for what it has found."""
