"""Acceptance benchmarks: audiomon beside its peers, swaps, a busy machine, a live microphone."""
