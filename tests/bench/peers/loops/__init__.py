"""What people would use instead of audiomon, each as the shortest loop that its documentation leads to, one a file.

A loop is a generator ``answers(read, **options)``: ``read(n)`` stands for a microphone and returns the next n samples,
16-bit little-endian bytes of one channel; what it yields stands for what would be printed. `measuring` runs one in an
environment of its own, so nothing here but audiomon's own two loops imports audiomon.
"""
