"""Looking at a listener from outside: what the journal says was heard, and what is wrong with it."""
