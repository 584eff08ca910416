"""Model packages: what they say, how they are checked, and the interpreter that runs them."""
