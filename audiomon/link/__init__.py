"""The mouth: what is heard, told to the network, by a process that has no microphone and no disk."""
