"""Measurements of models and of the offline path; every contender runs in a process of its own."""
