"""How good a model is on labelled recordings: what ``audiomon evaluate`` does, and what a model card says."""
