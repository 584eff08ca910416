"""What may be wrong with a machine that listens, in words, and what to do about it. Looks, and changes nothing."""
