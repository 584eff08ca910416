"""Measurements of audiomon beside what a user would pick instead; every contender runs in a process of its own."""
