"""What listening costs in instructions of a Raspberry Pi's processor, emulated: the same on any machine, however busy.

``python -m tests.instructions`` compares with ``budget.json``, which is committed; ``--update`` writes it again after a
change that is meant. ``python -m tests.instructions.teaching`` says what teaching costs, in memory too.
"""
